"""Shape operators: index maps, which consumers read through at no cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, TensorType, float64
from graphc.errors import ShapeError
from graphc.ir.expr import Expr
from graphc.ir.expr import index as position
from graphc.ir.graph import Node, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Strided, View, row_major, unravel
from graphc.ir.terms import Term
from graphc.ops.families import Linear
from graphc.ops.samples import Refusal, Sample, Source, refuses


class IndexMap(Linear):
    """out[i] = in[index(i)]; a subclass gives `index` and `strided`."""

    exact = "buif"

    def index(self, source: tuple[int, ...], i: Index) -> Index:
        raise TypeError

    def strided(self, source: Strided) -> Strided | None:
        raise TypeError

    def spec(self, x: TensorType) -> View:
        return View(lambda i: self.index(x.shape, i), self.strided)

    @classmethod
    def variants(cls) -> Sequence[tuple[tuple[int, ...], IndexMap]]:
        """Shapes of the input and instances to test; the first is tested in every dtype."""
        raise TypeError

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        (shape, op), *others = cls.variants()
        for dtype in ALL:
            yield Sample(f"ordinary {dtype}", op, (source.array(shape, dtype),), True)
        for shape, op in others:
            yield Sample(f"of {shape}", op, (source.array(shape, float64),), True)
        strided = source.array((*others[0][0], 2), float64)[..., 1]
        yield Sample("strided", others[0][1], (strided,), True)


@dataclass(frozen=True)
class Reshape(IndexMap):
    """The same elements in row-major order under another shape."""

    name = "reshape"
    shape: tuple[int, ...]

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if math.prod(self.shape) != x.size:
            raise ShapeError(
                located(
                    f"reshape({x}, {self.shape}): {math.prod(self.shape)} elements required,"
                    f" got {x.size}"
                )
            )
        return (x.with_shape(self.shape),)

    def formula(self, *operands: Term) -> Term:
        return operands[0]

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(self.shape)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return Term(f"{operands[0].atom}.reshape({self.shape})")

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("Reshape", *operands, to.constant(list(self.shape)), allowzero=1),)

    def index(self, source: tuple[int, ...], i: Index) -> Index:
        kept = _common_prefix(source, self.shape)
        flat: Expr = position(0)
        for extent, k in zip(self.shape[kept:], i[kept:], strict=True):
            if extent != 1:
                flat = flat * extent + k
        return (*i[:kept], *unravel(flat, source[kept:]))

    def strided(self, source: Strided) -> Strided | None:
        strides = _regrouped(source, self.shape)
        return None if strides is None else Strided(self.shape, strides, source.offset)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return (ops.reshape(g, node.inputs[0].shape),)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return (ops.reshape(inputs[0], (size, *self.shape)),), (True,)

    @classmethod
    def variants(cls) -> Sequence[tuple[tuple[int, ...], IndexMap]]:
        return (
            ((2, 6), cls((3, 4))),
            ((4, 3, 2), cls((2, 2, 6))),
            ((2, 3, 4), cls((2, 12, 1))),
            ((6,), cls((1, 6, 1))),
            ((), cls((1, 1))),
            ((1, 1), cls(())),
            ((0, 3), cls((2, 0))),
        )

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls((5,)), ShapeError, "5 elements required, got 6", ((2, 3), float64))


def _common_prefix(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """How many leading axes two shapes of equal size share, so that they need no arithmetic."""
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n] and a[n] != 0:
        n += 1
    return n


def _regrouped(source: Strided, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Strides of a reshape that moves nothing, or None: NumPy's rule. Axes of the source are
    merged where they are contiguous to one another, then split into the new extents.
    """
    if 0 in shape:
        return row_major(shape)
    old = [(n, s) for n, s in zip(source.shape, source.strides, strict=True) if n != 1]
    strides: list[int] = []
    k = 0
    j = 0
    while j < len(shape):
        if shape[j] == 1:
            strides.append(0)
            j += 1
            continue
        if k >= len(old):
            return None
        have, last = old[k]
        k += 1
        want, start = shape[j], j
        j += 1
        while have != want:
            if have < want:
                if k >= len(old) or last != old[k][0] * old[k][1]:
                    return None
                have, last = have * old[k][0], old[k][1]
                k += 1
            else:
                if j >= len(shape):
                    return None
                want *= shape[j]
                j += 1
        step = last
        group = []
        for extent in reversed(shape[start:j]):
            group.append(step)
            step *= extent
        strides.extend(reversed(group))
    return tuple(strides)


@dataclass(frozen=True)
class Permute(IndexMap):
    """Axis k of the result is axis `axes[k]` of the input."""

    name = "permute_dims"
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if sorted(self.axes) != list(range(x.ndim)):
            raise ShapeError(
                located(f"permute_dims({x}, {self.axes}): required an order of {x.ndim} axes")
            )
        return (x.with_shape(tuple(x.shape[a] for a in self.axes)),)

    @property
    def channels_first(self) -> bool:
        """Whether an image [n, …, c] becomes [n, c, …]."""
        n = len(self.axes)
        return n > 3 and self.axes == (0, n - 1, *range(1, n - 1))

    @property
    def _transposes(self) -> bool:
        n = len(self.axes)
        return n > 1 and self.axes == (*range(n - 2), n - 1, n - 2)

    def formula(self, *operands: Term) -> Term:
        if self._transposes:
            return Term(f"{operands[0].atom}ᵀ")
        return super().formula(*operands)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        if self._transposes:
            return Term(f"{operands[0].atom}.{'T' if len(self.axes) == 2 else 'mT'}")
        return Term(f"{operands[0].atom}.{to.either('transpose', 'permute')}({self.axes})")

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        if not self.axes:
            return operands
        return (to.node("Transpose", *operands, perm=list(self.axes)),)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.transpose(x, self.axes)

    def index(self, source: tuple[int, ...], i: Index) -> Index:
        return tuple(i[self.axes.index(k)] for k in range(len(source)))

    def strided(self, source: Strided) -> Strided | None:
        return Strided(
            tuple(source.shape[a] for a in self.axes),
            tuple(source.strides[a] for a in self.axes),
            source.offset,
        )

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return (ops.permute(g, tuple(int(a) for a in np.argsort(self.axes))),)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return (ops.permute(inputs[0], (0, *(a + 1 for a in self.axes))),), (True,)

    @classmethod
    def variants(cls) -> Sequence[tuple[tuple[int, ...], IndexMap]]:
        return (
            ((2, 3), cls((1, 0))),
            ((2, 3, 4), cls((2, 0, 1))),
            ((2, 1, 3, 2), cls((3, 1, 0, 2))),
            ((), cls(())),
            ((0, 2), cls((1, 0))),
        )

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls((0,)), ShapeError, "an order of 2 axes", ((2, 3), float64))
        yield refuses(cls((0, 0)), ShapeError, "an order of 2 axes", ((2, 3), float64))


@dataclass(frozen=True)
class Broadcast(IndexMap):
    """Axis k of the input becomes axis `axes[k]` of the shape; other axes are new. An axis of
    extent 1 may be stretched.
    """

    name = "broadcast_to"
    shape: tuple[int, ...]
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        fits = len(self.axes) == x.ndim and all(
            a < len(self.shape) and x.shape[k] in (1, self.shape[a])
            for k, a in enumerate(self.axes)
        )
        if not fits or list(self.axes) != sorted(set(self.axes)):
            raise ShapeError(located(f"broadcast_to({x}, {self.shape}): shapes do not broadcast"))
        return (x.with_shape(self.shape),)

    def formula(self, *operands: Term) -> Term:
        return operands[0]

    def lined_up(self, operand: Term, type: TensorType) -> Term:
        if not self.axes:
            return operand
        first = self.axes[0]
        places = [":" if a in self.axes else "None" for a in range(first, len(self.shape))]
        return operand if "None" not in places else Term(f"{operand.atom}[{', '.join(places)}]")

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        (operand,) = operands
        if operand.literal:
            return to.full(operand, self.shape, types[0].dtype)
        return to.function("broadcast_to", self.lined_up(operand, types[0]), Term(str(self.shape)))

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        spread = [1] * len(self.shape)
        for k, a in enumerate(self.axes):
            spread[a] = types[0].shape[k]
        lined = to.node("Reshape", *operands, to.constant(spread), allowzero=1)
        return (to.node("Expand", lined, to.constant(list(self.shape))),)

    def reference(self, x: np.ndarray) -> np.ndarray:
        spread = [1] * len(self.shape)
        for k, a in enumerate(self.axes):
            spread[a] = x.shape[k]
        return np.broadcast_to(x.reshape(spread), self.shape)

    def index(self, source: tuple[int, ...], i: Index) -> Index:
        return tuple(
            i[a] if source[k] == self.shape[a] else position(0) for k, a in enumerate(self.axes)
        )

    def strided(self, source: Strided) -> Strided | None:
        strides = [0] * len(self.shape)
        for k, a in enumerate(self.axes):
            if source.shape[k] == self.shape[a]:
                strides[a] = source.strides[k]
        return Strided(self.shape, tuple(strides), source.offset)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x = node.inputs[0]
        stretched = [
            a
            for a in range(len(self.shape))
            if a not in self.axes or x.shape[self.axes.index(a)] != self.shape[a]
        ]
        return (ops.reshape(ops.sum(g, tuple(stretched)), x.shape),)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        axes = (0, *(a + 1 for a in self.axes))
        return apply(Broadcast((size, *self.shape), axes), inputs[0]), (True,)

    @classmethod
    def variants(cls) -> Sequence[tuple[tuple[int, ...], IndexMap]]:
        return (
            ((3,), cls((2, 3), (1,))),
            ((3, 1), cls((2, 3, 4), (1, 2))),
            ((2, 3), cls((2, 4, 3), (0, 2))),
            ((), cls((2, 2), ())),
            ((1, 1), cls((5, 1), (0, 1))),
            ((1,), cls((0,), (0,))),
            ((0, 2), cls((3, 0, 2), (1, 2))),
        )

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls((2, 3), (1,))
        yield refuses(op, ShapeError, "do not broadcast", ((2,), float64))
        yield refuses(op, ShapeError, "do not broadcast", ((3, 3), float64))
        yield refuses(cls((2, 2), (1, 0)), ShapeError, "do not broadcast", ((2, 2), float64))


def reshape(x: Value, shape: tuple[int, ...]) -> Value:
    return x if x.shape == shape else apply(Reshape(shape), x)[0]


def permute(x: Value, axes: tuple[int, ...]) -> Value:
    return x if axes == tuple(range(len(axes))) else apply(Permute(axes), x)[0]


def broadcast(x: Value, shape: tuple[int, ...], axes: tuple[int, ...] | None = None) -> Value:
    """Spreads x over a shape; by default its axes are the last ones, as in NumPy."""
    if axes is None:
        axes = tuple(range(len(shape) - len(x.shape), len(shape)))
    return x if x.shape == shape else apply(Broadcast(shape, axes), x)[0]
