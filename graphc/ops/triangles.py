"""Triangles of matrices, and rows in another order: what the factorizations' rules are made of."""

from __future__ import annotations

from graphc import ops
from graphc.ir.graph import Value


def _positions(x: Value) -> tuple[Value, Value]:
    """The row and the column number of every element."""
    last = len(x.shape) - 1
    return ops.iota(x.shape, last - 1), ops.iota(x.shape, last)


def tril(x: Value, offset: int = 0) -> Value:
    """The elements at or below the diagonal number `offset`, zeros above it."""
    row, column = _positions(x)
    kept = ops.less_equal(column, ops.add(row, offset) if offset else row)
    return ops.where(kept, x, ops.zeros_like(x))


def triu(x: Value, offset: int = 0) -> Value:
    """The elements at or above the diagonal number `offset`, zeros below it."""
    row, column = _positions(x)
    kept = ops.greater_equal(column, ops.add(row, offset) if offset else row)
    return ops.where(kept, x, ops.zeros_like(x))


def half_lower(x: Value) -> Value:
    """The lower triangle with half of the diagonal."""
    return ops.multiply(0.5, ops.add(tril(x), tril(x, -1)))


def unpacked(lu: Value) -> tuple[Value, Value]:
    return ops.add(tril(lu, -1), eye_like(lu)), triu(lu)


def eye_like(x: Value) -> Value:
    """Identity matrices of the shape and dtype of x."""
    return ops.astype(ops.equal(*_positions(x)), x.dtype)


def take_rows(x: Value, order: Value) -> Value:
    """out[b…, i, j] = x[b…, order[b…, i], j]."""
    return ops.gather(x, [order], len(order.shape) - 1)


def put_rows(x: Value, order: Value) -> Value:
    """out[b…, order[b…, i], j] = x[b…, i, j] for an order of all rows."""
    return ops.scatter_add(ops.zeros_like(x), x, [order], len(order.shape) - 1)
