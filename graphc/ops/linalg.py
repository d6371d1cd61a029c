"""Triangular systems of batched matrices [b…, n, n], floats of any size.

Derivatives: Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import dtypes, ops
from graphc.dtypes import TensorType, float32, float64, int32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Load, index, smaller
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.loops import Do, For, Let, Stmt, Store
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Nest, NestIO, unravel
from graphc.ir.terms import Term, infix
from graphc.ops.nests import ZERO, counter, over
from graphc.ops.samples import Refusal, Sample, Source, refuses
from graphc.ops.triangles import tril, triu

#: Right-hand sides that are solved together: a unit of work of its own.
_COLUMNS = 64


class MatrixOp(Op):
    """An operator on float matrices, batched over leading axes."""

    def check(self, a: TensorType, what: str) -> None:
        if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
            raise ShapeError(located(f"{what}: square matrices required"))
        if not a.dtype.is_float:
            raise DTypeError(located(f"{what}: required float"))

    def check_system(self, a: TensorType, b: TensorType) -> None:
        what = f"{self.name}({a}, {b})"
        self.check(a, what)
        if b.ndim != a.ndim or b.shape[:-1] != a.shape[:-1]:
            raise ShapeError(located(f"{what}: right-hand sides [b…, {a.shape[-1]}, m] required"))
        if a.dtype is not b.dtype:
            raise DTypeError(located(f"{what}: dtypes differ"))

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        results = apply(self, *ops.batch_all(size, inputs, batched))
        return results, (True,) * len(results)


def loaded(io: NestIO, k: int, lead: Index, extents: tuple[int, int], array: str) -> list[Stmt]:
    """Copies the matrix `lead` of the k-th input to a working array."""
    i, j = counter(io, "i"), counter(io, "j")
    value = io.read(k, (*lead, i, j))
    return over((i, j), extents, [Store(array, i * extents[1] + j, value)])


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
        self.check_system(a, b)
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

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        a, b = operands
        turned = Term(f"{a.atom}.{'T' if types[0].ndim == 2 else 'mT'}") if self.transposed else a
        lower = self.lower != self.transposed
        if not to.is_numpy:
            unit = {"unitriangular": True} if self.unit else {}
            return to.function("linalg.solve_triangular", turned, b, upper=not lower, **unit)
        part = to.function("tril" if lower else "triu", turned)
        if self.unit:
            part = to.function("tril" if lower else "triu", turned, Term("-1" if lower else "1"))
            size, dtype = Term(str(types[0].shape[-1])), to.dtype(types[0].dtype)
            part = infix("+", part, to.function("eye", size, dtype=dtype))
        return to.function("linalg.solve", part, b)

    def flops(self, a: TensorType, b: TensorType) -> int:
        return a.shape[-1] * b.size

    def spec(self, a: TensorType, b: TensorType) -> Nest:
        n, m = b.shape[-2:]
        blocks = -(-m // _COLUMNS)
        width = -(-m // max(1, blocks))
        steps = (1, n) if self.transposed else (n, 1)
        backward = self.lower == self.transposed

        def body(io: NestIO) -> list[Stmt]:
            *lead, block = unravel(io.unit, (*b.shape[:-2], blocks))
            matrix, part = io.scratch
            first = block * width
            count = smaller(index(width), index(m) - first)
            columns = counter(io, "columns")
            i, k, p, q = counter(io, "i"), counter(io), counter(io, "i"), counter(io)
            load = Store(part, i * columns + k, io.read(1, (*lead, i, first + k)))
            solved = Load(b.dtype, part, p * columns + q)
            leave = io.write(0, (*lead, p, first + q), solved)
            return [
                Let(columns, count),
                *loaded(io, 0, tuple(lead), (n, n), matrix),
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


def _system(
    source: Source, a: tuple[int, ...], b: tuple[int, ...], dtype: dtypes.DType
) -> tuple[np.ndarray, ...]:
    """A well-conditioned triangular system; both triangles hold numbers."""
    matrix = source.floats(a, float64, (-0.3, 0.3)) + 1.5 * np.eye(a[-1])
    return matrix.astype(dtype.numpy), source.floats(b, dtype)


def triangular_solve(
    a: Value, b: Value, lower: bool = True, transposed: bool = False, unit: bool = False
) -> Value:
    return apply(TriangularSolve(lower, transposed, unit), a, b)[0]
