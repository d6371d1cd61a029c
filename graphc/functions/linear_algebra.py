"""Products of vectors, matrices and stacks of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import ShapeError
from graphc.functions.elementwise import multiply
from graphc.functions.promotion import (
    as_tensor,
    axis_tuple,
    one_axis,
    promoted,
    several,
)
from graphc.functions.reductions import sum
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor


def matmul(x1: Any, x2: Any, /) -> Tensor:
    """The matrix product with NumPy's rules: [.., m, k] @ [.., k, n], leading axes broadcast; a
    1-D operand is a row on the left, a column on the right. A 2-D right operand multiplies all
    rows of the left one in a single product, so that its gradient is a single product too.
    """
    x, y = promoted("matmul", x1, x2)
    what = f"matmul({x.type}, {y.type})"
    if not x.shape or not y.shape:
        raise ShapeError(located(f"{what}: at least 1 axis required"))
    inner = y.shape[0] if len(y.shape) == 1 else y.shape[-2]
    if x.shape[-1] != inner:
        raise ShapeError(located(f"{what}: inner sizes differ, {x.shape[-1]} != {inner}"))
    lead = x.shape[:-1]
    if len(y.shape) == 1:
        return Tensor(ops.reshape(_rows(x, ops.reshape(y, (inner, 1))), lead))
    if len(y.shape) == 2:
        return Tensor(_rows(x, y))
    row = len(x.shape) == 1
    if row:
        x = ops.reshape(x, (1, inner))
    try:
        batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise ShapeError(located(f"{what}: leading axes do not broadcast")) from None
    product = ops.matmul(
        ops.broadcast(x, batch + x.shape[-2:]), ops.broadcast(y, batch + y.shape[-2:])
    )
    return Tensor(ops.reshape(product, batch + y.shape[-1:]) if row else product)


def _rows(x: Value, y: Value) -> Value:
    """x[.., k] · y[k, n] as one product of two matrices."""
    lead, (k, n) = x.shape[:-1], y.shape
    count = 1
    for extent in lead:
        count *= extent
    return ops.reshape(ops.matmul(ops.reshape(x, (count, k)), y), (*lead, n))


def dot(x1: Any, x2: Any, /) -> Tensor:
    """NumPy's dot: the product of scalars, the inner product over the last axis of x1 and the last
    but one of x2.
    """
    x, y = as_tensor(x1), as_tensor(x2)
    if x.ndim == 0 or y.ndim == 0:
        return multiply(x1, x2)
    if y.ndim <= 2:
        return matmul(x, y)
    return tensordot(x, y, axes=((x.ndim - 1,), (y.ndim - 2,)))


def outer(x1: Any, x2: Any, /) -> Tensor:
    """x1[:, None] · x2[None, :] of two vectors (others are flattened)."""
    x, y = promoted("outer", x1, x2)
    m, n = x.type.size, y.type.size
    column, row = ops.reshape(x, (m,)), ops.reshape(y, (n,))
    return Tensor(
        ops.multiply(ops.broadcast(column, (m, n), (0,)), ops.broadcast(row, (m, n), (1,)))
    )


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """Σ x1 · x2 over `axis`; the other axes broadcast."""
    product = multiply(x1, x2)
    return sum(product, axis=axis)


def tensordot(
    x1: Any, x2: Any, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2
) -> Tensor:
    """Contracts the last `axes` axes of x1 with the first of x2, or the given pairs of axes."""
    x, y = promoted("tensordot", x1, x2)
    p, q = len(x.shape), len(y.shape)
    if isinstance(axes, (int, np.integer)):
        left: Sequence[int] = range(p - int(axes), p)
        right: Sequence[int] = range(int(axes))
    else:
        sides = several(axes, "tensordot", "a number of axes or two lists of them")
        if len(sides) != 2:
            raise ShapeError(located(f"tensordot: two lists of axes required, got {axes!r}"))
        left, right = (several(side, "tensordot", "axes") for side in sides)
    left = [one_axis(a, p, "tensordot") for a in left]
    right = [one_axis(a, q, "tensordot") for a in right]
    if [x.shape[a] for a in left] != [y.shape[a] for a in right]:
        raise ShapeError(
            located(f"tensordot({x.type}, {y.type}): contracted axes {left} and {right} differ")
        )
    axis_tuple(left, p, "tensordot")
    rows = [a for a in range(p) if a not in left]
    columns = [a for a in range(q) if a not in right]
    out = tuple(x.shape[a] for a in rows) + tuple(y.shape[a] for a in columns)
    k = int(np.prod([x.shape[a] for a in left], dtype=np.int64))
    m = int(np.prod([x.shape[a] for a in rows], dtype=np.int64))
    n = int(np.prod([y.shape[a] for a in columns], dtype=np.int64))
    matrix = ops.reshape(ops.permute(x, (*rows, *left)), (m, k))
    other = ops.reshape(ops.permute(y, (*right, *columns)), (k, n))
    return Tensor(ops.reshape(ops.matmul(matrix, other), out))
