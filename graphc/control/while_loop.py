"""The loop that ends when a condition fails: `while_loop`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graphc import ops
from graphc.autodiff.batching import batched_values
from graphc.control import onnx_loops
from graphc.control.owner import body_flops, parameter
from graphc.control.scan import Scan
from graphc.dtypes import TensorType, bool_, float64, int64
from graphc.errors import ShapeError
from graphc.ir.graph import Graph, Node, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.spec import Loop
from graphc.ir.structure import rebuilt
from graphc.ir.terms import Term
from graphc.ops.samples import Refusal, Sample, Source, refuses
from graphc.reference import evaluate


@dataclass(frozen=True, eq=False)
class While(Scan):
    """A scan that takes a step as long as `condition`, of the constants and carries, is true, and
    at most `length`. The inputs of the condition are those of the body. The first carry counts the
    steps (an int64): a derivative runs as many back.
    """

    name = "while_loop"
    condition: Graph = field(default_factory=lambda: Graph((), ()))

    @property
    def _shared(self) -> tuple[Value, ...]:
        return self.body.inputs[: self.consts + self.carries]

    @property
    def bodies(self) -> tuple[Graph, ...]:
        return (self.body, self.condition)

    def with_bodies(self, bodies: Sequence[Graph]) -> While:
        return replace(self, body=bodies[0], condition=bodies[1])

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        found = super().infer(*types)
        verdict = [v.type for v in self.condition.outputs]
        if verdict != [TensorType((), bool_)] or self.condition.inputs != self._shared:
            raise ShapeError(f"{self.name}: the condition is not one bool of constants and carries")
        return found

    def goes_on(self, given: Sequence[np.ndarray]) -> bool:
        return bool(evaluate(self.condition, dict(zip(self._shared, given, strict=True)))[0])

    def reading(self, value: Value, bodies: Sequence[Graph]) -> tuple[While, int]:
        op, place = super().reading(value, bodies)
        inputs = op.body.inputs[: op.consts + op.carries]
        condition = Graph(inputs, bodies[1].outputs)
        return replace(self, body=op.body, consts=op.consts, condition=condition), place

    @property
    def deciding(self) -> tuple[Value, ...]:
        return self.condition.outputs

    def resized(
        self, body: Graph, consts: int, carries: int, given: Mapping[Value, Value] | None = None
    ) -> While:
        inputs = body.inputs[: consts + carries]
        condition = Graph(inputs, tuple(rebuilt(self.condition.outputs, given or {})))
        return replace(self, body=body, consts=consts, carries=carries, condition=condition)

    def steps_taken(self, node: Node) -> list[Value]:
        return [node.outputs[0]]

    def backward(self, body: Graph, consts: int, carries: int) -> Scan:
        return Scan(body, consts, carries, self.length, reverse=True, counted=True)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        parts = self.loop_text(to, operands)
        condition, body = to.body(self.condition, "condition"), to.body(self.body, "while_body")
        return to.plain("while_loop", condition, body, *parts)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return onnx_loops.loop(self, to, operands, self.condition)

    def spec(self, *types: TensorType) -> Loop:
        return replace(super().spec(*types), condition=self.condition)

    def flops(self, *types: TensorType) -> int:
        """Those of all steps that may be taken."""
        return super().flops(*types) + self.length * body_flops(self.condition)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        """Where the condition differs within the batch, steps are taken as long as it is true for
        one, and those for which it is not stay as they are.
        """
        _, examples, flags = self.batched_body(size, list(batched))
        ((verdict, differs),) = batched_values(self.condition.outputs, examples, size)
        if not differs:
            return super().batch(size, inputs, batched)
        alone = Scan(self._masked_body(), self.consts, self.carries, self.length)
        moves = list(batched)
        moves[self.consts : self.consts + self.carries] = [True] * self.carries
        body, examples, flags = alone.batched_body(size, moves)
        ((verdict, _),) = batched_values(self.condition.outputs, examples, size)
        op = self.resized(body, self.consts, self.carries, examples)
        op = replace(op, condition=op.condition.replace([ops.any(verdict, (0,))]))
        operands = self.batched_operands(size, inputs, batched, flags)
        fixed = self.consts
        steps = ops.constant(0, int64)
        results = apply(op.counting(), *operands[:fixed], steps, *operands[fixed:])
        return self.batched_results(results[1:], flags), tuple(flags)

    def _masked_body(self) -> Graph:
        """The body that gives the carries back where the condition fails, and slices of zeros."""
        (verdict,) = self.condition.outputs
        old = self.body_inputs[1]
        outputs = []
        for k, new in enumerate(self.body.outputs):
            other = old[k] if k < self.carries else ops.zeros_like(new)
            outputs.append(ops.where(ops.broadcast(verdict, new.shape), new, other))
        return self.body.replace(outputs)

    def counting(self) -> While:
        """The same loop with a counter of its steps as the first carry."""
        consts, carries, slices = self.body_inputs
        steps = parameter("steps", TensorType((), int64))
        body = Graph((*consts, steps, *carries, *slices), (ops.add(steps, 1), *self.body.outputs))
        return self.resized(body, self.consts, self.carries + 1)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for note, limit, length in (("ordinary", 9.0, 20), ("never", -1.0, 5), ("always", 1e9, 4)):
            x = source.floats((3,), float64, (0.5, 1.0))
            op = _growth(length)
            yield Sample(f"{note}", op, (np.array(limit), np.array(0), x), True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = _growth(3)
        limit, steps = ((), float64), ((), int64)
        yield refuses(op, ShapeError, "required float64[], int64[], float64[3]", limit, steps)
        wrong = ((4,), float64)
        yield refuses(op, ShapeError, "required float64[], int64[]", limit, steps, wrong)


def _growth(length: int) -> While:
    """x = x·(1.5 + 0.1·sin x) while Σx < limit: a loop for samples."""
    limit, x = (parameter(n, TensorType(s, float64)) for n, s in (("limit", ()), ("x", (3,))))
    factor = ops.add(ops.multiply(ops.sin(x), 0.1), 1.5)
    body = Graph((limit, x), (ops.multiply(x, factor),))
    condition = Graph((limit, x), (ops.less(ops.sum_all(x), limit),))
    return While(body, 1, 1, length, condition=condition).counting()
