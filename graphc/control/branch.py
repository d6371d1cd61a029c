"""The choice between two graphs: `cond`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.autodiff import forward
from graphc.autodiff.batching import batched_values
from graphc.control import onnx_loops
from graphc.control.branch_backward import branch_vjp
from graphc.control.owner import Owner, body_flops, called, check_operands, is_constant, parameter
from graphc.dtypes import TensorType, bool_, float64
from graphc.errors import ShapeError
from graphc.ir.graph import Graph, Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.spec import Branch
from graphc.ir.structure import rebuilt
from graphc.ir.terms import Term, call
from graphc.ir.toposort import toposort
from graphc.ops.samples import Refusal, Sample, Source, refuses
from graphc.reference import evaluate


@dataclass(frozen=True, eq=False)
class Cond(Owner):
    """A bool, operands -> the results of `yes` where it is true, else of `no`. Both graphs have the
    same inputs, as values too.
    """

    name = "cond"
    yes: Graph
    no: Graph

    @property
    def bodies(self) -> tuple[Graph, ...]:
        return (self.yes, self.no)

    def with_bodies(self, bodies: Sequence[Graph]) -> Cond:
        return Cond(*bodies)

    def reading(self, value: Value, bodies: Sequence[Graph]) -> tuple[Cond, int]:
        """The value is the last of the operands."""
        yes, no = (Graph((*body.inputs, value), body.outputs) for body in bodies)
        return Cond(yes, no), 1 + len(self.yes.inputs)

    def attributes(self) -> str:
        return ""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        wanted = [TensorType((), bool_), *[v.type for v in self.yes.inputs]]
        check_operands(self.name, wanted, types)
        results = [tuple(v.type for v in body.outputs) for body in self.bodies]
        check_operands(f"{self.name}'s branches", *results)
        return results[0]

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        ((body, given),) = self.runs(*arrays)
        return tuple(evaluate(body, dict(zip(body.inputs, given, strict=True))))

    def runs(self, *arrays: np.ndarray) -> Iterator[tuple[Graph, Sequence[np.ndarray]]]:
        yield self.yes if bool(arrays[0]) else self.no, arrays[1:]

    def spec(self, *types: TensorType) -> Branch:
        return Branch(self.yes, self.no)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        verdict, *given = operands
        yes, no = to.body(self.yes, "when_true"), to.body(self.no, "when_false")
        return call(f"({yes.text} if {verdict.text} else {no.text})", *given)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return onnx_loops.choice(to, operands[0], operands[1:], self.yes, self.no)

    def flops(self, *types: TensorType) -> int:
        """Those of the dearer branch."""
        return max(map(body_flops, self.bodies))

    def vjp(self, node: Node, *cotangents: Value | None) -> Sequence[Value | None]:
        return branch_vjp(self, node, cotangents)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        """A choice between the branches' tangents."""
        moves = [
            None if t is None else parameter(f"d {called(v)}", v.type)
            for v, t in zip(self.yes.inputs, tangents[1:], strict=True)
        ]
        found = [forward.jvp(body.outputs, body.inputs, moves) for body in self.bodies]
        return self._chosen(node, moves, tangents[1:], found)

    def _chosen(
        self,
        node: Node,
        more: Sequence[Value | None],
        operands: Sequence[Value | None],
        found: Sequence[Sequence[Value | None]],
    ) -> list[Value | None]:
        """A choice between values that the branches found, zeros where one found nothing; None
        where none did. `more` are further inputs, `operands` what they are.
        """
        inputs = (*self.yes.inputs, *[v for v in more if v is not None])
        moving = [any(v is not None for v in pair) for pair in zip(*found, strict=True)]
        if not any(moving):
            return [None] * len(moving)
        bodies = []
        for own, body in zip(found, self.bodies, strict=True):
            values = zip(own, body.outputs, moving, strict=True)
            outputs = [ops.zeros_like(v) if t is None else t for t, v, m in values if m]
            bodies.append(Graph(inputs, tuple(outputs)))
        given = [t for t in operands if t is not None]
        results = iter(apply(Cond(*bodies), *node.inputs, *given))
        return [next(results) if m else None for m in moving]

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        """One choice for all examples stays a choice; choices of their own become a selection from
        the results of both branches, which are then both computed.
        """
        examples = {
            v: parameter(called(v), v.type.with_shape((size, *v.shape)))
            for v, moved in zip(self.yes.inputs, batched[1:], strict=True)
            if moved
        }
        found = [batched_values(body.outputs, examples, size) for body in self.bodies]
        if batched[0]:
            given = {
                examples.get(v, v): x for v, x in zip(self.yes.inputs, inputs[1:], strict=True)
            }
            yes, no = (
                ops.batch_all(size, rebuilt([v for v, _ in own], given), [has for _, has in own])
                for own in found
            )
            results = [_selected(inputs[0], a, b) for a, b in zip(yes, no, strict=True)]
            return results, (True,) * len(results)
        flags = [a or b for (_, a), (_, b) in zip(*found, strict=True)]
        inner = tuple(examples.get(v, v) for v in self.yes.inputs)
        bodies = []
        for own in found:
            values = [
                ops.broadcast(v, (size, *v.shape)) if wanted and not has else v
                for (v, has), wanted in zip(own, flags, strict=True)
            ]
            bodies.append(Graph(inner, tuple(values)))
        return apply(Cond(*bodies), *inputs), tuple(flags)

    def narrowed(
        self, inputs: Sequence[Value], used: Sequence[bool]
    ) -> Sequence[Value | None] | None:
        """Without results that nothing uses and operands that nothing reads, that stand twice or
        that are constants: those move into the branches. A choice that is a constant is made.
        """
        verdict, *operands = inputs
        literal = verdict.node.op.literal
        given = dict(zip(self.yes.inputs, operands, strict=True))
        if literal is not None:
            return list(rebuilt((self.yes if literal.reshape(-1)[0] else self.no).outputs, given))
        wanted = [[v for v, u in zip(b.outputs, used, strict=True) if u] for b in self.bodies]
        read = set(toposort([v for part in wanted for v in part]))
        inside: dict[Value, Value] = {}
        kept: dict[Value, Value] = {}
        for v, operand in given.items():
            if v.node not in read:
                continue
            if is_constant(operand):
                inside[v] = rebuilt([operand], {})[0]
            elif operand in kept:
                inside[v] = kept[operand]
            else:
                kept[operand] = v
        if len(kept) == len(operands) and all(used):
            return None
        new = tuple(kept.values())
        bodies = [Graph(new, tuple(rebuilt(part, inside))) for part in wanted]
        results = iter(apply(Cond(*bodies), verdict, *kept))
        return [next(results) if u else None for u in used]

    def joined(self, other: Op) -> tuple[Op, Sequence[int]] | None:
        if not isinstance(other, Cond):
            return None
        given = dict(zip(other.yes.inputs, self.yes.inputs, strict=True))
        bodies = [
            mine.replace([*mine.outputs, *rebuilt(theirs.outputs, given)])
            for mine, theirs in zip(self.bodies, other.bodies, strict=True)
        ]
        first = len(self.yes.outputs)
        return Cond(*bodies), range(first, first + len(other.yes.outputs))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for note, verdict in (("true", True), ("false", False)):
            x, y = source.floats((3, 2), float64), source.floats((2,), float64)
            yield Sample(note, _example(), (np.array(verdict), x, y), True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        verdict, x, y = ((), bool_), ((3, 2), float64), ((2,), float64)
        yield refuses(_example(), ShapeError, "required bool[], float64[3,2]", verdict, x)
        yield refuses(_example(), ShapeError, "required bool[]", y, x, y)


def _selected(verdicts: Value, yes: Value, no: Value) -> Value:
    """Row by row one of two."""
    rows = ops.reshape(verdicts, (*verdicts.shape, *[1] * (len(yes.shape) - 1)))
    return ops.where(ops.broadcast(rows, yes.shape), yes, no)


def _example() -> Cond:
    """sin(exp(x·y / 5)), y or 2·x·y, y²: branches for samples."""
    x, y = (parameter(n, TensorType(s, float64)) for n, s in (("x", (3, 2)), ("y", (2,))))
    product = ops.multiply(x, ops.broadcast(y, x.shape))
    inputs = (x, y)
    yes = Graph(inputs, (ops.sin(ops.exp(ops.multiply(product, 0.2))), y))
    return Cond(yes, Graph(inputs, (ops.multiply(product, 2), ops.square(y))))
