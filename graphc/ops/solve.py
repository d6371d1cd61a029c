"""Linear systems, inverses and determinants, composed of the LU factorisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, float32, float64, int32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.spec import Expand
from graphc.ir.terms import Term
from graphc.ops.linalg import MatrixOp
from graphc.ops.samples import Refusal, Sample, Source, refuses
from graphc.ops.triangles import eye_like, put_rows, take_rows


@dataclass(frozen=True)
class Solve(MatrixOp):
    """x of a·x = b, or of aᵀ·x = b if `transposed`, for matrices [b…, n, n] and right-hand sides
    [b…, n, m]. A singular matrix gives infinities and NaNs.

    The derivative solves a transposed system and takes one product. It is expanded only after
    differentiation, so that both systems share one factorisation, which has no derivative then.
    """

    name = "solve"
    transposed: bool = False

    def infer(self, a: TensorType, b: TensorType) -> tuple[TensorType, ...]:
        self.check_system(a, b)
        return (b,)

    def reference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        matrix = (np.swapaxes(a, -1, -2) if self.transposed else a).astype(np.float64)
        out = np.empty(b.shape)
        for place in np.ndindex(a.shape[:-2]):
            try:
                out[place] = np.linalg.solve(matrix[place], b[place].astype(np.float64))
            except np.linalg.LinAlgError:
                out[place] = np.nan
        return out.astype(b.dtype)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        a, b = operands
        turned = Term(f"{a.atom}.{'T' if types[0].ndim == 2 else 'mT'}") if self.transposed else a
        return to.function("linalg.solve", turned, b)

    def flops(self, a: TensorType, b: TensorType) -> int:
        return 2 * a.size * a.shape[-1] // 3 + 2 * a.shape[-1] * b.size

    def spec(self, a: TensorType, b: TensorType) -> Expand:
        return Expand(self._expanded)

    def _expanded(self, a: Value, b: Value) -> Sequence[Value]:
        lu, _, order = ops.lu(a)
        if self.transposed:
            x = ops.triangular_solve(lu, b, lower=False, transposed=True)
            x = ops.triangular_solve(lu, x, transposed=True, unit=True)
            return (put_rows(x, order),)
        x = ops.triangular_solve(lu, take_rows(b, order), unit=True)
        return (ops.triangular_solve(lu, x, lower=False),)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        back = apply(Solve(not self.transposed), node.inputs[0], g)[0]
        x = node.outputs[0]
        left, right = (x, back) if self.transposed else (back, x)
        return (ops.negative(ops.matmul(left, ops.transpose(right))), back)

    def jvp(self, node: Node, ta: Value | None, tb: Value | None) -> Sequence[Value | None]:
        terms = [] if tb is None else [tb]
        if ta is not None:
            moved = ops.transpose(ta) if self.transposed else ta
            terms.append(ops.negative(ops.matmul(moved, node.outputs[0])))
        side = ops.add_all(terms)
        return (None,) if side is None else apply(self, node.inputs[0], side)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for a, b in (
            ((4, 4), (4, 3)),
            ((2, 3, 3), (2, 3, 1)),
            ((1, 1), (1, 1)),
            ((0, 0), (0, 2)),
            ((3, 3), (3, 0)),
            ((0, 2, 2), (0, 2, 1)),
            ((37, 37), (37, 70)),
        ):
            for transposed in (False, True):
                for dtype in (float32, float64):
                    arrays = _well_conditioned(source, a, dtype), source.floats(b, dtype)
                    yield Sample(f"{a}, {b} {dtype}", cls(transposed), arrays, a[-1] < 37)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        a, b = ((3, 3), float32), ((3, 2), float32)
        yield refuses(cls(), ShapeError, "square matrices required", b, b)
        yield refuses(cls(), ShapeError, "[b…, 3, m] required", a, ((3,), float32))
        yield refuses(cls(), DTypeError, "dtypes differ", a, ((3, 2), float64))
        yield refuses(cls(), DTypeError, "required float", *[((3, 3), int32)] * 2)


def _well_conditioned(source: Source, shape: tuple[int, ...], dtype) -> np.ndarray:
    """Random matrices whose rows have to be exchanged, with condition numbers near 10."""
    matrix = source.floats(shape, float64, (-0.5, 0.5)) + 2 * np.sqrt(shape[-1]) * np.eye(shape[-1])
    return np.roll(matrix, 1, -2).astype(dtype.numpy)


def solve(a: Value, b: Value) -> Value:
    return apply(Solve(), a, b)[0]


def inv(a: Value) -> Value:
    return solve(a, eye_like(a))


def diagonal(x: Value) -> Value:
    """The main diagonals [b…, min(n, m)] of matrices [b…, n, m], a view."""
    *lead, n, m = x.shape
    flat = ops.reshape(x, (*lead, n * m))
    ones = (1,) * len(lead)
    return ops.slice(flat, (0,) * len(flat.shape), (*lead, min(n, m)), (*ones, m + 1))


def slogdet(a: Value) -> tuple[Value, Value]:
    """The sign [b…] of the determinants and the logarithm of their absolute values: 0 and -inf
    where a matrix is singular.
    """
    packed, pivots, _ = ops.lu(a)
    pivot = diagonal(packed)
    last = len(pivot.shape) - 1
    sign = ops.multiply(_parity(pivots, a), ops.prod(ops.sign(pivot), (last,)))
    return sign, ops.sum(ops.log(ops.abs(pivot)), (last,))


@dataclass(frozen=True)
class Det(MatrixOp):
    """The determinants [b…]. The derivative is the matrix of cofactors, right to any order where
    the rank is at most one less than full; where it is smaller still the first derivative is 0 and
    higher ones are taken as 0.
    """

    name = "det"

    def infer(self, a: TensorType) -> tuple[TensorType, ...]:
        self.check(a, f"det({a})")
        return (a.with_shape(a.shape[:-2]),)

    def reference(self, a: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(np.linalg.det(a.astype(np.float64))).astype(a.dtype)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return to.function("linalg.det", *operands)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("Det", *operands),)

    def flops(self, a: TensorType) -> int:
        return 2 * a.size * a.shape[-1] // 3

    def spec(self, a: TensorType) -> Expand:
        return Expand(self._expanded)

    def _expanded(self, a: Value) -> Sequence[Value]:
        packed, pivots, _ = ops.lu(a)
        pivot = diagonal(packed)
        return (ops.multiply(_parity(pivots, a), ops.prod(pivot, (len(pivot.shape) - 1,))),)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        cofactors = _cofactors(node.inputs[0], node.outputs[0])
        return (ops.multiply(_over(g, cofactors), cofactors),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        if t is None:
            return (None,)
        moved = ops.multiply(t, _cofactors(node.inputs[0], node.outputs[0]))
        last = len(t.shape) - 1
        return (ops.sum(moved, (last - 1, last)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for shape in ((3, 3), (2, 4, 4), (1, 1), (0, 0), (0, 2, 2), (37, 37)):
            for dtype in (float32, float64):
                matrix = _well_conditioned(source, shape, dtype)
                yield Sample(f"{shape} {dtype}", cls(), (matrix,), shape[-1] < 37)
        singular = np.zeros((2, 3, 3))
        singular[0] = [[2, 0, 0], [0, 0, 0], [0, 0, 3]]
        singular[1] = [[1, 2, 3], [2, 4, 6], [1, 0, 1]]
        yield Sample("singular", cls(), (singular,), True)
        # Here the second derivative is not found.
        yield Sample("of rank 1 and 0", cls(), (np.stack([np.ones((3, 3)), np.zeros((3, 3))]),))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls(), ShapeError, "square matrices required", ((3, 4), float32))
        yield refuses(cls(), DTypeError, "required float", ((3, 3), int32))


def det(a: Value) -> Value:
    return apply(Det(), a)[0]


def _cofactors(a: Value, determinant: Value) -> Value:
    """The cofactors of matrices: the derivative of their determinants.

    With M = [[a, u], [v, w]] and its inverse [[X, y], [z, s]], split alike, the adjugate of a is
    det(M)·(s·X - y·z) for any border (Jacobi's identity on complementary minors). The border is
    that of the identity where a is regular; elsewhere it is generic, so that M is regular if a
    lacks one rank.
    """
    n = a.shape[-1]
    if n == 0:
        return a
    lead, last = a.shape[:-2], len(a.shape) - 1
    singular = ops.equal(determinant, ops.zeros_like(determinant))
    size = ops.stop_gradient(ops.max(ops.abs(a), (last - 1, last)))
    scale = ops.where(ops.equal(size, ops.zeros_like(size)), ops.full_like(size, 1), size)
    scale = ops.where(singular, scale, ops.zeros_like(scale))
    # Multiples of the golden ratio are in no simple relation to one another.
    generic = ops.constant((np.arange(1, n + 1) * 0.6180339887498949 % 1 + 0.5), a.dtype)
    column = ops.multiply(
        ops.broadcast(scale, (*lead, n, 1), tuple(range(len(lead)))),
        ops.broadcast(ops.reshape(generic, (n, 1)), (*lead, n, 1), (last - 1, last)),
    )
    corner = ops.reshape(ops.astype(ops.logical_not(singular), a.dtype), (*lead, 1, 1))
    whole = ops.concat(
        [
            ops.concat([a, column], last),
            ops.concat([ops.transpose(column), corner], last),
        ],
        last - 1,
    )
    inverse, total = inv(whole), det(whole)
    upper, lower = (ops.part(inverse, last - 1, *ends) for ends in ((0, n), (n, 0)))
    inner, right = (ops.part(upper, last, *ends) for ends in ((0, n), (n, 0)))
    left, weight = (ops.part(lower, last, *ends) for ends in ((0, n), (n, 0)))
    minors = ops.subtract(
        ops.multiply(ops.broadcast(weight, inner.shape), inner), ops.matmul(right, left)
    )
    adjugate = ops.multiply(_over(total, minors), minors)
    regular = _over(ops.not_equal(total, ops.zeros_like(total)), adjugate)
    return ops.transpose(ops.where(regular, adjugate, ops.zeros_like(adjugate)))


def _over(x: Value, matrices: Value) -> Value:
    """A number [b…] for each matrix [b…, n, n], repeated over its elements."""
    return ops.broadcast(x, matrices.shape, tuple(range(len(x.shape))))


def _parity(pivots: Value, a: Value) -> Value:
    """1 for an even number of row exchanges, -1 for an odd one, in the dtype of a."""
    last = len(pivots.shape) - 1
    moved = ops.not_equal(pivots, ops.iota(pivots.shape, last))
    odd = ops.remainder(ops.count_nonzero(moved, (last,)), 2)
    return ops.astype(ops.subtract(1, ops.multiply(2, odd)), a.dtype)
