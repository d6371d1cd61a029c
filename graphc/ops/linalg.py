"""Factorisations and triangular systems of batched matrices [b…, n, n], floats of any size.

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
from graphc.ir.expr import INDEX, Load, call, const, index, select
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.loops import Do, For, Let, Stmt, Store
from graphc.ir.site import located
from graphc.ir.spec import Index, Nest, NestIO, unravel
from graphc.ops.nests import ZERO, counter, over
from graphc.ops.samples import Refusal, Sample, Source, of_dtypes, refuses
from graphc.ops.triangles import half_lower, put_rows, take_rows, tril, triu, unpacked

#: Right-hand sides that are solved together: a unit of work of its own.
_COLUMNS = 64


class MatrixOp(Op):
    """An operator on float matrices, batched over leading axes."""

    def check(self, a: TensorType, what: str) -> None:
        if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
            raise ShapeError(located(f"{what}: square matrices required"))
        if not a.dtype.is_float:
            raise DTypeError(located(f"{what}: required float"))

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        results = apply(self, *ops.batch_all(size, inputs, batched))
        return results, (True,) * len(results)


def _loaded(io: NestIO, k: int, lead: Index, extents: tuple[int, int], array: str) -> list[Stmt]:
    """Copies the matrix `lead` of the k-th input to a working array."""
    i, j = counter(io, "i"), counter(io, "j")
    value = io.read(k, (*lead, i, j))
    return over((i, j), extents, [Store(array, i * extents[1] + j, value)])


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
class TriangularSolve(MatrixOp):
    """x of A·x = b for b [b…, n, m], where A is a lower (or upper) triangular matrix, or its
    transpose if `transposed`. The other triangle of a is not read; if `unit`, its diagonal is not
    either but taken for ones. A zero on the diagonal gives infinities and NaNs.
    """

    name = "triangular_solve"
    lower: bool = True
    transposed: bool = False
    unit: bool = False

    def infer(self, a: TensorType, b: TensorType) -> tuple[TensorType, ...]:
        what = f"triangular_solve({a}, {b})"
        self.check(a, what)
        if b.ndim != a.ndim or b.shape[:-1] != a.shape[:-1]:
            raise ShapeError(located(f"{what}: right-hand sides [b…, {a.shape[-1]}, m] required"))
        if a.dtype is not b.dtype:
            raise DTypeError(located(f"{what}: dtypes differ"))
        return (b,)

    def _matrix(self, a: np.ndarray) -> np.ndarray:
        """The matrix of the system in double, in full."""
        part = (np.tril(a) if self.lower else np.triu(a)).astype(np.float64)
        part = np.where(np.eye(a.shape[-1], dtype=bool), 1, part) if self.unit else part
        return np.swapaxes(part, -1, -2) if self.transposed else part

    def reference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        matrix, x, n = self._matrix(a), b.astype(np.float64), a.shape[-1]
        forward = self.lower != self.transposed
        with np.errstate(all="ignore"):
            for i in range(n) if forward else reversed(range(n)):
                solved = np.s_[:i] if forward else np.s_[i + 1 :]
                known = matrix[..., i : i + 1, solved] @ x[..., solved, :]
                x[..., i, :] = (x[..., i, :] - known[..., 0, :]) / matrix[..., i, i, None]
            return x.astype(b.dtype)

    def flops(self, a: TensorType, b: TensorType) -> int:
        return a.shape[-1] * b.size

    def spec(self, a: TensorType, b: TensorType) -> Nest:
        n, m = b.shape[-2:]
        blocks = -(-m // _COLUMNS)
        width = min(m, _COLUMNS)
        steps = (1, n) if self.transposed else (n, 1)
        backward = self.lower == self.transposed

        def body(io: NestIO) -> list[Stmt]:
            *lead, block = unravel(io.unit, (*b.shape[:-2], blocks))
            matrix, part = io.scratch
            first = block * _COLUMNS
            count = call("gx_smaller", INDEX, index(width), index(m) - first)
            columns = counter(io, "columns")
            i, k, p, q = counter(io, "i"), counter(io), counter(io, "i"), counter(io)
            load = Store(part, i * columns + k, io.read(1, (*lead, i, first + k)))
            solved = Load(b.dtype, part, p * columns + q)
            leave = io.write(0, (*lead, p, first + q), solved)
            return [
                Let(columns, count),
                *_loaded(io, 0, tuple(lead), (n, n), matrix),
                For(i, ZERO, index(n), [For(k, ZERO, columns, [load])]),
                Do(
                    f"gx_triangular_solve_{a.dtype.suffix}",
                    (
                        matrix,
                        *(index(v) for v in (n, *steps, int(backward), int(self.unit))),
                        part,
                        columns,
                    ),
                ),
                For(p, ZERO, index(n), [For(q, ZERO, columns, [leave])]),
            ]

        units = math.prod(b.shape[:-2]) * blocks if n else 0
        scratch = ((a.dtype, n * n), (a.dtype, n * width))
        return Nest(units, body, n * n * (width + 1), scratch)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        back = ops.triangular_solve(node.inputs[0], g, self.lower, not self.transposed, self.unit)
        x = node.outputs[0]
        left, right = (x, back) if self.transposed else (back, x)
        slope = ops.negative(ops.matmul(left, ops.transpose(right)))
        return (self._read(slope), back)

    def jvp(self, node: Node, ta: Value | None, tb: Value | None) -> Sequence[Value | None]:
        terms = [] if tb is None else [tb]
        if ta is not None:
            part = self._read(ta)
            part = ops.transpose(part) if self.transposed else part
            terms.append(ops.negative(ops.matmul(part, node.outputs[0])))
        moved = ops.add_all(terms)
        return (None,) if moved is None else apply(self, node.inputs[0], moved)

    def _read(self, a: Value) -> Value:
        """The part of a that is read, zeros elsewhere."""
        return tril(a, -1 if self.unit else 0) if self.lower else triu(a, 1 if self.unit else 0)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for lower in (True, False):
            for transposed in (True, False):
                for unit in (True, False):
                    op = cls(lower, transposed, unit)
                    for dtype in (float32, float64):
                        arrays = _system(source, (2, 4, 4), (2, 4, 3), dtype)
                        yield Sample(f"ordinary {dtype}", op, arrays, True)
                    arrays = _system(source, (33, 33), (33, 70), float64)
                    yield Sample("many right-hand sides", op, arrays)
        for a, b in (((1, 1), (1, 1)), ((0, 0), (0, 2)), ((3, 3), (3, 0)), ((0, 2, 2), (0, 2, 1))):
            yield Sample(f"{a}, {b}", cls(), _system(source, a, b, float64), True)
        singular = np.array([[1.0, 0, 0], [2, 0, 0], [3, 4, 5]])
        yield Sample("singular", cls(), (singular, np.array([[1.0], [3], [0]])))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        a, b = ((3, 3), float32), ((3, 2), float32)
        yield refuses(cls(), ShapeError, "square matrices required", b, b)
        yield refuses(cls(), ShapeError, "[b…, 3, m] required", a, ((2, 3), float32))
        yield refuses(cls(), ShapeError, "[b…, 3, m] required", a, ((3,), float32))
        yield refuses(cls(), DTypeError, "dtypes differ", a, ((3, 2), float64))
        yield refuses(cls(), DTypeError, "required float", *[((3, 3), int32)] * 2)


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
        lu = a.copy()
        n = a.shape[-1]
        pivots, order = (np.zeros(a.shape[:-1], np.int64) for _ in range(2))
        for place in np.ndindex(a.shape[:-2]):
            matrix, rows = lu[place], np.arange(n)
            for j in range(n):
                pivot = j + int(np.argmax(np.nan_to_num(np.abs(matrix[j:, j]), nan=-1.0)))
                pivots[(*place, j)] = pivot
                matrix[[j, pivot]] = matrix[[pivot, j]]
                rows[[j, pivot]] = rows[[pivot, j]]
                if matrix[j, j] != 0:
                    matrix[j + 1 :, j] /= matrix[j, j]
                    matrix[j + 1 :, j + 1 :] -= np.outer(matrix[j + 1 :, j], matrix[j, j + 1 :])
            order[place] = rows
        return lu, pivots, order

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
                *_loaded(io, 0, lead, (n, n), matrix),
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


def _system(
    source: Source, a: tuple[int, ...], b: tuple[int, ...], dtype: dtypes.DType
) -> tuple[np.ndarray, ...]:
    """A well-conditioned triangular system; both triangles hold numbers."""
    matrix = source.floats(a, float64, (-0.3, 0.3)) + 1.5 * np.eye(a[-1])
    return matrix.astype(dtype.numpy), source.floats(b, dtype)


def cholesky(a: Value) -> Value:
    return apply(Cholesky(), a)[0]


def triangular_solve(
    a: Value, b: Value, lower: bool = True, transposed: bool = False, unit: bool = False
) -> Value:
    return apply(TriangularSolve(lower, transposed, unit), a, b)[0]


def lu(a: Value) -> tuple[Value, Value, Value]:
    packed, pivots, order = apply(Lu(), a)
    return packed, pivots, order
