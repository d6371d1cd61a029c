"""NumPy's products, sums along lines, and polynomials."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from graphc import functions as f
from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.functions.numpy_api.shapes import diagonal
from graphc.functions.promotion import as_tensor, one_axis, promoted
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


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Tensor:
    """The sums of the diagonals of the matrices in two axes."""
    return f.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


def _matvec(x1: Any, x2: Any) -> Tensor:
    """The matrices of x1 by the vectors of x2; leading axes broadcast."""
    return f.squeeze(f.matmul(x1, f.expand_dims(as_tensor(x2), axis=-1)), axis=-1)


def _vecmat(x1: Any, x2: Any) -> Tensor:
    """The vectors of x1 by the matrices of x2; leading axes broadcast."""
    return f.squeeze(f.matmul(f.expand_dims(as_tensor(x1), axis=-2), x2), axis=-2)


def _cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = f.moveaxis(as_tensor(a), axisa, -1), f.moveaxis(as_tensor(b), axisb, -1)
    return f.moveaxis(f.linalg.cross(x, y), -1, axisc)


def _multi_dot(arrays: Sequence[Any]) -> Tensor:
    return reduce(f.matmul, arrays)


def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Tensor:
    """x with tensordot(a, x, x.ndim) = b."""
    x, y = as_tensor(a), as_tensor(b)
    if axes is not None:
        x = f.moveaxis(x, tuple(axes), tuple(range(x.ndim - len(axes), x.ndim)))
    shape = x.shape[y.ndim :]
    return f.linalg.solve(x.reshape((y.size, math.prod(shape))), y.ravel()).reshape(shape)


def _tensorinv(a: Any, ind: int = 2) -> Tensor:
    """The inverse of tensordot(a, ., ind)."""
    x = as_tensor(a)
    rows = math.prod(x.shape[:ind])
    return f.linalg.inv(x.reshape((rows, -1))).reshape(x.shape[ind:] + x.shape[:ind])


def _correlate(a: Any, v: Any, mode: str = "valid") -> Tensor:
    """c[k] = Σ a[n + k]·v[n] for all places where a and v overlap ("full"), as many as the longer
    one has ("same"), or where they overlap wholly ("valid").
    """
    x, y = (Tensor(value) for value in promoted("correlate", a, v))
    if x.ndim != 1 or y.ndim != 1 or not x.size or not y.size:
        raise ShapeError(located(f"correlate({x.type}, {y.type}): vectors of numbers required"))
    if not x.dtype.is_float:
        raise DTypeError(located(f'correlate({x.type}): required float, use astype("float32")'))
    if x.size < y.size:
        return f.flip(_slid(y, x, mode, turned=True))
    return _slid(x, y, mode)


def _slid(x: Tensor, y: Tensor, mode: str, turned: bool = False) -> Tensor:
    """The shorter y along x; `turned` says that the result will be read backwards, which decides on
    which side "same" has one place more.
    """
    n = y.size
    if mode not in ("full", "same", "valid"):
        raise ShapeError(located(f"mode 'full', 'same' or 'valid' required, got {mode!r}"))
    before = {"full": n - 1, "same": n // 2, "valid": 0}[mode]
    after = {"full": n - 1, "same": n - 1 - n // 2, "valid": 0}[mode]
    if turned:
        before, after = after, before
    line, taps = x.reshape((1, -1, 1)), y.reshape((-1, 1, 1))
    return Tensor(ops.conv(line.value, taps.value, (1,), ((before, after),), (1,))).ravel()


def _convolve(a: Any, v: Any, mode: str = "full") -> Tensor:
    """Σ a[m]·v[n - m]: the product of two polynomials' coefficients."""
    x, y = as_tensor(a), as_tensor(v)
    longer, shorter = (y, x) if y.size > x.size else (x, y)
    return _correlate(longer, f.flip(shorter), mode)


def _polyval(p: Any, x: Any) -> Tensor:
    """The polynomial of coefficients p, that of the highest power first, at x: Horner's scheme."""
    coefficients = as_tensor(p) if isinstance(p, Tensor) else p
    return reduce(lambda value, c: f.add(f.multiply(value, x), c), coefficients, f.zeros_like(x))


def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements as columns."""
    values = as_tensor(x)
    count = values.size if N is None else N
    column = values.reshape((-1, 1))
    repeated = [f.ones_like(column)] + [column] * (count - 1)
    powers = f.cumulative_prod(f.concat(repeated[:count], axis=1), axis=1)
    return powers if increasing else f.flip(powers, axis=1)


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


def _trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    values = f.moveaxis(y, axis, -1)
    pairs = (values[..., 1:] + values[..., :-1]) / 2.0
    return f.sum(pairs * (dx if x is None else f.diff(x)), axis=-1)


def _interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: float | None = None
) -> Tensor:
    """The line through the points (xp, fp), xp ascending, at x; outside of them `left` and `right`,
    by default the first and the last of fp.
    """
    at, places, heights = (Tensor(v) for v in promoted("interp", x, xp, fp))
    if places.ndim != 1 or places.shape != heights.shape or not places.size:
        raise ShapeError(located(f"interp({places.type}, {heights.type}): equal vectors required"))
    if period is not None:
        at, places = f.remainder(at, period), f.remainder(places, period)
        order = f.argsort(places)
        places, heights = places[order], heights[order]
        places = f.concat([places[-1:] - period, places, places[:1] + period])
        heights = f.concat([heights[-1:], heights, heights[:1]])
    if places.size == 1:
        inside = f.broadcast_to(heights[0], at.shape)
    else:
        upper = f.clip(f.searchsorted(places, at, side="right"), 1, places.size - 1)
        low, high = places[upper - 1], places[upper]
        slope = (heights[upper] - heights[upper - 1]) / (high - low)
        inside = heights[upper - 1] + slope * (at - low)
    before = f.where(f.less(at, places[0]), heights[0] if left is None else left, inside)
    return f.where(f.greater(at, places[-1]), heights[-1] if right is None else right, before)


TABLE: dict[str, Callable[..., Any]] = {
    "convolve": _convolve,
    "correlate": _correlate,
    "cross": _cross,
    "ediff1d": lambda ary: f.diff(as_tensor(ary).ravel()),
    "gradient": _gradient,
    "inner": inner,
    "interp": _interp,
    "kron": kron,
    "linalg.multi_dot": _multi_dot,
    "linalg.tensorinv": _tensorinv,
    "linalg.tensorsolve": _tensorsolve,
    "matvec": _matvec,
    "polyval": _polyval,
    "trace": trace,
    "trapezoid": _trapezoid,
    "vander": _vander,
    "vdot": vdot,
    "vecmat": _vecmat,
}
