"""The loop over slices: `scan`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from graphc import ops
from graphc.autodiff.batching import batched_values
from graphc.control import onnx_loops
from graphc.control.narrow import narrowed
from graphc.control.owner import Owner, body_flops, called, check_operands, parameter, split
from graphc.control.tangents import scan_jvp, scan_vjp
from graphc.dtypes import DType, TensorType, float32, float64, int64
from graphc.errors import ShapeError
from graphc.ir.graph import Graph, Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.spec import Loop
from graphc.ir.structure import rebuilt, structure
from graphc.ir.terms import Term, call
from graphc.ops.samples import Refusal, Sample, Source, refuses
from graphc.reference import evaluate


@dataclass(frozen=True, eq=False)
class Scan(Owner):
    """Runs a body `length` times, once for each slice; see `graphc.ir.spec.Loop` for the order of
    operands and results. A step that is not taken (`counted`) leaves the carries as they are and
    gives slices of zeros.
    """

    name = "scan"
    body: Graph
    consts: int
    carries: int
    length: int
    reverse: bool = False
    counted: bool = False

    @property
    def bodies(self) -> tuple[Graph, ...]:
        return (self.body,)

    def with_bodies(self, bodies: Sequence[Graph]) -> Scan:
        return replace(self, body=bodies[0])

    def attributes(self) -> str:
        words = [f"length={self.length}", f"consts={self.consts}", f"carries={self.carries}"]
        words += ["reverse"] * self.reverse + ["counted"] * self.counted
        return ", ".join(words)

    def reading(self, value: Value, bodies: Sequence[Graph]) -> tuple[Scan, int]:
        """The value is the last of the constants."""
        first, rest = bodies[0].inputs[: self.consts], bodies[0].inputs[self.consts :]
        body = Graph((*first, value, *rest), bodies[0].outputs)
        return replace(self, body=body, consts=self.consts + 1), self.counted + self.consts

    @property
    def deciding(self) -> tuple[Value, ...]:
        """What of the body's inputs decides whether a step is taken."""
        return ()

    def resized(
        self, body: Graph, consts: int, carries: int, given: Mapping[Value, Value] | None = None
    ) -> Scan:
        """The operator with another body, of as many constants and carries. It has the inputs of
        this one, but for those that `given` replaces.
        """
        return replace(self, body=body, consts=consts, carries=carries)

    def steps_taken(self, node: Node) -> list[Value]:
        """The number of steps that a node takes, in a list; empty if it takes all."""
        return self.operands(node.inputs)[0]

    def backward(self, body: Graph, consts: int, carries: int) -> Scan:
        """The loop in the other direction."""
        return replace(self, body=body, consts=consts, carries=carries, reverse=not self.reverse)

    # Operands and results in parts.

    def operands(self, inputs: Sequence) -> tuple[list, list, list, list]:
        """The number of steps (in a list, empty if there is none), constants, first values of the
        carries, and arrays.
        """
        count, consts, carries, slices = split(inputs, self.counted, self.consts, self.carries)
        return count, consts, carries, slices

    @property
    def body_inputs(self) -> tuple[list[Value], list[Value], list[Value]]:
        consts, carries, slices = split(self.body.inputs, self.consts, self.carries)
        return consts, carries, slices

    def stacked(self, type: TensorType) -> TensorType:
        """The array of slices of a type."""
        return type.with_shape((self.length, *type.shape))

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        wanted = [v.type for v in self.body.inputs]
        fixed = self.consts + self.carries
        wanted = [*wanted[:fixed], *[self.stacked(t) for t in wanted[fixed:]]]
        if self.counted:
            wanted.insert(0, TensorType((), int64))
        check_operands(self.name, wanted, types)
        results = [v.type for v in self.body.outputs]
        check_operands(
            f"{self.name}'s carries", wanted[self.counted + self.consts :][: self.carries],
            results[: self.carries],
        )  # fmt: skip
        return (*results[: self.carries], *[self.stacked(t) for t in results[self.carries :]])

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        _, _, carries, _ = self.operands(arrays)
        results = [
            np.zeros((self.length, *v.shape), v.dtype.numpy)
            for v in self.body.outputs[self.carries :]
        ]
        for step, _, found in self._turns(arrays):
            carries = found[: self.carries]
            for result, part in zip(results, found[self.carries :], strict=True):
                result[step] = part
        return (*carries, *results)

    def runs(self, *arrays: np.ndarray) -> Iterator[tuple[Graph, Sequence[np.ndarray]]]:
        for _, given, _ in self._turns(arrays):
            yield self.body, given

    def _turns(
        self, arrays: Sequence[np.ndarray]
    ) -> Iterator[tuple[int, list[np.ndarray], list[np.ndarray]]]:
        """The steps that are taken, each with what its body is given and what that gives."""
        count, consts, carries, slices = self.operands(arrays)
        steps = min(max(int(count[0]), 0), self.length) if count else self.length
        for step in reversed(range(steps)) if self.reverse else range(steps):
            if not self.goes_on([*consts, *carries]):
                break
            given = [*consts, *carries, *[x[step] for x in slices]]
            found = evaluate(self.body, dict(zip(self.body.inputs, given, strict=True)))
            yield step, given, found
            carries = found[: self.carries]

    def goes_on(self, given: Sequence[np.ndarray]) -> bool:
        """Whether another step is taken, given the constants and carries."""
        return True

    def spec(self, *types: TensorType) -> Loop:
        return Loop(self.body, self.consts, self.carries, self.length, self.reverse, self.counted)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        parts = self.loop_text(to, operands)
        return to.plain("scan", to.body(self.body, "scan_body"), *parts)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return onnx_loops.loop(self, to, operands)

    def loop_text(self, to: Dialect, operands: Sequence[Term]) -> list[Term]:
        """Constants, carries, slices, arrays for stacked results, and the steps."""
        count, *parts = self.operands(operands)
        stacked = [to.zeros(self.stacked(v.type)) for v in self.body.outputs[self.carries :]]
        taken = Term(str(self.length))
        if count:
            taken = call("min", call("max", call("int", *count), Term("0")), taken)
        steps = call("range", taken)
        steps = call("reversed", steps) if self.reverse else steps
        alike = len(stacked) > 1 and len(set(stacked)) == 1
        places = to.sequence(stacked)
        if alike:
            places = Term(f"[{stacked[0].text} for _ in range({len(stacked)})]")
        return [*map(to.sequence, parts), places, steps]

    def flops(self, *types: TensorType) -> int:
        return self.length * body_flops(self.body)

    def vjp(self, node: Node, *cotangents: Value | None) -> Sequence[Value | None]:
        return scan_vjp(self, node, cotangents)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        return scan_jvp(self, node, tangents)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        """The batch lies behind the time axis of arrays: a step works on a batch of slices."""
        if self.counted and batched[0]:
            op, operands = self._masked(inputs)
            fixed = 1 + self.consts + self.carries
            return op.batch(size, operands, (*batched[:fixed], False, *batched[fixed:]))
        body, examples, flags = self.batched_body(size, list(batched[self.counted :]))
        op = self.resized(body, self.consts, self.carries, examples)
        operands = self.batched_operands(size, inputs, batched, flags)
        return self.batched_results(apply(op, *operands), flags), tuple(flags)

    def batched_body(
        self, size: int, moves: list[bool]
    ) -> tuple[Graph, dict[Value, Value], list[bool]]:
        """The body on batches of the inputs that move, its new inputs by the old ones, and which of
        its outputs are batches. A carry moves if its first value or its next one does.
        """
        carried = slice(self.consts, self.consts + self.carries)
        while True:
            examples = {
                v: parameter(called(v), v.type.with_shape((size, *v.shape)))
                for v, moved in zip(self.body.inputs, moves, strict=True)
                if moved
            }
            found = batched_values(self.body.outputs, examples, size)
            again = [m or has for m, (_, has) in zip(moves[carried], found, strict=False)]
            if again == moves[carried]:
                break
            moves[carried] = again
        flags = [*again, *[has for _, has in found[self.carries :]]]
        outputs = [
            ops.broadcast(v, (size, *v.shape)) if wanted and not has else v
            for (v, has), wanted in zip(found, flags, strict=True)
        ]
        inputs = tuple(examples.get(v, v) for v in self.body.inputs)
        return Graph(inputs, tuple(outputs)), examples, flags

    def batched_operands(
        self,
        size: int,
        inputs: Sequence[Value],
        batched: Sequence[bool],
        flags: Sequence[bool],
    ) -> list[Value]:
        """The operands of a batched loop, of which the carries that `flags` names are batches."""
        count, consts, carries, arrays = self.operands(list(zip(inputs, batched, strict=True)))
        firsts = [
            (ops.broadcast(v, (size, *v.shape)) if wanted and not has else v, has)
            for (v, has), wanted in zip(carries, flags, strict=False)
        ]
        moved = [(_exchanged(v) if has else v, has) for v, has in arrays]
        return [v for v, _ in (*count, *consts, *firsts, *moved)]

    def batched_results(self, results: Sequence[Value], flags: Sequence[bool]) -> list[Value]:
        """Results with the batch axis in front."""
        return [
            _exchanged(v) if has and k >= self.carries else v
            for k, (v, has) in enumerate(zip(results, flags, strict=True))
        ]

    def narrowed(
        self, inputs: Sequence[Value], used: Sequence[bool]
    ) -> Sequence[Value | None] | None:
        return narrowed(self, inputs, used)

    def joined(self, other: Op) -> tuple[Op, Sequence[int]] | None:
        if not isinstance(other, Scan) or self.parameters != other.parameters:
            return None
        k = self.carries
        mine, theirs = (
            structure(body.replace(body.outputs[:k])) for body in (self.body, other.body)
        )
        if mine != theirs:
            return None
        given = dict(zip(other.body.inputs, self.body.inputs, strict=True))
        more = rebuilt(other.body.outputs[k:], given)
        first = len(self.body.outputs)
        body = self.body.replace([*self.body.outputs, *more])
        return replace(self, body=body), [*range(k), *range(first, first + len(more))]

    def _masked(self, inputs: Sequence[Value]) -> tuple[Scan, list[Value]]:
        """The loop that takes every step and forgets those beyond the number of steps."""
        (count,), consts, carries, slices = self.operands(inputs)
        number, step = (parameter(n, TensorType((), int64)) for n in ("steps", "step"))
        c_in, k_in, s_in = self.body_inputs
        taken = ops.less(step, number)
        outputs = []
        for k, new in enumerate(self.body.outputs):
            old = k_in[k] if k < self.carries else ops.zeros_like(new)
            outputs.append(ops.where(ops.broadcast(taken, new.shape), new, old))
        body = Graph((number, *c_in, *k_in, step, *s_in), tuple(outputs))
        op = Scan(body, self.consts + 1, self.carries, self.length, self.reverse)
        every = ops.iota((self.length,), 0)
        return op, [count, *consts, *carries, every, *slices]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for note, length, reverse in (
            ("ordinary", 4, False),
            ("reversed", 3, True),
            ("none", 0, False),
            ("one", 1, False),
        ):
            for dtype in (float32, float64):
                w, h, x = (
                    source.floats(s, dtype, (-1.0, 1.0)) for s in ((3, 3), (2, 3), (length, 2, 3))
                )
                op = cls(_recurrence(dtype), 1, 1, length, reverse)
                yield Sample(f"{note} {dtype}", op, (w, h, x), True)
        w, h, x = (source.floats(s, float64, (-1.0, 1.0)) for s in ((3, 3), (2, 3), (4, 2, 3)))
        for steps in (3, 9, -1):
            op = cls(_recurrence(float64), 1, 1, 4, False, True)
            yield Sample(f"{steps} steps", op, (np.array(steps), w, h, x), True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls(_recurrence(float64), 1, 1, 4)
        w, h = ((3, 3), float64), ((2, 3), float64)
        yield refuses(op, ShapeError, "required float64[3,3]", w, h)
        yield refuses(op, ShapeError, "required float64[3,3]", w, h, ((5, 2, 3), float64))
        yield refuses(op, ShapeError, "required float64[3,3]", w, h, ((4, 2, 3), float32))


def _recurrence(dtype: DType) -> Graph:
    """h, y = tanh(h·w) + x, h·x: a body for samples."""
    w, h, x = (
        parameter(n, TensorType(s, dtype)) for n, s in (("w", (3, 3)), ("h", (2, 3)), ("x", (2, 3)))
    )
    new = ops.add(ops.tanh(ops.matmul(h, w)), x)
    return Graph((w, h, x), (new, ops.multiply(new, x)))


def _exchanged(value: Value) -> Value:
    """The first two axes exchanged."""
    return ops.permute(value, (1, 0, *range(2, len(value.shape))))
