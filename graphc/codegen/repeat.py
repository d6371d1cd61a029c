"""`Repeat` kernels: a loop that calls the kernels of its body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphc.codegen.emit_c import address
from graphc.codegen.hazards import accesses, barriers
from graphc.codegen.kernel import Arguments
from graphc.codegen.points import Names
from graphc.ir.expr import INDEX, Expr, Load, Var, call, cast, index
from graphc.ir.loops import Barrier, Do, For, Let, Only, Pointer, Stmt, Store
from graphc.schedule.program import Buffer, Memory
from graphc.schedule.repeat import Repeat


@dataclass(frozen=True, slots=True)
class Callee:
    """A kernel of the body: its function, and what that is passed."""

    name: str
    arguments: Arguments


def repeat_body(
    kernel: Repeat, arguments: Arguments, calls: Sequence[Callee], threads: int
) -> list[Stmt]:
    """The statements of a loop in a program that some threads run. A body without work for two is
    left to one of them.
    """
    alone = threads > 1 and kernel.program.threads == 1
    body = _Generator(kernel, arguments, calls, "gx_alone()" if alone else "t").build()
    return [Only(body)] if alone else body


class _Generator:
    """The carries begin as copies of their first values; then the loop."""

    def __init__(self, kernel: Repeat, arguments: Arguments, calls: Sequence[Callee], thread: str):
        self.kernel = kernel
        self.loop = kernel.loop
        self.program = kernel.program
        self.names = arguments.names
        self.fresh = Names()
        self.calls = calls
        self.thread = thread
        self.shared = self.program.threads > 1
        #: The addresses of the body's inputs and outputs in a step.
        self.at: dict[tuple[Memory, int], str] = {}

    def build(self) -> list[Stmt]:
        body: list[Stmt] = []
        first: list[Stmt] = []
        for k in range(self.loop.carries):
            first += self._begin(k)
        if first:
            body += [Only(first), Barrier()] if self.shared else first
        steps: Expr = index(self.loop.length)
        if self.loop.counted:
            steps = self._steps(body)
        turn = Var(INDEX, self.fresh.fresh("i"))
        step: list[Stmt] = []
        body.append(For(turn, index(0), steps, step))
        at: Expr = turn
        if self.loop.reverse:
            at = Var(INDEX, self.fresh.fresh("at"))
            step.append(Let(at, steps - 1 - turn))
        slices = list(self._slices(at))
        kernels = list(self._kernels())
        used = {a for s in kernels if isinstance(s, Do) for a in s.arguments}
        step += [s for s in slices if s.name in used]
        step += kernels
        if self.loop.counted:
            body += self._nothing(steps)
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
        body.append(
            Let(
                steps, call("gx_larger", INDEX, index(0), call("gx_smaller", INDEX, wanted, length))
            )
        )
        return steps

    def _slices(self, at: Expr) -> Iterator[Pointer]:
        """Pointers to the slices of a step."""
        loop, kernel = self.loop, self.kernel
        for k, value in enumerate(loop.body.inputs):
            place = kernel.operand(k)
            name = self.names[place.root]
            if k < loop.consts:
                self.at[Memory.INPUT, k] = name
            elif k >= loop.consts + loop.carries:
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
        program = self.program
        waits = barriers(accesses(program), again=True)
        done: list[Stmt] = [
            Do(
                c.name,
                (
                    *[self._address(a.buffer, a.param.dtype.c) for a in c.arguments.list],
                    self.thread,
                ),
            )
            for c in self.calls
        ]
        for c in program.copies:
            target, source = self._address(c.target, "uint8_t"), self._address(c.source, "uint8_t")
            copy = Do("memcpy", (target, source, index(c.target.nbytes)))
            done.append(Only([copy]) if self.shared else copy)
        for stmt, wait in zip(done, waits, strict=True):
            if wait and self.shared:
                yield Barrier()
            yield stmt

    def _address(self, buffer: Buffer, c_type: str) -> str:
        """C for the address of a buffer of the body."""
        if buffer.memory is Memory.TABLE:
            return f"table{buffer.index}"
        if buffer.memory in (Memory.INPUT, Memory.OUTPUT):
            return self.at[buffer.memory, buffer.index]
        start = address("work", index(buffer.offset))
        if c_type == "uint8_t":
            return start
        return f"({c_type} *)({start})" if buffer.offset else f"({c_type} *)work"

    def _nothing(self, steps: Expr) -> Iterator[Stmt]:
        """Zeros in the slices of steps that are not taken."""
        for k in range(self.loop.carries, len(self.loop.body.outputs)):
            value = self.loop.body.outputs[k]
            rest = (self.loop.length - steps) * value.type.nbytes
            start = address(self._result(k), steps * value.type.size)
            clear = Do("memset", (start, index(0), rest))
            yield Only([clear]) if self.shared else clear
