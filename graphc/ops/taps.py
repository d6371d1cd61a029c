"""Marks on values that are watched while a step runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphc import ops
from graphc.dtypes import bool_, float32, float64
from graphc.errors import DTypeError
from graphc.ir.graph import Node, Value, apply
from graphc.ops.convert import Identity
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class Tap(Identity):
    """The same value, which the trace of a step finds by its label; with `backward` it is the
    cotangent that arrives here that is found.
    """

    name = "tap"
    kinds = "f"
    in_onnx = "Identity"
    label: str
    backward: bool = False

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return apply(Tap(self.label), g)[0] if self.backward else g

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        return tangents

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in (float32, float64):
            for shape in ((), (2, 3), (0, 2)):
                yield Sample(f"{dtype} {shape}", cls("h"), (source.floats(shape, dtype),), True)
        yield Sample("of the gradient", cls("h", True), (source.floats((3,), float64),), True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls("h"), DTypeError, "required float", ((3,), bool_))


#: What is measured of a value, in this order.
MEASURES = ("norm", "minimum", "maximum", "zeros", "nonfinite")


def tap(x: Value, label: str, backward: bool) -> Value:
    return apply(Tap(label, backward), x)[0]


def is_watched(node: Node) -> bool:
    """Whether a node marks a value that is watched: not so where its gradient is."""
    return isinstance(node.op, Tap) and not node.op.backward


def label(node: Node) -> str:
    assert isinstance(node.op, Tap)
    return node.op.label


def measured(x: Value) -> Value:
    """float64[5] of a value: its 2-norm, its extremes, the fraction of zeros and of elements that
    are not finite; NaN where there are no elements, but for the norm.
    """
    if x.type.size == 0:
        return ops.constant([0.0, *[float("nan")] * 4], float64)
    axes = tuple(range(len(x.shape)))

    def fraction(where: Value) -> Value:
        return ops.divide(ops.sum(ops.astype(where, float64), axes), x.type.size)

    wide = ops.astype(x, float64)
    numbers = (
        ops.sqrt(ops.sum(ops.square(wide), axes)),
        ops.astype(ops.min(x, axes), float64),
        ops.astype(ops.max(x, axes), float64),
        fraction(ops.equal(x, ops.zeros_like(x))),
        fraction(ops.logical_not(ops.isfinite(x))),
    )
    return ops.concat([ops.reshape(v, (1,)) for v in numbers], 0)
