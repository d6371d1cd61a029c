"""Linear algebra: the Array API's `linalg` namespace."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from graphc import ops
from graphc.errors import ShapeError
from graphc.functions import elementwise, reductions
from graphc.functions.absent import missing
from graphc.functions.linear_algebra import matmul, outer, tensordot, vecdot
from graphc.functions.promotion import (
    WEAK,
    as_tensor,
    as_value,
    axis_tuple,
    one_axis,
    operands,
    promoted,
    whole,
)
from graphc.functions.shape import broadcast_shapes, matrix_transpose, roll
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.ops.triangles import eye_like
from graphc.tensor import Tensor

__all__ = [
    "cholesky", "cross", "det", "diagonal", "inv", "matmul", "matrix_norm", "matrix_power",
    "matrix_transpose", "outer", "slogdet", "solve", "tensordot", "trace", "triangular_solve",
    "vecdot", "vector_norm",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing("graphc.linalg", name)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """The cross products of vectors of three elements along `axis`; the other axes broadcast."""
    x, y = (Tensor(v) for v in operands("cross", x1, x2))
    a = one_axis(axis, x.ndim, "cross")
    if any(as_tensor(v).shape[a - x.ndim :][:1] != (3,) for v in (x1, x2)):
        raise ShapeError(located(f"cross({x.type}, {y.type}): 3 elements along axis {a} required"))
    # Elements k + 1 and k + 2 of both, for every k.
    (x1, x2), (y1, y2) = ((roll(v, -1, axis=a), roll(v, -2, axis=a)) for v in (x, y))
    return elementwise.subtract(elementwise.multiply(x1, y2), elementwise.multiply(x2, y1))


def matrix_power(x: Any, n: int, /) -> Tensor:
    """The n-th power of square matrices by repeated squaring; negative ones are of the inverse."""
    base = Tensor(_square(x, "matrix_power"))
    n = whole(n, "matrix_power", "n")
    if n < 0:
        base, n = inv(base), -n
    result = Tensor(eye_like(base.value))
    while n:
        result = matmul(result, base) if n & 1 else result
        n >>= 1
        base = matmul(base, base) if n else base
    return result


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The norm (Σ |x|^ord)^(1/ord) over `axis`; `ord` may be 0 (how many are not zero), inf or
    -inf. The gradient of the 2-norm at 0 is NaN; see `nn.safe_norm`.
    """
    x = as_tensor(x)
    axes = axis_tuple(axis, x.ndim, "vector_norm")
    if ord == 2:
        return elementwise.sqrt(reductions.sum(elementwise.square(x), axis=axes, keepdims=keepdims))
    if isinstance(ord, bool) or not isinstance(ord, WEAK):
        raise ShapeError(located(f"vector_norm: ord is a number, got {ord!r}"))
    size = elementwise.abs(x)
    if ord == math.inf:
        return reductions.max(size, axis=axes, keepdims=keepdims)
    if ord == -math.inf:
        return reductions.min(size, axis=axes, keepdims=keepdims)
    if ord == 0:
        there = elementwise.astype(elementwise.not_equal(x, 0), x.dtype)
        return reductions.sum(there, axis=axes, keepdims=keepdims)
    if ord == 1:
        return reductions.sum(size, axis=axes, keepdims=keepdims)
    total = reductions.sum(elementwise.pow(size, float(ord)), axis=axes, keepdims=keepdims)
    return elementwise.pow(total, 1.0 / float(ord))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """The norm of the matrices in the last two axes: "fro", or 1, -1, inf, -inf (the largest or
    smallest column or row sum of absolute values).
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(located(f"matrix_norm({x.type}): at least 2 axes required"))
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    along = {1: -2, -1: -2, math.inf: -1, -math.inf: -1}.get(ord)
    if along is None:
        raise ShapeError(located(f"matrix_norm: ord is 'fro', 1, -1, inf or -inf, got {ord!r}"))
    sums = reductions.sum(elementwise.abs(x), axis=along, keepdims=True)
    choose = reductions.max if ord > 0 else reductions.min
    return choose(sums, axis=(-2, -1), keepdims=keepdims)


def diagonal(x: Any, /, *, offset: int = 0) -> Tensor:
    """The diagonal of the last two axes, `offset` places to the right of the main one."""
    return Tensor(_diagonal(as_value(x), whole(offset, "diagonal", "offset")))


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sum of the diagonal of the last two axes."""
    return reductions.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def _diagonal(x: Value, offset: int) -> Value:
    """Of the flattened matrix every (columns + 1)-th element: an index map."""
    if len(x.shape) < 2:
        raise ShapeError(located(f"diagonal({x.type}): at least 2 axes required"))
    *lead, m, n = x.shape
    row, column = max(-offset, 0), max(offset, 0)
    length = max(min(m - row, n - column), 0)
    flat = ops.reshape(x, (*lead, m * n))
    start = row * n + column if length else 0
    starts, steps = (*(0,) * len(lead), start), (*(1,) * len(lead), n + 1)
    return ops.slice(flat, starts, (*lead, length), steps)


def cholesky(x: Any, /, *, upper: bool = False, symmetrize_input: bool = True) -> Tensor:
    """The lower (or upper) triangular factor of positive definite matrices: x = L·Lᵀ; where x is
    not positive definite the factor is NaN.

    Factorized is the symmetric part (x + xᵀ)/2, so that the gradient is symmetric too, as in JAX
    and PyTorch. Without `symmetrize_input` the lower triangle of x alone is read and receives the
    whole gradient.
    """
    value = _square(x, "cholesky")
    if symmetrize_input:
        value = ops.multiply(0.5, ops.add(value, ops.transpose(value)))
    factor = Tensor(ops.cholesky(value))
    return matrix_transpose(factor) if upper else factor


def triangular_solve(
    a: Any, b: Any, /, *, lower: bool = True, transpose: bool = False, unit_diagonal: bool = False
) -> Tensor:
    """The x of a·x = b (of aᵀ·x = b with `transpose`) for triangular matrices a [.., n, n] and b
    [.., n, m] or a vector [n]; the other triangle of a is not read, nor is a unit diagonal.
    """
    matrix, right, vector = _system(a, b, "triangular_solve")
    x = ops.triangular_solve(matrix, right, lower, transpose, unit_diagonal)
    return Tensor(ops.reshape(x, x.shape[:-1]) if vector else x)


def solve(x1: Any, x2: Any, /) -> Tensor:
    """The x of x1·x = x2 for matrices x1 [.., n, n] and x2 [.., n, m] or a vector [n], by
    elimination with partial pivoting.
    """
    matrix, right, vector = _system(x1, x2, "solve")
    x = ops.solve(matrix, right)
    return Tensor(ops.reshape(x, x.shape[:-1]) if vector else x)


def inv(x: Any, /) -> Tensor:
    """The inverse of square matrices; of a singular one not finite."""
    return Tensor(ops.inv(_square(x, "inv")))


class Slogdet(NamedTuple):
    """The sign (or 0) of a determinant and the logarithm of its size."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(x: Any, /) -> Slogdet:
    """The sign and the logarithm of the size of the determinant of square matrices."""
    sign, size = ops.slogdet(_square(x, "slogdet"))
    return Slogdet(Tensor(sign), Tensor(size))


def det(x: Any, /) -> Tensor:
    """The determinant of square matrices; its derivative exists where it is not zero."""
    return Tensor(ops.det(_square(x, "det")))


def _square(x: Any, name: str) -> Value:
    value = as_value(x)
    if len(value.shape) < 2 or value.shape[-1] != value.shape[-2]:
        raise ShapeError(located(f"{name}({value.type}): square matrices required"))
    return value


def _system(a: Any, b: Any, name: str) -> tuple[Value, Value, bool]:
    """Both sides of an equation with equal leading axes, and whether the right one was a vector."""
    matrix, right = promoted(name, a, b)
    _square(Tensor(matrix), name)
    vector = len(right.shape) == 1
    if vector:
        right = ops.reshape(right, (*right.shape, 1))
    if len(right.shape) < 2 or right.shape[-2] != matrix.shape[-1]:
        raise ShapeError(located(f"{name}({matrix.type}, {right.type}): numbers of rows differ"))
    lead = broadcast_shapes(matrix.shape[:-2], right.shape[:-2])
    return (
        ops.broadcast(matrix, lead + matrix.shape[-2:]),
        ops.broadcast(right, lead + right.shape[-2:]),
        vector,
    )
