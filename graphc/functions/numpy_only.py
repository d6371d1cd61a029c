"""Functions of NumPy that the Array API does not have, on tensors; signatures are NumPy's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from graphc import functions as f
from graphc.errors import ShapeError
from graphc.functions.promotion import as_tensor, one_axis, operands
from graphc.ir.site import located
from graphc.tensor import Tensor


def kron(a: Any, b: Any, /) -> Tensor:
    """The Kronecker product: every element of a times b, laid out in blocks."""
    x, y = as_tensor(a), as_tensor(b)
    ndim = max(x.ndim, y.ndim)
    left = (1,) * (ndim - x.ndim) + x.shape
    right = (1,) * (ndim - y.ndim) + y.shape
    rows = tuple(extent for n in left for extent in (n, 1))
    columns = tuple(extent for n in right for extent in (1, n))
    product = f.multiply(x.reshape(rows), y.reshape(columns))
    return product.reshape(tuple(n * m for n, m in zip(left, right, strict=True)))


def inner(a: Any, b: Any, /) -> Tensor:
    """The sum of products over the last axes of both; the product with a 0-d operand."""
    x, y = as_tensor(a), as_tensor(b)
    if x.ndim == 0 or y.ndim == 0:
        return f.multiply(a, b)
    return f.tensordot(x, y, axes=((-1,), (-1,)))


def vdot(a: Any, b: Any, /) -> Tensor:
    """The inner product of both, flattened."""
    return f.vecdot(as_tensor(a).ravel(), as_tensor(b).ravel())


def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Tensor:
    """x with other numbers for NaN and the infinities; by default 0 and the largest finite ones."""
    value = as_tensor(x)
    if not value.dtype.is_float:
        return value
    limits = f.finfo(value.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    below = f.where(f.equal(value, -math.inf), low, value)
    bounded = f.where(f.equal(value, math.inf), high, below)
    return f.where(f.isnan(value), nan, bounded)


def diag(v: Any, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix, or the matrix with the vector v on its k-th diagonal."""
    x = as_tensor(v)
    if x.ndim == 2:
        return f.linalg.diagonal(x, offset=k)
    if x.ndim != 1:
        raise ShapeError(located(f"diag({x.type}): 1 or 2 axes required"))
    # Element i stands in row i + max(-k, 0): a column that all columns of the matrix share.
    column = f.pad(x, (max(-k, 0), max(k, 0))).reshape((-1, 1))
    n = column.shape[0]
    return f.where(f.eye(n, k=k, dtype="bool"), column, f.zeros((n, n), dtype=x.dtype))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonals of the matrices in two axes, as a last axis."""
    return f.linalg.diagonal(f.moveaxis(a, (axis1, axis2), (-2, -1)), offset=offset)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Tensor:
    """The sums of the diagonals of the matrices in two axes."""
    return f.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


def _at_least(ndim: int) -> Callable[..., Any]:
    def widened(*arrays: Any) -> Any:
        found = [_widened(as_tensor(a), ndim) for a in arrays]
        return found[0] if len(found) == 1 else tuple(found)

    return widened


def _widened(x: Tensor, ndim: int) -> Tensor:
    """NumPy's places for new axes: before a row, around a row for three, behind a matrix."""
    if x.ndim >= ndim:
        return x
    if ndim < 3 or x.ndim == 0:
        return x.reshape((1,) * (ndim - x.ndim) + x.shape)
    return x.reshape((1, *x.shape, 1) if x.ndim == 1 else (*x.shape, 1))


def _stacked(ndim: int, axis: int) -> Callable[[Sequence[Any]], Tensor]:
    def stacked(tup: Sequence[Any]) -> Tensor:
        return f.concat([_widened(as_tensor(a), ndim) for a in tup], axis=axis)

    return stacked


def _hstack(tup: Sequence[Any]) -> Tensor:
    parts = [_widened(as_tensor(a), 1) for a in tup]
    return f.concat(parts, axis=0 if parts[0].ndim == 1 else 1)


def _column_stack(tup: Sequence[Any]) -> Tensor:
    parts = [as_tensor(a) for a in tup]
    return f.concat([p.reshape((p.size, 1)) if p.ndim < 2 else p for p in parts], axis=1)


def _append(arr: Any, values: Any, axis: int | None = None) -> Tensor:
    if axis is None:
        return f.concat([arr, values], axis=None)
    return f.concat([arr, values], axis=axis)


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Tensor:
    x = as_tensor(arr)
    flat = x.ravel() if axis is None else x
    a = one_axis(0 if axis is None else axis, flat.ndim, "delete")
    return f.take(flat, np.delete(np.arange(flat.shape[a]), obj), axis=a)


def _rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    x = as_tensor(m)
    first, second = (one_axis(a, x.ndim, "rot90") for a in axes)
    if k % 2 == 0:
        return f.flip(x, axis=(first, second)) if k % 4 else x
    turned = f.swapaxes(x, first, second)
    return f.flip(turned, axis=first if k % 4 == 1 else second)


def _gradient(
    values: Any, *spacing: Any, axis: Any = None, edge_order: int = 1
) -> Tensor | tuple[Tensor, ...]:
    """Central differences inside, one-sided ones of first order at the ends."""
    x = as_tensor(values)
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    steps = spacing * len(axes) if len(spacing) == 1 else spacing or (1.0,) * len(axes)
    if edge_order != 1 or any(np.ndim(s) for s in steps) or len(steps) != len(axes):
        raise ShapeError(located("gradient: edge_order 1 and one number per axis required"))
    found = []
    for one, step in zip(axes, steps, strict=True):
        a = one_axis(one, x.ndim, "gradient")
        if x.shape[a] < 2:
            raise ShapeError(located(f"gradient({x.type}): axis {a} is shorter than 2"))
        moved = f.moveaxis(x, a, 0)
        inside = (moved[2:] - moved[:-2]) / (2.0 * step)
        ends = (moved[1:2] - moved[:1]) / step, (moved[-1:] - moved[-2:-1]) / step
        found.append(f.moveaxis(f.concat([ends[0], inside, ends[1]]), 0, a))
    return found[0] if len(found) == 1 else tuple(found)


def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Tensor:
    if weights is None:
        return f.mean(a, axis=axis, keepdims=keepdims)
    x, w = as_tensor(a), as_tensor(weights)
    if w.ndim == 1 and x.ndim > 1 and isinstance(axis, int):
        w = w.reshape(tuple(-1 if k == axis % x.ndim else 1 for k in range(x.ndim)))
    total = f.sum(f.multiply(x, w), axis=axis, keepdims=keepdims)
    return total / f.sum(f.broadcast_to(w, x.shape), axis=axis, keepdims=keepdims)


def _median(a: Any, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    x = as_tensor(a)
    flat = x.ravel() if axis is None else x
    along = 0 if axis is None else axis
    n = flat.shape[along]
    ordered = f.moveaxis(f.sort(flat, axis=along), along, 0)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0
    # NaN is the greatest: where there is one, it is last.
    result = f.where(f.isnan(ordered[-1]), math.nan, middle)
    if not keepdims:
        return result
    return result.reshape((1,) * x.ndim) if axis is None else f.expand_dims(result, axis=along)


def _trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    values = f.moveaxis(y, axis, -1)
    pairs = (values[..., 1:] + values[..., :-1]) / 2.0
    return f.sum(pairs * (dx if x is None else f.diff(x)), axis=-1)


def _multi_dot(arrays: Sequence[Any]) -> Tensor:
    return reduce(f.matmul, arrays)


def _sinc(x: Any) -> Tensor:
    angle = f.multiply(as_tensor(x), math.pi)
    zero = f.equal(angle, 0.0)
    inside = f.where(zero, 1.0, angle)
    return f.where(zero, 1.0 - angle * angle / 6.0, f.sin(inside) / inside)


def _isclose(
    a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    x, y = (Tensor(v) for v in operands("isclose", a, b))
    near = f.less_equal(f.abs(x - y), atol + rtol * f.abs(y))
    same = f.logical_or(f.equal(x, y), f.logical_and(near, f.isfinite(y)))
    both = f.logical_and(f.isnan(x), f.isnan(y))
    return f.logical_or(same, both) if equal_nan else same


def _where_missing(fold: Callable[..., Tensor], neutral: float) -> Callable[..., Tensor]:
    def folded(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        x = as_tensor(a)
        return fold(f.where(f.isnan(x), neutral, x), axis=axis, keepdims=keepdims)

    return folded


def _ignoring(better: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """fmax and fmin: a number wins over NaN."""

    def chosen(x1: Any, x2: Any) -> Tensor:
        x, y = (Tensor(v) for v in operands(better.__name__, x1, x2))
        return f.where(f.isnan(y), x, f.where(f.isnan(x), y, better(x, y)))

    return chosen


ONLY: dict[str, Callable[..., Any]] = {
    "append": _append,
    "around": lambda a, decimals=0: np.round(a, decimals),
    "atleast_1d": _at_least(1),
    "atleast_2d": _at_least(2),
    "atleast_3d": _at_least(3),
    "average": _average,
    "column_stack": _column_stack,
    "conjugate": as_tensor,
    "copy": lambda a, order="K", subok=False: as_tensor(a),
    "deg2rad": lambda x: f.multiply(as_tensor(x), math.pi / 180),
    "degrees": lambda x: f.multiply(as_tensor(x), 180 / math.pi),
    "delete": _delete,
    "diag": diag,
    "diagonal": diagonal,
    "digitize": lambda x, bins, right=False: f.searchsorted(
        bins, x, side="left" if right else "right"
    ),
    "dstack": _stacked(3, 2),
    "float_power": f.pow,
    "fliplr": lambda m: f.flip(m, axis=1),
    "flipud": lambda m: f.flip(m, axis=0),
    "fmax": _ignoring(f.maximum),
    "fmin": _ignoring(f.minimum),
    "gradient": _gradient,
    "heaviside": lambda x1, x2: f.where(
        f.equal(x1, 0.0), x2, f.astype(f.greater(x1, 0.0), as_tensor(x1).dtype)
    ),
    "hstack": _hstack,
    "inner": inner,
    "isclose": _isclose,
    "allclose": lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: f.all(
        _isclose(a, b, rtol, atol, equal_nan)
    ),
    "kron": kron,
    "linalg.multi_dot": _multi_dot,
    "logaddexp2": lambda x1, x2: (
        f.logaddexp(f.multiply(as_tensor(x1), math.log(2)), f.multiply(as_tensor(x2), math.log(2)))
        / math.log(2)
    ),
    "median": _median,
    "nan_to_num": nan_to_num,
    "nanmax": _where_missing(f.max, -math.inf),
    "nanmin": _where_missing(f.min, math.inf),
    "nanprod": _where_missing(f.prod, 1.0),
    "nansum": _where_missing(f.sum, 0.0),
    "partition": lambda a, kth, axis=-1: np.sort(a, axis),
    "ptp": lambda a, axis=None, *, keepdims=False: f.subtract(
        f.max(a, axis=axis, keepdims=keepdims), f.min(a, axis=axis, keepdims=keepdims)
    ),
    "rad2deg": lambda x: f.multiply(as_tensor(x), 180 / math.pi),
    "radians": lambda x: f.multiply(as_tensor(x), math.pi / 180),
    "ravel": lambda a, order="C": as_tensor(a).ravel(),
    "real": as_tensor,
    "rot90": _rot90,
    "sinc": _sinc,
    "trace": trace,
    "trapezoid": _trapezoid,
    "vdot": vdot,
    "vstack": _stacked(2, 0),
}
