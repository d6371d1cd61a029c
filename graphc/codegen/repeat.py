"""`Repeat` kernels: a loop that calls the kernels of its body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphc.codegen.callee import Callee, run
from graphc.codegen.emit_c import address
from graphc.codegen.hazards import Access, accesses, barriers
from graphc.codegen.kernel import Arguments
from graphc.codegen.points import Names
from graphc.dtypes import bool_, uint8
from graphc.ir.expr import INDEX, Expr, Load, Var, call, cast, index, smaller, unary
from graphc.ir.loops import Barrier, Break, Do, For, If, Let, Only, Pointer, Share, Stmt, Store
from graphc.schedule.program import Memory
from graphc.schedule.repeat import Repeat

#: Where the times of a loop's kernels begin among its laps.
FIRST_LAP = 2


def _lap(part: int) -> Do:
    return Do("gx_lap", ("laps", index(part), "t"))


def repeat_body(
    kernel: Repeat,
    arguments: Arguments,
    calls: Sequence[Sequence[Callee]],
    before: Sequence[Callee],
    threads: int,
    clocked: bool = False,
) -> list[Stmt]:
    """The statements of a loop in a program that some threads run; `calls` are the kernels of each
    of its own programs, `before` those that run once before the first step. A body without work for
    two threads is left to one of them. Steps that are taken apart are shared between threads. If
    `clocked`, an array `laps` gets the time of what else a step does, at 1, then of each kernel.
    """
    alone = threads > 1 and kernel.workers(threads) == 1
    thread = "gx_alone()" if alone or kernel.apart else "t"
    shares = kernel.apart and threads > 1 and not alone
    body = _Generator(kernel, arguments, calls, before, thread, shares, clocked).build()
    return [Only(body)] if alone else body


class _Generator:
    """The carries begin as copies of their first values; then the loop."""

    def __init__(
        self,
        kernel: Repeat,
        arguments: Arguments,
        calls: Sequence[Sequence[Callee]],
        before: Sequence[Callee],
        thread: str,
        shares: bool,
        clocked: bool,
    ):
        self.kernel = kernel
        self.loop = kernel.loop
        self.names = arguments.names
        self.fresh = Names()
        self.calls = calls
        self.before = before
        self.thread = thread
        self.shared = any(p.threads > 1 for p in kernel.programs)
        self.shares = shares
        self.clocked = clocked
        #: The addresses of the body's inputs and outputs in a step.
        self.at: dict[tuple[Memory, int], str] = {
            (Memory.INPUT, k): self.names[kernel.operand(k).root] for k in range(self.loop.consts)
        }

    def build(self) -> list[Stmt]:
        body: list[Stmt] = []
        first: list[Stmt] = []
        for k in range(self.loop.carries):
            first += self._begin(k)
        if self.loop.condition is not None:
            first += self._nothing(index(0))
        if first:
            body += [Only(first)] if self.shared else first
        begin, steps = index(0), index(self.loop.length)  # type: tuple[Expr, Expr]
        if self.shares:
            own = Var(INDEX, "t.id") * self.kernel.workspace.per_thread
            body.append(Pointer("own", uint8, "work", own))
            self.at[Memory.WORKSPACE, 0] = "own"
            body.append(Share("part", steps, 1))
            begin, steps = Var(INDEX, "part.begin"), Var(INDEX, "part.end")
        laps = sum(map(len, self.calls))
        body += [_lap(0)] if self.clocked and self.before else []
        for k, callee in enumerate(self.before):
            body.append(callee.call(self.at, self.thread))
            body += [_lap(FIRST_LAP + laps + k)] if self.clocked else []
        if self.shared and (first or self.before):
            body.append(Barrier())
        if self.loop.counted:
            steps = self._steps(body)
        turn = Var(INDEX, self.fresh.fresh("i"))
        step: list[Stmt] = []
        body.append(For(turn, begin, steps, step))
        at: Expr = turn
        if self.loop.reverse:
            at = Var(INDEX, self.fresh.fresh("at"))
            last = steps if self.loop.counted else index(self.loop.length)
            step.append(Let(at, last - 1 - turn))
        slices = list(self._slices(at))
        kernels = list(self._kernels())
        used = {a for s in kernels if isinstance(s, Do) for a in s.arguments}
        step += [s for s in slices if s.name in used]
        step += kernels
        if self.clocked:
            body.insert(-1, _lap(0))
            step.append(_lap(1))
        if self.loop.counted:
            rest = list(self._nothing(steps))
            body += [Only(rest)] if rest and self.shared else rest
        return body

    def _result(self, k: int) -> str:
        return self.names[self.kernel.node.outputs[k]]

    def _begin(self, k: int) -> Iterator[Stmt]:
        """The first value of a carry, unless it lies where the last one will."""
        position = self.loop.consts + k
        place = self.kernel.operand(position)
        source, target = self.names[place.root], self._result(k)
        value = self.kernel.node.outputs[k]
        self.at[Memory.INPUT, position] = target
        if source == target or not value.type.size:
            return
        if place.strided.is_contiguous:
            yield Do("memcpy", (target, source, index(value.type.nbytes)))
            return
        inner: list[Stmt] = []
        outer = inner
        there: Expr = index(place.strided.offset)
        here: Expr = index(0)
        for extent, stride in zip(value.shape, place.strided.strides, strict=True):
            var = Var(INDEX, self.fresh.fresh("j"))
            deeper: list[Stmt] = []
            inner.append(For(var, index(0), index(extent), deeper))
            inner = deeper
            there, here = there + var * stride, here * extent + var
        inner.append(Store(target, here, Load(value.dtype, source, there)))
        yield from outer

    def _steps(self, body: list[Stmt]) -> Expr:
        """The number of steps that are taken."""
        place = self.kernel.operand(-1)
        wanted = cast(
            Load(place.root.dtype, self.names[place.root], index(place.strided.offset)), INDEX
        )
        length = index(self.loop.length)
        steps = Var(INDEX, self.fresh.fresh("steps"))
        body.append(Let(steps, call("gx_larger", INDEX, index(0), smaller(wanted, length))))
        return steps

    def _slices(self, at: Expr) -> Iterator[Pointer]:
        """Pointers to the slices of a step."""
        loop, kernel = self.loop, self.kernel
        for k, value in enumerate(loop.body.inputs):
            place = kernel.operand(k)
            name = self.names[place.root]
            if k >= loop.consts + loop.carries:
                part = self.fresh.fresh("slice")
                offset = at * place.strided.strides[0] + place.strided.offset
                yield Pointer(part, value.dtype, name, offset, readonly=True)
                self.at[Memory.INPUT, k] = part
        for k in range(loop.carries, len(loop.body.outputs)):
            part = self.fresh.fresh("slice")
            value = loop.body.outputs[k]
            yield Pointer(part, value.dtype, self._result(k), at * value.type.size)
            self.at[Memory.OUTPUT, k] = part

    def _kernels(self) -> Iterator[Stmt]:
        """The kernels of a step, those of the condition before those of the body."""
        kernel = self.kernel
        steps: list[Access] = []
        done: list[Stmt] = []
        #: The places of the kernels among the statements, numbered body first.
        places: dict[int, int] = {}
        number = len(self.calls[0])
        for condition, calls in zip(kernel.programs[1:], self.calls[1:], strict=True):
            places.update((len(done) + k, number + k) for k in range(len(calls)))
            number += len(calls)
            verdict = condition.buffers[condition.graph.outputs[0]]
            said = address("work", index(kernel.verdict_offset))
            at = {**self.at, (verdict.memory, verdict.index): said}
            done += run(condition, calls, at, self.thread, self.shared)
            done.append(If(unary("!", Load(bool_, f"({said})", index(0))), [Break()]))
            steps += [*accesses(condition), Access([verdict], [])]
        places.update((len(done) + k, k) for k in range(len(self.calls[0])))
        done += run(kernel.program, self.calls[0], self.at, self.thread, self.shared)
        steps += accesses(kernel.program)
        waits = barriers(steps, again=True)
        for k, (stmt, wait) in enumerate(zip(done, waits, strict=True)):
            if wait and self.shared:
                yield Barrier()
            yield stmt
            if self.clocked and k in places:
                yield _lap(FIRST_LAP + places[k])

    def _nothing(self, steps: Expr) -> Iterator[Stmt]:
        """Zeros in the slices of all steps from this one on."""
        for k in range(self.loop.carries, len(self.loop.body.outputs)):
            value = self.loop.body.outputs[k]
            rest = (self.loop.length - steps) * value.type.nbytes
            start = address(self._result(k), steps * value.type.size)
            yield Do("memset", (start, index(0), rest))
