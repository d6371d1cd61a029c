"""The view of all windows over the spatial axes of x[n, i…, c], and the sum back, its transpose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, float32, float64, int32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import index
from graphc.ir.graph import Node, Value, apply
from graphc.ir.loops import For, Stmt
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Nest, NestIO, Strided, unravel
from graphc.ir.terms import Term
from graphc.ops.families import Linear
from graphc.ops.geometry import Geometry
from graphc.ops.nests import ZERO, Sums, counter
from graphc.ops.samples import Refusal, Sample, Source, refuses
from graphc.ops.shape import IndexMap


@dataclass(frozen=True)
class Windows(IndexMap):
    """out[n, o…, k…, c] = x[n, o·stride + k·dilation, c]: every window of x, whose elements repeat
    where windows overlap. There is no padding.
    """

    name = "windows"
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def geometry(self) -> Geometry:
        nothing = ((0, 0),) * len(self.kernel)
        return Geometry(self.kernel, self.strides, nothing, self.dilation)

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        self.geometry.check(x.shape[1:-1], f"windows {self.kernel} of {x}")
        windows = self.geometry.windows(x.shape[1:-1])
        return (x.with_shape((x.shape[0], *windows, *self.kernel, x.shape[-1])),)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(plain.windows(x, self.kernel, self.strides, self.dilation))

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        sizes = [Term(str(v)) for v in (self.kernel, self.strides, self.dilation)]
        return to.plain("windows", *operands, *sizes)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        (x,) = operands
        d = len(self.kernel)
        counts = self.geometry.windows(types[0].shape[1:-1])
        for a, (count, k, s, e) in enumerate(
            zip(counts, self.kernel, self.strides, self.dilation, strict=True)
        ):
            at = s * np.arange(count)[:, None] + e * np.arange(k)
            x = to.node("Gather", x, to.constant(at), axis=1 + 2 * a)
        order = [0, *range(1, 2 * d, 2), *range(2, 1 + 2 * d, 2), 1 + 2 * d]
        return (to.node("Transpose", x, perm=order),)

    def index(self, source: tuple[int, ...], i: Index) -> Index:
        d = len(self.kernel)
        moves = zip(i[1 : 1 + d], i[1 + d : -1], self.strides, self.dilation, strict=True)
        spatial = [o * s + k * e for o, k, s, e in moves]
        return (i[0], *spatial, i[-1])

    def strided(self, source: Strided) -> Strided:
        n, *spatial, c = source.strides
        windows = self.geometry.windows(source.shape[1:-1])
        outer = [step * s for step, s in zip(spatial, self.strides, strict=True)]
        inner = [step * e for step, e in zip(spatial, self.dilation, strict=True)]
        shape = (source.shape[0], *windows, *self.kernel, source.shape[-1])
        return Strided(shape, (n, *outer, *inner, c), source.offset)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        extents = node.inputs[0].shape[1:-1]
        return (apply(Fold(extents, self.strides, self.dilation), g)[0],)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return ops.batch_merged(self, size, inputs, batched)

    @classmethod
    def variants(cls) -> Sequence[tuple[tuple[int, ...], IndexMap]]:
        return (
            ((2, 6, 5, 3), cls((3, 2), (1, 2), (1, 1))),
            ((1, 9, 2), cls((3,), (2,), (2,))),
            ((2, 5, 2), cls((1,), (2,), (1,))),
            ((1, 4, 4, 1), cls((4, 4), (1, 1), (1, 1))),
            ((0, 4, 2), cls((2,), (2,), (1,))),
            ((2, 4, 0), cls((3,), (1,), (1,))),
        )

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        x = ((1, 4, 2), float32)
        yield refuses(cls((5,), (1,), (1,)), ShapeError, "larger than the padded input", x)
        yield refuses(cls((2, 2), (1, 1), (1, 1)), ShapeError, "for 1 axes required", x)
        yield refuses(cls((2,), (0,), (1,)), ShapeError, ">= 1 required", x)


@dataclass(frozen=True)
class Fold(Linear):
    """out[n, i…, c] = Σ x[n, o…, k…, c] over all windows o and taps k with o·stride + k·dilation
    = i: the transpose of `windows`, for arrays of `extents`.
    """

    name = "fold"
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]

    def geometry(self, x: TensorType) -> Geometry:
        d = len(self.extents)
        return Geometry(x.shape[1 + d : -1], self.strides, ((0, 0),) * d, self.dilation)

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        d = len(self.extents)
        what = f"fold of {x} to {self.extents}"
        if x.ndim != 2 + 2 * d:
            raise ShapeError(located(f"{what}: {2 + 2 * d} axes required"))
        self.geometry(x).check(self.extents, what)
        if self.geometry(x).windows(self.extents) != x.shape[1 : 1 + d]:
            raise ShapeError(
                located(f"{what}: {self.geometry(x).windows(self.extents)} windows required")
            )
        if not x.dtype.is_float:
            raise DTypeError(located(f"{what}: required float"))
        return (x.with_shape((x.shape[0], *self.extents, x.shape[-1])),)

    def reference(self, x: np.ndarray) -> np.ndarray:
        wide = plain.fold(x.astype(np.float64), self.extents, self.strides, self.dilation)
        return wide.astype(x.dtype)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        sizes = [Term(str(v)) for v in (self.extents, self.strides, self.dilation)]
        return to.plain("fold", *operands, *sizes)

    def flops(self, x: TensorType) -> int:
        return x.size

    def spec(self, x: TensorType) -> Nest:
        d, width = len(self.extents), x.shape[-1]
        *rows, last = self.extents
        lead = (x.shape[0], *rows)

        def body(io: NestIO) -> list[Stmt]:
            sums = Sums(io, io.scratch[0], x.dtype)
            image, *head = unravel(io.unit, lead)
            i = counter(io, "i")

            def add(k: Index, o: Index) -> list[Stmt]:
                c = counter(io, "c")
                return [For(c, ZERO, index(width), [sums.add(c, io.read(0, (image, *o, *k, c)))])]

            steps = [
                sums.clear(width),
                *self.geometry(x).owners(io, (*head, i), self.extents, add),
                sums.leave(width, lambda c, total: io.write(0, (image, *head, i, c), total)),
            ]
            return [For(i, ZERO, index(last), steps)]

        units = math.prod(lead) if x.size else 0
        cost = last * width * math.prod(x.shape[1 + d : -1])
        return Nest(units, body, cost, ((x.dtype, width),))

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        kernel = self.geometry(node.inputs[0].type).kernel
        return (apply(Windows(kernel, self.strides, self.dilation), g)[0],)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return ops.batch_merged(self, size, inputs, batched)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for shape, op in (
            ((2, 4, 2, 3, 2, 3), cls((6, 5), (1, 2), (1, 1))),
            ((1, 3, 3, 2), cls((9,), (2,), (2,))),
            ((2, 2, 3, 4), cls((7,), (4,), (1,))),
            ((1, 1, 1, 4, 4, 1), cls((4, 4), (1, 1), (1, 1))),
            ((0, 2, 2, 2), cls((4,), (2,), (1,))),
            ((2, 2, 3, 0), cls((4,), (1,), (1,))),
        ):
            for dtype in (float32, float64):
                yield Sample(f"of {shape} {dtype}", op, (source.array(shape, dtype),), True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls((4,), (2,), (1,))
        yield refuses(op, ShapeError, "4 axes required", ((1, 2, 2), float32))
        yield refuses(op, ShapeError, "(2,) windows required", ((1, 3, 2, 1), float32))
        yield refuses(op, ShapeError, "larger than", ((1, 1, 5, 1), float32))
        yield refuses(op, DTypeError, "required float", ((1, 2, 2, 1), int32))


def padded(x: Value, padding: tuple[tuple[int, int], ...], fill: Value) -> Value:
    """x[n, i…, c] with `fill`, a scalar, before and after each spatial axis."""
    extents = tuple(n + b + a for n, (b, a) in zip(x.shape[1:-1], padding, strict=True))
    if extents == x.shape[1:-1]:
        return x
    starts = (0, *(before for before, _ in padding), 0)
    return ops.pad(x, fill, (x.shape[0], *extents, x.shape[-1]), starts)


def windows(
    x: Value,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    fill: Value,
) -> Value:
    """All windows [n, o…, k…, c] of x[n, i…, c] with `fill`, a scalar, around it. Windows that do
    not overlap are only another shape of x.
    """
    x = padded(x, padding, fill)
    d = len(kernel)
    if kernel != strides:
        return apply(Windows(kernel, strides, (1,) * d), x)[0]
    counts = tuple(n // k for n, k in zip(x.shape[1:-1], kernel, strict=True))
    used = tuple(count * k for count, k in zip(counts, kernel, strict=True))
    if used != x.shape[1:-1]:
        lengths = (x.shape[0], *used, x.shape[-1])
        x = ops.slice(x, (0,) * len(lengths), lengths, (1,) * len(lengths))
    split = [m for pair in zip(counts, kernel, strict=True) for m in pair]
    tiles = ops.reshape(x, (x.shape[0], *split, x.shape[-1]))
    return ops.permute(tiles, (0, *range(1, 1 + 2 * d, 2), *range(2, 2 + 2 * d, 2), 1 + 2 * d))


def fold(
    every: Value,
    extents: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
) -> Value:
    """The transpose of `windows`: x[n, i…, c] of some extents, in which every element is the sum of
    what its windows, every[n, o1, k1, o2, k2, …, c], hold at its place.
    """
    d = len(extents)
    n, c, kernel = every.shape[0], every.shape[-1], every.shape[2:-1:2]
    outer = tuple(m + b + a for m, (b, a) in zip(extents, padding, strict=True))
    if kernel != strides:
        x = ops.permute(every, (0, *range(1, 2 * d, 2), *range(2, 2 * d + 1, 2), 1 + 2 * d))
        x = apply(Fold(outer, strides, (1,) * d), x)[0]
    else:
        used = tuple(o * k for o, k in zip(every.shape[1:-1:2], kernel, strict=True))
        x = ops.reshape(every, (n, *used, c))
        if used != outer:
            x = ops.unslice(x, (n, *outer, c), (0,) * (2 + d), (1,) * (2 + d))
    if outer == extents:
        return x
    starts = (0, *(before for before, _ in padding), 0)
    return ops.slice(x, starts, (n, *extents, c), (1,) * (2 + d))
