"""The gradient of max pooling, window by window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, float32, float64, int32, int64
from graphc.errors import ShapeError
from graphc.ir.expr import Expr, Load, Var, cast, compare, const, index, logical, select
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.loops import For, Let, Stmt, Store
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Nest, NestIO, row_major, unravel
from graphc.ir.terms import Term
from graphc.ops.nests import ZERO, counter, filled
from graphc.ops.pooling import MaxPool, each_window, pooling_cases
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class MaxPoolGrad(Op):
    """out[n, o1, k1, o2, k2, …, c] = g[n, o…, c] at the tap that max_pool chooses in window o of
    x[n, i…, c], without padding, and 0 at the others. Where windows tile x this is x's gradient in
    another shape.
    """

    name = "max_pool_grad"
    kernel: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def pool(self) -> MaxPool:
        return MaxPool(self.kernel, self.strides, ((0, 0),) * len(self.kernel))

    def infer(self, x: TensorType, g: TensorType) -> tuple[TensorType, ...]:
        (y,) = self.pool.infer(x)
        if g != y or not g.dtype.is_float:
            raise ShapeError(located(f"max_pool_grad({x}, {g}): a gradient of type {y} required"))
        between = [m for pair in zip(y.shape[1:-1], self.kernel, strict=True) for m in pair]
        return (g.with_shape((y.shape[0], *between, y.shape[-1])),)

    @property
    def _order(self) -> tuple[int, ...]:
        """The axes of an array of all windows [n, o…, k…, c] in the order of the result."""
        d = len(self.kernel)
        return (0, *[a for k in range(1, d + 1) for a in (k, d + k)], 1 + 2 * d)

    def reference(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        return plain.max_pool_grad(x, g, self.kernel, self.strides)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        sizes = [Term(str(v)) for v in (self.kernel, self.strides)]
        return to.plain("max_pool_grad", *operands, *sizes)

    def flops(self, x: TensorType, g: TensorType) -> int:
        return g.size * math.prod(self.kernel)

    def spec(self, x: TensorType, g: TensorType) -> Nest:
        y, width, dtype = g.shape, g.shape[-1], x.dtype
        number = {4: int32, 8: int64}[dtype.itemsize]

        def body(io: NestIO) -> list[Stmt]:
            image, first = unravel(io.unit, y[:2])
            best, chosen = io.scratch

            def tap_number(k: Index) -> Expr:
                flat: Expr = ZERO
                for at, step in zip(k, row_major(self.kernel), strict=True):
                    flat = flat + at * step
                return cast(flat, number)

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
                return [Let(tap, tap_number(k)), For(c, ZERO, index(width), step)]

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
                    return [Let(tap, tap_number(k)), For(c, ZERO, index(width), step)]

                return [
                    filled(io, chosen, width, const(-1, number)),
                    filled(io, best, width, const(0, dtype)),
                    *self.pool.geometry.taps(io, o, compare_with),
                    *self.pool.geometry.taps(io, o, give),
                ]

            return each_window(io, first, y, window)

        cost = 8 * math.prod(self.kernel) * math.prod(y[2:])
        scratch = (dtype, width), (number, width)
        return Nest(math.prod(y[:2]) if math.prod(y) else 0, body, cost, scratch, 0)

    def vjp(self, node: Node, t: Value) -> Sequence[Value | None]:
        """It is linear in g; no gradient passes through the choice."""
        x, _ = node.inputs
        chosen = self.pool.chosen(x, apply(self.pool, x)[0])
        moved = ops.permute(t, tuple(self._order.index(a) for a in range(len(self._order))))
        d = len(self.kernel)
        taken = ops.where(chosen, moved, ops.zeros_like(moved))
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
            op = cls(kernel, strides)
            for dtype in (float32, float64):
                x = source.distinct(shape, dtype)
                (y,) = op.pool.infer(TensorType(shape, dtype))
                arrays = (x, source.floats(y.shape, dtype))
                # The choice jumps: differences see a gradient of x where windows meet.
                yield Sample(f"{note} {dtype}", op, arrays)
        rows = np.zeros((1, 4, 4, 1), np.float32)
        rows[0, (0, 1), (1, 0)], rows[0, (0, 2), 2] = np.nan, -np.inf
        tiles, g = cls((2, 2), (2, 2)), np.ones((1, 2, 2, 1), np.float32)
        yield Sample("special", tiles, (rows, g))
        yield Sample("lowest", tiles, (np.full_like(rows, -np.inf), g))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls((2,), (2,))
        x = ((1, 4, 3), float32)
        yield refuses(op, ShapeError, "a gradient of type", x, x)


def max_pool_grad(x: Value, g: Value, kernel: tuple[int, ...], strides: tuple[int, ...]) -> Value:
    return apply(MaxPoolGrad(kernel, strides), x, g)[0]
