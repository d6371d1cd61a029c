"""The gradient of max pooling: which element of each window is the largest, in a few bits, and a
gradient at those elements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import DType, TensorType, float32, float64, int32, int64, uint8, uint32
from graphc.errors import ShapeError
from graphc.ir.expr import Expr, Load, Var, binary, cast, compare, const, index, logical, select
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.loops import For, Let, Stmt, Store
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Nest, NestIO, row_major, unravel
from graphc.ir.terms import Term
from graphc.ops.families import Discrete
from graphc.ops.geometry import Geometry
from graphc.ops.nests import ZERO, counter
from graphc.ops.pooling import MaxPool, each_window, pooling_cases
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class Packing:
    """How numbers of taps lie in memory: each in `bits` bits, the least of 1, 2, 4, 8 and 32 that
    hold them. Of `width` channels number j + q·h is in bits q·bits and following of byte j, where
    h = ceil(width / (8 / bits)): neighbours in memory are neighbours among the channels.
    """

    bits: int

    @classmethod
    def of(cls, kernel: Sequence[int]) -> Packing:
        taps = math.prod(kernel)
        return cls(next(b for b in (1, 2, 4, 8, 32) if taps <= 1 << b))

    @property
    def dtype(self) -> DType:
        return uint8 if self.bits <= 8 else uint32

    @property
    def parts(self) -> int:
        """Numbers in an element."""
        return max(1, 8 // self.bits)

    def columns(self, width: int) -> int:
        return -(-width // self.parts)


def tap_number(k: Index, kernel: tuple[int, ...], number: DType) -> Expr:
    """The number of a tap, in row-major order."""
    flat: Expr = ZERO
    for at, step in zip(k, row_major(kernel), strict=True):
        flat = flat + at * step
    return cast(flat, number)


def counts(dtype: DType) -> DType:
    """Integers as wide as a dtype, so that loops over both are loops over equal vectors."""
    return int64 if dtype.itemsize == 8 else int32


@dataclass(frozen=True)
class MaxPoolTaps(Discrete):
    """Which tap of each window of x[n, i…, c] max_pool chooses, without padding: numbers in
    row-major order, packed (`Packing`) into an array[n, o…, h].
    """

    name = "max_pool_taps"
    compact = True
    kernel: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def pool(self) -> MaxPool:
        return MaxPool(self.kernel, self.strides, ((0, 0),) * len(self.kernel))

    @property
    def packing(self) -> Packing:
        return Packing.of(self.kernel)

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        (y,) = self.pool.infer(x)
        columns = self.packing.columns(y.shape[-1])
        return (y.with_shape((*y.shape[:-1], columns)).with_dtype(self.packing.dtype),)

    def reference(self, x: np.ndarray) -> np.ndarray:
        found = plain.max_pool_taps(x, self.kernel, self.strides, self.packing.bits)
        return found.astype(self.packing.dtype.numpy)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        sizes = [Term(str(v)) for v in (self.kernel, self.strides, self.packing.bits)]
        return to.cast(to.plain("max_pool_taps", *operands, *sizes), self.packing.dtype)

    def flops(self, x: TensorType) -> int:
        return self.pool.flops(x)

    def spec(self, x: TensorType) -> Nest:
        y, width, dtype = self.pool.infer(x)[0].shape, x.shape[-1], x.dtype
        number, packing = counts(dtype), self.packing
        columns = packing.columns(width)

        def body(io: NestIO) -> list[Stmt]:
            image, first = unravel(io.unit, y[:2])
            best, chosen = io.scratch

            def compare_with(k: Index, i: Index) -> list[Stmt]:
                c = counter(io, "c")
                tap, new, held, at = (
                    Var(t, io.fresh(v))
                    for t, v in ((number, "tap"), (dtype, "new"), (dtype, "held"), (number, "at"))
                )
                isnan = logical("&&", compare("!=", new, new), compare("==", held, held))
                larger = logical("||", compare(">", new, held), isnan)
                better = logical("||", larger, compare("<", at, const(0, number)))
                before, element = io.fetch((image, *i, c))
                step: list[Stmt] = [
                    *before,
                    Let(new, element),
                    Let(held, Load(dtype, best, c)),
                    Let(at, Load(number, chosen, c)),
                    Store(best, c, select(better, new, held)),
                    Store(chosen, c, select(better, tap, at)),
                ]
                number_of = Let(tap, tap_number(k, self.kernel, number))
                return [number_of, For(c, ZERO, index(width), step)]

            def window(o: Index) -> list[Stmt]:
                j = counter(io, "c")
                together: Expr = Load(number, chosen, j)
                for part in range(1, packing.parts):
                    more = Load(number, chosen, j + part * columns)
                    shifted = binary("<<", more, const(part * packing.bits, number))
                    together = binary("|", together, shifted)
                leave = io.write(0, (image, *o, j), cast(together, packing.dtype))
                none, c, rest = const(-1, number), counter(io, "c"), counter(io, "c")
                start: list[Stmt] = [Store(chosen, c, none), Store(best, c, const(0, dtype))]
                # Numbers that no channel has are zero.
                end: list[Stmt] = [Store(chosen, rest, const(0, number))]
                return [
                    For(c, ZERO, index(width), start),
                    For(rest, index(width), index(packing.parts * columns), end),
                    *self.pool.geometry.taps(io, o, compare_with),
                    For(j, ZERO, index(columns), [leave]),
                ]

            return each_window(io, first, y, window)

        cost = 6 * math.prod(self.kernel) * math.prod(y[2:])
        scratch = (dtype, width), (number, packing.parts * columns)
        return Nest(math.prod(y[:2]) if math.prod(y) else 0, body, cost, scratch, 0)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return ops.batch_merged(self, size, inputs, batched)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for note, shape, kernel, strides, padding in pooling_cases():
            if all(pair == (0, 0) for pair in padding):
                for dtype in (float32, float64, int32):
                    x = source.distinct(shape, dtype)
                    yield Sample(f"{note} {dtype}", cls(kernel, strides), (x,))
        for size, width in ((1, 9), (3, 5), (5, 4), (17, 3)):
            x = source.distinct((1, size, size + 1, width), float32)
            yield Sample(f"windows of {size}", cls((size, size), (1, 1)), (x,))
        rows = np.zeros((1, 4, 4, 1), np.float32)
        rows[0, (0, 1), (1, 0)], rows[0, (0, 2), 2] = np.nan, -np.inf
        tiles = cls((2, 2), (2, 2))
        yield Sample("special", tiles, (rows,))
        yield Sample("lowest", tiles, (np.full_like(rows, -np.inf),))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls((3,), (1,)), ShapeError, "larger than the padded", ((1, 2, 3), float32))


@dataclass(frozen=True)
class MaxPoolSpread(Op):
    """out[n, o1, k1, o2, k2, …, c] = g[n, o…, c] at the tap of window o that max_pool_taps names,
    and 0 at the others. Where windows tile x this is x's gradient in another shape.
    """

    name = "max_pool_spread"
    kernel: tuple[int, ...]

    @property
    def packing(self) -> Packing:
        return Packing.of(self.kernel)

    def infer(self, taps: TensorType, g: TensorType) -> tuple[TensorType, ...]:
        columns = self.packing.columns(g.shape[-1]) if g.ndim else 0
        fits = g.ndim == 2 + len(self.kernel) and taps.shape == (*g.shape[:-1], columns)
        if not fits or taps.dtype is not self.packing.dtype or not g.dtype.is_float:
            raise ShapeError(located(f"max_pool_spread({taps}, {g}): taps of the windows required"))
        between = [m for pair in zip(g.shape[1:-1], self.kernel, strict=True) for m in pair]
        return (g.with_shape((g.shape[0], *between, g.shape[-1])),)

    @property
    def _order(self) -> tuple[int, ...]:
        """The axes of an array of all windows [n, o…, k…, c] in the order of the result."""
        d = len(self.kernel)
        return (0, *[a for k in range(1, d + 1) for a in (k, d + k)], 1 + 2 * d)

    def reference(self, taps: np.ndarray, g: np.ndarray) -> np.ndarray:
        return plain.max_pool_spread(taps, g, self.kernel, self.packing.bits)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        sizes = [Term(str(v)) for v in (self.kernel, self.packing.bits)]
        return to.plain("max_pool_spread", *operands, *sizes)

    def flops(self, taps: TensorType, g: TensorType) -> int:
        return g.size * math.prod(self.kernel)

    def spec(self, taps: TensorType, g: TensorType) -> Nest:
        y, width, dtype = g.shape, g.shape[-1], g.dtype
        number, packing = counts(dtype), self.packing
        columns = packing.columns(width)
        zeros = ((0, 0),) * len(self.kernel)
        geometry = Geometry(self.kernel, self.kernel, zeros, (1,) * len(self.kernel))

        def body(io: NestIO) -> list[Stmt]:
            image, first = unravel(io.unit, y[:2])
            (chosen,) = io.scratch

            def unpacked(o: Index, part: int) -> Stmt:
                j = counter(io, "c")
                held = cast(io.read(0, (image, *o, j)), number)
                if part:
                    held = binary(">>", held, const(part * packing.bits, number))
                if packing.parts > 1:
                    held = binary("&", held, const((1 << packing.bits) - 1, number))
                end = min(columns, width - part * columns)
                return For(j, ZERO, index(end), [Store(chosen, j + part * columns, held)])

            def window(o: Index) -> list[Stmt]:
                def give(k: Index, i: Index) -> list[Stmt]:
                    c = counter(io, "c")
                    tap, g = Var(number, io.fresh("tap")), Var(dtype, io.fresh("g"))
                    between = [m for pair in zip(o, k, strict=True) for m in pair]
                    here = compare("==", Load(number, chosen, c), tap)
                    given = select(here, g, const(0, dtype))
                    step = [
                        Let(g, io.read(1, (image, *o, c))),
                        io.write(0, (image, *between, c), given),
                    ]
                    number_of = Let(tap, tap_number(k, self.kernel, number))
                    return [number_of, For(c, ZERO, index(width), step)]

                filled = [p for p in range(packing.parts) if width > p * columns]
                return [*(unpacked(o, p) for p in filled), *geometry.taps(io, o, give)]

            return each_window(io, first, y, window)

        cost = 3 * math.prod(self.kernel) * math.prod(y[2:])
        units = math.prod(y[:2]) if math.prod(y) else 0
        return Nest(units, body, cost, ((number, width),))

    def chosen(self, taps: Value, width: int) -> Value:
        """Whether a tap of a window is the one that is named: bool[n, o…, k…, c]."""
        packing = self.packing
        parts = []
        for part in range(packing.parts):
            shift = ops.full_like(taps, part * packing.bits)
            mask = ops.full_like(taps, (1 << packing.bits) - 1)
            parts.append(ops.bitwise_and(ops.right_shift(taps, shift), mask))
        whole = ops.concat(parts, len(taps.shape) - 1)
        axes = len(whole.shape)
        named = ops.slice(whole, (0,) * axes, (*whole.shape[:-1], width), (1,) * axes)
        named = ops.astype(named, int64)
        d = len(self.kernel)
        shape = (*named.shape[:-1], *self.kernel, width)
        at = ops.reshape(ops.iota((math.prod(self.kernel),), 0, int64), self.kernel)
        at = ops.broadcast(at, shape, tuple(range(1 + d, 1 + 2 * d)))
        kept = tuple(a for a in range(len(shape)) if not 1 + d <= a < 1 + 2 * d)
        return ops.equal(at, ops.broadcast(named, shape, kept))

    def vjp(self, node: Node, t: Value) -> Sequence[Value | None]:
        """It is linear in g."""
        taps, g = node.inputs
        moved = ops.permute(t, tuple(self._order.index(a) for a in range(len(self._order))))
        d = len(self.kernel)
        taken = ops.where(self.chosen(taps, g.shape[-1]), moved, ops.zeros_like(moved))
        return None, ops.sum(taken, tuple(range(1 + d, 1 + 2 * d)))

    def jvp(self, node: Node, tx: Value | None, tg: Value | None) -> Sequence[Value | None]:
        return (None if tg is None else apply(self, node.inputs[0], tg)[0],)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return ops.batch_merged(self, size, inputs, batched)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for note, shape, kernel, strides, padding in pooling_cases():
            if any(pair != (0, 0) for pair in padding):
                continue
            taps = MaxPoolTaps(kernel, strides)
            for dtype in (float32, float64):
                x = source.distinct(shape, dtype)
                (y,) = taps.pool.infer(TensorType(shape, dtype))
                arrays = (taps.reference(x), source.floats(y.shape, dtype))
                yield Sample(f"{note} {dtype}", cls(kernel), arrays, True)
        for size, width in ((1, 9), (3, 5), (5, 4), (17, 3)):
            taps = MaxPoolTaps((size, size), (1, 1))
            x = source.distinct((1, size, size + 1, width), float32)
            g = source.floats((1, 1, 2, width), float32)
            yield Sample(f"windows of {size}", cls((size, size)), (taps.reference(x), g))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls((2,))
        g = ((1, 4, 3), float32)
        yield refuses(op, ShapeError, "taps of the windows", ((1, 4, 3), uint8), g)
        yield refuses(op, ShapeError, "taps of the windows", ((1, 4, 1), uint32), g)
        yield refuses(op, ShapeError, "taps of the windows", ((1, 4, 1), uint8), ((), float32))


def max_pool_taps(x: Value, kernel: tuple[int, ...], strides: tuple[int, ...]) -> Value:
    return apply(MaxPoolTaps(kernel, strides), x)[0]


def max_pool_spread(taps: Value, g: Value, kernel: tuple[int, ...]) -> Value:
    return apply(MaxPoolSpread(kernel), taps, g)[0]


def max_pool_chosen(x: Value, kernel: tuple[int, ...], strides: tuple[int, ...]) -> Value:
    """Whether a tap of a window of x is the largest: bool[n, o…, k…, c]."""
    return MaxPoolSpread(kernel).chosen(max_pool_taps(x, kernel, strides), x.shape[-1])
