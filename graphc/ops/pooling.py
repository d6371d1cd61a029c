"""Pooling over the spatial axes of x[n, i…, c]: reductions of the view of all windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, TensorType, bool_, float32, float64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Expr, Load, call, const, index
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.loops import For, Stmt, Store
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Expand, Index, Nest, NestIO, unravel
from graphc.ir.terms import Term
from graphc.ops.geometry import Geometry
from graphc.ops.nests import ZERO, counter, filled, over
from graphc.ops.samples import Refusal, Sample, Source, of_dtypes, refuses
from graphc.ops.windows import fold, padded, windows

Padding = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class MaxPool(Op):
    """out[n, o…, c] = the largest element of each window; NaN wins. Padding, which is smaller than
    the window, never does. The first of several largest elements, in row-major order, takes the
    gradient.
    """

    name = "max_pool"
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        what = f"max_pool({x}, {self.kernel})"
        geometry = Geometry(self.kernel, self.strides, self.padding, (1,) * len(self.kernel))
        geometry.check(x.shape[1:-1], what)
        if any(max(pair) >= k for pair, k in zip(self.padding, self.kernel, strict=True)):
            raise ShapeError(located(f"{what}: padding smaller than the window required"))
        if x.dtype is bool_:
            raise DTypeError(located(f"{what}: required a numeric dtype"))
        return (x.with_shape((x.shape[0], *geometry.windows(x.shape[1:-1]), x.shape[-1])),)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return plain.max_pool(x, self.kernel, self.strides, self.padding)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        sizes = [Term(str(v)) for v in (self.kernel, self.strides, self.padding)]
        return to.plain("max_pool", *operands, *sizes)

    def onnx(
        self, to: Builder, types: Sequence[TensorType], *operands: str
    ) -> Sequence[str] | None:
        if not types[0].dtype.is_float:
            return None
        d = len(self.kernel)
        pads = [pair[side] for side in (0, 1) for pair in self.padding]
        x = to.node("Transpose", *operands, perm=[0, d + 1, *range(1, d + 1)])
        sizes = {"kernel_shape": self.kernel, "strides": self.strides, "pads": pads}
        y = to.node("MaxPool", x, **sizes)
        return (to.node("Transpose", y, perm=[0, *range(2, d + 2), 1]),)

    def flops(self, x: TensorType) -> int:
        return self.infer(x)[0].size * math.prod(self.kernel) if x.dtype.is_float else 0

    def spec(self, x: TensorType) -> Nest | Expand:
        if any(pair != (0, 0) for pair in self.padding):
            inner = MaxPool(self.kernel, self.strides, ((0, 0),) * len(self.kernel))
            return Expand(lambda v: (apply(inner, self.padded(v))[0],))
        y, width = self.infer(x)[0].shape, x.shape[-1]

        def body(io: NestIO) -> list[Stmt]:
            image, first = unravel(io.unit, y[:2])
            best = io.scratch[0]

            def window(o: Index) -> list[Stmt]:
                def larger(k: Index, i: Index) -> list[Stmt]:
                    c = counter(io, "c")
                    before, new = io.fetch((image, *i, c))
                    held = Load(x.dtype, best, c)
                    larger = call(f"gx_maximum_{x.dtype.suffix}", x.dtype, held, new)
                    return [For(c, ZERO, index(width), [*before, Store(best, c, larger)])]

                c = counter(io, "c")
                leave = io.write(0, (image, *o, c), Load(x.dtype, best, c))
                return [
                    filled(io, best, width, const(_lowest(x.dtype.numpy), x.dtype)),
                    *self.geometry.taps(io, o, larger),
                    For(c, ZERO, index(width), [leave]),
                ]

            return each_window(io, first, y, window)

        cost = 2 * math.prod(self.kernel) * math.prod(y[2:])
        return Nest(math.prod(y[:2]) if math.prod(y) else 0, body, cost, ((x.dtype, width),), 0)

    @property
    def geometry(self) -> Geometry:
        d = len(self.kernel)
        return Geometry(self.kernel, self.strides, ((0, 0),) * d, (1,) * d)

    def padded(self, x: Value) -> Value:
        return padded(x, self.padding, ops.constant(_lowest(x.dtype.numpy)))

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x = node.inputs[0]
        taps = ops.max_pool_taps(self.padded(x), self.kernel, self.strides)
        given = ops.max_pool_spread(taps, g, self.kernel)
        return (fold(given, x.shape[1:-1], self.strides, self.padding),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        if t is None:
            return (None,)
        zero = ops.constant(0, t.dtype)
        every = windows(t, self.kernel, self.strides, self.padding, zero)
        chosen = ops.max_pool_chosen(self.padded(node.inputs[0]), self.kernel, self.strides)
        moved = ops.where(chosen, every, ops.zeros_like(every))
        d = len(self.kernel)
        return (ops.sum(moved, tuple(range(1 + d, 1 + 2 * d))),)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return ops.batch_merged(self, size, inputs, batched)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for note, shape, kernel, strides, padding in pooling_cases():
            op = cls(kernel, strides, padding)
            yield Sample(f"{note} float64", op, (source.distinct(shape, float64),), True)
        op = cls((2, 2), (2, 2), ((0, 0), (0, 0)))
        overlapping = cls((3, 2), (1, 2), ((1, 0), (1, 1)))
        for dtype in of_dtypes(ALL, "uif"):
            yield Sample(f"tiles {dtype}", op, (source.distinct((1, 4, 4, 2), dtype),), True)
            x = source.array((1, 4, 5, 2), dtype)
            yield Sample(f"overlapping {dtype}", overlapping, (x,))
        rows = source.array((1, 4, 4, 1), float32)
        rows[0, 0, 0], rows[0, 3, 3], rows[0, 0, 3] = np.nan, np.inf, -np.inf
        yield Sample("special", op, (rows,))
        yield Sample("special, overlapping", overlapping, (np.full((1, 4, 5, 1), -np.inf),))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls((2,), (2,), ((0, 0),))
        yield refuses(op, ShapeError, "larger than the padded input", ((1, 1, 3), float32))
        yield refuses(op, ShapeError, "for 2 axes required", ((1, 4, 4, 3), float32))
        yield refuses(op, DTypeError, "a numeric dtype", ((1, 4, 3), bool_))
        wide = cls((2,), (2,), ((2, 0),))
        yield refuses(wide, ShapeError, "smaller than the window", ((1, 4, 3), float32))


def each_window(
    io: NestIO, first: Expr, y: tuple[int, ...], body: Callable[[Index], list[Stmt]]
) -> list[Stmt]:
    """The body for every window whose place along the first axis is given; y[n, o…, c]."""
    rest = [counter(io, "o") for _ in y[2:-1]]
    return over(rest, y[2:-1], body((first, *rest)))


def _lowest(dtype: np.dtype) -> np.ndarray:
    """What every element of a dtype is at least."""
    return np.array(-np.inf if dtype.kind == "f" else np.iinfo(dtype).min, dtype)


def pooling_cases() -> Iterator[tuple]:
    """Note, shape of x, window, strides and padding."""
    yield "tiles", (2, 4, 6, 3), (2, 3), (2, 3), ((0, 0), (0, 0))
    yield "tiles and a rest", (1, 5, 7, 2), (2, 2), (2, 2), ((0, 0), (0, 0))
    yield "overlapping", (2, 5, 6, 2), (3, 2), (1, 2), ((0, 0), (0, 0))
    yield "padded", (1, 5, 6, 2), (3, 3), (2, 2), ((1, 1), (1, 0))
    yield "padded tiles", (1, 5, 6, 2), (2, 2), (2, 2), ((1, 0), (0, 1))
    yield "gaps", (1, 7, 2), (2,), (3,), ((0, 0),)
    yield "one axis", (2, 6, 3), (6,), (1,), ((0, 0),)
    yield "no images", (0, 4, 2), (2,), (1,), ((1, 1),)
    yield "no channels", (1, 4, 0), (2,), (2,), ((0, 0),)


def max_pool(
    x: Value, kernel: tuple[int, ...], strides: tuple[int, ...], padding: Padding
) -> Value:
    return apply(MaxPool(kernel, strides, padding), x)[0]


def sum_pool(
    x: Value, kernel: tuple[int, ...], strides: tuple[int, ...], padding: Padding
) -> Value:
    """out[n, o…, c] = the sum of each window, padding being zero."""
    d = len(kernel)
    what = f"sum_pool({x.type}, {kernel})"
    Geometry(kernel, strides, padding, (1,) * d).check(x.shape[1:-1], what)
    every = windows(x, kernel, strides, padding, ops.constant(0, x.dtype))
    return ops.sum(every, tuple(range(1 + d, 1 + 2 * d)))


def avg_pool(
    x: Value,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Padding,
    count_padding: bool = True,
) -> Value:
    """The mean of each window of floats; of its elements inside x alone if not `count_padding`."""
    total = sum_pool(x, kernel, strides, padding)
    if count_padding:
        return ops.multiply(total, 1 / math.prod(kernel))
    counts = np.ones(())
    for n, count, k, s, (before, _) in zip(
        x.shape[1:-1], total.shape[1:-1], kernel, strides, padding, strict=True
    ):
        start = s * np.arange(count) - before
        inside = np.minimum(start + k, n) - np.maximum(start, 0)
        counts = np.multiply.outer(counts, inside)
    axes = tuple(range(1, 1 + len(kernel)))
    share = ops.constant(1 / counts, x.dtype)
    return ops.multiply(total, ops.broadcast(share, total.shape, axes))
