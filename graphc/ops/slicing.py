"""Rectangular parts of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, float64
from graphc.errors import ShapeError
from graphc.ir.graph import Node, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Strided
from graphc.ir.terms import Term
from graphc.ops.samples import Refusal, refuses
from graphc.ops.shape import IndexMap


@dataclass(frozen=True)
class Slice(IndexMap):
    """Along each axis `lengths[k]` elements from `starts[k]` on, every `steps[k]`-th (steps may be
    negative): a basic NumPy slice with its bounds resolved.
    """

    name = "slice"
    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    steps: tuple[int, ...]

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if len(self.lengths) != x.ndim:
            raise ShapeError(located(f"slice({x}) by {self.lengths}: numbers of axes differ"))
        for extent, start, length, step in zip(
            x.shape, self.starts, self.lengths, self.steps, strict=True
        ):
            last = start + (length - 1) * step
            if length and not (0 <= start < extent and 0 <= last < extent):
                raise ShapeError(
                    located(f"slice({x}): {start}…{last} is outside an axis of {extent}")
                )
        return (x.with_shape(self.lengths),)

    def _places(self, extents: Sequence[int], ascending: bool) -> str:
        """The index in Python; with `ascending`, axes that run backwards are taken forwards."""
        words = []
        for n, start, length, step in zip(
            extents, self.starts, self.lengths, self.steps, strict=True
        ):
            if step < 0 and ascending:
                start, step = start + (length - 1) * step if length else 0, -step
            stop = start + length * step
            begin = "" if start == (0 if step > 0 else n - 1) else str(start)
            end = "" if (stop >= n if step > 0 else stop < 0) else str(stop)
            words.append(f"{begin}:{end}" + ("" if step == 1 else f":{step}"))
        while words and words[-1] == ":":
            words.pop()
        return ", ".join(words)

    def formula(self, *operands: Term) -> Term:
        # Extents are not known here; ends are written out.
        far = [
            start + n * step
            for start, n, step in zip(self.starts, self.lengths, self.steps, strict=True)
        ]
        words = [
            f"{a}:{b}" if s == 1 else f"{a}:{b}:{s}"
            for a, b, s in zip(self.starts, far, self.steps, strict=True)
        ]
        return Term(f"{operands[0].atom}[{', '.join(words)}]")

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        places = self._places(types[0].shape, ascending=not to.is_numpy)
        term = Term(f"{operands[0].atom}[{places}]") if places else operands[0]
        turned = tuple(a for a, step in enumerate(self.steps) if step < 0)
        if turned and not to.is_numpy:
            return Term(f"{term.text}.flip({turned})")
        return term

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        if not self.starts:
            return operands
        ends = [
            # Below zero counts from the end: before the first element is far below.
            end if (end := start + n * step) >= 0 else -(2**31)
            for start, n, step in zip(self.starts, self.lengths, self.steps, strict=True)
        ]
        parts = (list(self.starts), ends, list(range(len(ends))), list(self.steps))
        return (to.node("Slice", *operands, *map(to.constant, parts)),)

    def reference(self, x: np.ndarray) -> np.ndarray:
        for axis, (start, length, step) in enumerate(
            zip(self.starts, self.lengths, self.steps, strict=True)
        ):
            x = np.take(x, start + step * np.arange(length), axis)
        return x

    def index(self, source: tuple[int, ...], i: Index) -> Index:
        return tuple(
            k * step + start for k, start, step in zip(i, self.starts, self.steps, strict=True)
        )

    def strided(self, source: Strided) -> Strided | None:
        offset = source.offset
        for start, stride in zip(self.starts, source.strides, strict=True):
            offset += start * stride
        strides = tuple(s * k for s, k in zip(source.strides, self.steps, strict=True))
        return Strided(self.lengths, strides, offset)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return (ops.unslice(g, node.inputs[0].shape, self.starts, self.steps),)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        op = Slice((0, *self.starts), (size, *self.lengths), (1, *self.steps))
        return apply(op, inputs[0]), (True,)

    @classmethod
    def variants(cls) -> Sequence[tuple[tuple[int, ...], IndexMap]]:
        return (
            ((5, 4), cls((1, 3), (3, 2), (1, -2))),
            ((9,), cls((8,), (3,), (-4,))),
            ((4, 6), cls((0, 1), (2, 3), (3, 2))),
            ((), cls((), (), ())),
            ((3, 2), cls((3, 0), (0, 2), (1, 1))),
            ((0, 2), cls((0, 1), (0, 1), (1, 1))),
        )

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        outside = "is outside an axis of 3"
        yield refuses(cls((1,), (3,), (1,)), ShapeError, outside, ((3,), float64))
        yield refuses(cls((0,), (2,), (-1,)), ShapeError, outside, ((3,), float64))
        yield refuses(cls((0,), (1,), (1,)), ShapeError, "numbers of axes", ((3, 3), float64))


def slice(
    x: Value, starts: tuple[int, ...], lengths: tuple[int, ...], steps: tuple[int, ...]
) -> Value:
    return apply(Slice(starts, lengths, steps), x)[0]


def flip(x: Value, axes: tuple[int, ...]) -> Value:
    """Reverses the order along some axes."""
    starts = tuple(n - 1 if a in axes and n else 0 for a, n in enumerate(x.shape))
    steps = tuple(-1 if a in axes else 1 for a in range(len(x.shape)))
    return slice(x, starts, x.shape, steps)
