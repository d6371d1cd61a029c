"""Factorizations of batched matrices [b…, n, n], floats of any size.

Derivatives: Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), and Murray, "Differentiation of the Cholesky decomposition" (2016).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import dtypes, ops
from graphc.dtypes import TensorType, float32, float64, int32, int64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Load, const, index, select
from graphc.ir.graph import Node, Value, apply
from graphc.ir.loops import Do, For, Stmt, Store
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.spec import Nest, NestIO, unravel
from graphc.ir.terms import Term
from graphc.ops.linalg import MatrixOp, loaded
from graphc.ops.nests import ZERO, counter, over
from graphc.ops.samples import Refusal, Sample, Source, of_dtypes, refuses
from graphc.ops.triangles import half_lower, put_rows, take_rows, tril, triu, unpacked


@dataclass(frozen=True)
class Cholesky(MatrixOp):
    """L, lower triangular with positive diagonal, of a = L·Lᵀ. Only the lower triangle of a is
    read, so the derivative above the diagonal is zero. Where a is not positive definite, the lower
    triangle of L is NaN.
    """

    name = "cholesky"

    def infer(self, a: TensorType) -> tuple[TensorType, ...]:
        self.check(a, f"cholesky({a})")
        return (a,)

    def reference(self, a: np.ndarray) -> np.ndarray:
        out = np.zeros_like(a)
        for place in np.ndindex(a.shape[:-2]):
            try:
                out[place] = np.linalg.cholesky(a[place])
            except np.linalg.LinAlgError:
                out[place] = np.tril(np.full(a.shape[-2:], np.nan))
        return out

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return to.function("linalg.cholesky", *operands)

    def flops(self, a: TensorType) -> int:
        return a.size * a.shape[-1] // 3

    def spec(self, a: TensorType) -> Nest:
        n = a.shape[-1]

        def body(io: NestIO) -> list[Stmt]:
            lead = unravel(io.unit, a.shape[:-2])
            (upper,) = io.scratch
            # The runtime makes U of a = UᵀU from the upper triangle: L is its transpose.
            i, j = counter(io, "i"), counter(io, "j")
            load = Store(upper, j * n + i, io.read(0, (*lead, i, j)))
            p, q = counter(io, "i"), counter(io, "j")
            below = select(q <= p, Load(a.dtype, upper, q * n + p), const(0, a.dtype))
            return [
                *over((i, j), (n, n), [load]),
                Do(f"gx_cholesky_{a.dtype.suffix}", (upper, index(n))),
                *over((p, q), (n, n), [io.write(0, (*lead, p, q), below)]),
            ]

        units = math.prod(a.shape[:-2]) if n else 0
        return Nest(units, body, n * n * n // 3 + n * n, ((a.dtype, n * n),))

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        factor = node.outputs[0]
        inner = half_lower(ops.matmul(ops.transpose(factor), tril(g)))
        right = ops.triangular_solve(factor, ops.transpose(inner), transposed=True)
        whole = ops.triangular_solve(factor, ops.transpose(right), transposed=True)
        return (half_lower(ops.add(whole, ops.transpose(whole))),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        if t is None:
            return (None,)
        factor = node.outputs[0]
        moved = ops.add(tril(t), ops.transpose(tril(t, -1)))
        left = ops.triangular_solve(factor, moved)
        inner = ops.triangular_solve(factor, ops.transpose(left))
        return (ops.matmul(factor, half_lower(inner)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for shape in ((3, 3), (2, 4, 4), (1, 1), (0, 0), (0, 2, 2), (37, 37), (70, 70)):
            for dtype in (float32, float64):
                note = f"{shape} {dtype}"
                yield Sample(note, cls(), (definite(source, shape, dtype),), shape[-1] < 70)
        mixed = definite(source, (3, 4, 4), float64)
        mixed[1] -= 9 * np.eye(4)
        yield Sample("one is not definite", cls(), (mixed,))
        yield Sample("missing", cls(), (np.full((2, 2), np.nan),))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls(), ShapeError, "square matrices required", ((3, 4), float32))
        yield refuses(cls(), ShapeError, "square matrices required", ((3,), float32))
        yield refuses(cls(), DTypeError, "required float", ((3, 3), int32))


@dataclass(frozen=True)
class Lu(MatrixOp):
    """With partial pivoting: L below the diagonal (its own is ones) and U from the diagonal on, in
    one matrix; `pivots` int64[b…, n], where step j exchanged rows j and pivots[j]; and the order
    int64[b…, n] of the rows that results, a[order] = L·U. The largest element of a column becomes
    its pivot, the first among equals; a singular matrix has zeros on U's diagonal.
    """

    name = "lu"

    def infer(self, a: TensorType) -> tuple[TensorType, ...]:
        self.check(a, f"lu({a})")
        rows = TensorType(a.shape[:-1], int64)
        return (a, rows, rows)

    def reference(self, a: np.ndarray) -> tuple[np.ndarray, ...]:
        return plain.lu(a)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return to.plain("lu", *operands)

    def flops(self, a: TensorType) -> int:
        return 2 * a.size * a.shape[-1] // 3

    def spec(self, a: TensorType) -> Nest:
        n = a.shape[-1]

        def body(io: NestIO) -> list[Stmt]:
            lead = unravel(io.unit, a.shape[:-2])
            matrix, pivots, order = io.scratch
            i, j, k = counter(io, "i"), counter(io, "j"), counter(io, "k")
            element = Load(a.dtype, matrix, i * n + j)
            return [
                *loaded(io, 0, lead, (n, n), matrix),
                Do(f"gx_lu_{a.dtype.suffix}", (matrix, index(n), pivots, order)),
                *over((i, j), (n, n), [io.write(0, (*lead, i, j), element)]),
                For(
                    k,
                    ZERO,
                    index(n),
                    [
                        io.write(1, (*lead, k), Load(int64, pivots, k)),
                        io.write(2, (*lead, k), Load(int64, order, k)),
                    ],
                ),
            ]

        units = math.prod(a.shape[:-2]) if n else 0
        scratch = ((a.dtype, n * n), (int64, n), (int64, n))
        return Nest(units, body, n * n * n + n * n, scratch)

    def vjp(self, node: Node, g: Value, *_: Value | None) -> Sequence[Value | None]:
        lu, _pivots, order = node.outputs
        lower, upper = unpacked(lu)
        inner = ops.add(
            tril(ops.matmul(ops.transpose(lower), tril(g, -1)), -1),
            triu(ops.matmul(triu(g), ops.transpose(upper))),
        )
        right = ops.transpose(ops.triangular_solve(lu, ops.transpose(inner), lower=False))
        whole = ops.triangular_solve(lu, right, transposed=True, unit=True)
        return (put_rows(whole, order),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        if t is None:
            return (None, None, None)
        lu, _, order = node.outputs
        lower, upper = unpacked(lu)
        left = ops.triangular_solve(lu, take_rows(t, order), unit=True)
        turned = ops.triangular_solve(lu, ops.transpose(left), lower=False, transposed=True)
        inner = ops.transpose(turned)
        moved = ops.add(ops.matmul(lower, tril(inner, -1)), ops.matmul(triu(inner), upper))
        return (moved, None, None)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for shape in ((3, 3), (2, 4, 4), (1, 1), (0, 0), (0, 2, 2), (37, 37), (70, 70)):
            for dtype in of_dtypes(dtypes.ALL, "f"):
                matrix = source.floats(shape, dtype)
                yield Sample(f"{shape} {dtype}", cls(), (matrix,), shape[-1] < 37)
        singular = np.array([[0.0, 2, 1], [0, 4, 2], [0, 1, 3]])
        yield Sample("singular", cls(), (singular,))
        yield Sample("equal pivots", cls(), (np.array([[1.0, 2], [-1, 3]]),))

    refusals = Cholesky.refusals


def definite(source: Source, shape: tuple[int, ...], dtype: dtypes.DType) -> np.ndarray:
    """Random symmetric positive definite matrices."""
    factor = source.floats(shape, float64, (-1.0, 1.0))
    product = factor @ np.swapaxes(factor, -1, -2) + shape[-1] * np.eye(shape[-1])
    return product.astype(dtype.numpy)


def cholesky(a: Value) -> Value:
    return apply(Cholesky(), a)[0]


def lu(a: Value) -> tuple[Value, Value, Value]:
    packed, pivots, order = apply(Lu(), a)
    return packed, pivots, order
