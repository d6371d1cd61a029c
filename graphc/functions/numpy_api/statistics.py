"""NumPy's averages, spreads and orders, and those of them that pass over NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import functions as f
from graphc.errors import DTypeError, ShapeError
from graphc.functions.promotion import as_tensor, axis_tuple
from graphc.ir.site import located
from graphc.tensor import Tensor


def _average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Any:
    """The weighted mean, and if `returned` the sum of the weights beside it."""
    x = as_tensor(a)
    w = f.ones_like(x) if weights is None else as_tensor(weights)
    if w.ndim == 1 and x.ndim > 1 and isinstance(axis, int):
        w = w.reshape(tuple(-1 if k == axis % x.ndim else 1 for k in range(x.ndim)))
    total = f.sum(f.multiply(x, w), axis=axis, keepdims=keepdims)
    weight = f.sum(f.broadcast_to(w, x.shape), axis=axis, keepdims=keepdims)
    return (total / weight, weight) if returned else total / weight


def _cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
) -> Tensor:
    """The covariances of variables, which are rows, or columns unless `rowvar`."""
    parts = [_variables(v, rowvar) for v in (m, y) if v is not None]
    rows = parts[0] if len(parts) == 1 else f.concat(parts, axis=0)
    spread = rows - f.mean(rows, axis=1, keepdims=True)
    less = ddof if ddof is not None else 0 if bias else 1
    result = f.matmul(spread, spread.mT) / float(max(rows.shape[1] - less, 0))
    return f.squeeze(result, axis=(0, 1)) if result.shape == (1, 1) else result


def _variables(m: Any, rowvar: bool) -> Tensor:
    x = as_tensor(m)
    if x.ndim > 2 or not x.dtype.is_float:
        raise ShapeError(located(f"cov({x.type}): a vector or matrix of floats required"))
    return x.reshape((1, -1)) if x.ndim < 2 else x if rowvar or x.shape[0] == 1 else x.mT


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Tensor:
    both = _cov(x, y, rowvar)
    if both.ndim == 0:
        return both / both
    deviation = f.sqrt(f.linalg.diagonal(both))
    return f.clip(both / f.expand_dims(deviation, axis=1) / deviation, -1.0, 1.0)


def _last(a: Any, axis: Any, name: str) -> tuple[Tensor, tuple[int, ...]]:
    """The axes as one last axis, and the shape that keeps them with extent 1."""
    x = as_tensor(a)
    if not x.dtype.is_float:
        raise DTypeError(located(f"{name}({x.type}): required float; convert with astype"))
    axes = axis_tuple(axis, x.ndim, name)
    kept = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    moved = f.moveaxis(x, axes, tuple(range(x.ndim - len(axes), x.ndim)))
    length = math.prod(x.shape[k] for k in axes)
    return moved.reshape((*moved.shape[: x.ndim - len(axes)], length)), kept


def _quantiles(name: str, scale: float, missing: bool) -> Callable[..., Tensor]:
    """The linear interpolation between the two nearest elements in order, at the fraction
    q / scale of the way from the least to the greatest; `missing` passes over NaN.
    """

    def quantile(a: Any, q: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        line, kept = _last(a, axis, name)
        fractions = np.asarray(q, np.float64) / scale
        if fractions.size and not (fractions.min() >= 0 and fractions.max() <= 1):
            raise ShapeError(located(f"{name}: q between 0 and {scale:g} required, got {q!r}"))
        found = [_at(line, float(one), missing) for one in fractions.ravel()]
        results = [one.reshape(kept) if keepdims else one for one in found]
        return results[0] if fractions.ndim == 0 else _arranged(results, fractions.shape)

    return quantile


def _arranged(results: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    return f.stack(results).reshape((*shape, *results[0].shape))


def _at(line: Tensor, fraction: float, missing: bool) -> Tensor:
    ordered = f.sort(line, axis=-1)  # NaN is the greatest
    last = line.shape[-1] - 1
    if missing:
        return _at_of_known(ordered, fraction)
    place = fraction * last
    low = math.floor(place)
    below, above = ordered[..., low], ordered[..., min(low + 1, last)]
    return f.where(f.isnan(ordered[..., -1]), math.nan, below + (above - below) * (place - low))


def _at_of_known(ordered: Tensor, fraction: float) -> Tensor:
    """The place counts from the numbers, whose number depends on data."""
    known = f.sum(f.logical_not(f.isnan(ordered)), axis=-1, keepdims=True)
    last = f.maximum(known - 1, 0)
    place = fraction * last.astype(ordered.dtype)
    low = f.floor(place).astype("int64")
    below = f.take_along_axis(ordered, low, axis=-1)
    above = f.take_along_axis(ordered, f.minimum(low + 1, last), axis=-1)
    result = below + (above - below) * (place - low.astype(ordered.dtype))
    return f.squeeze(result, axis=-1)


def _median_of(name: str, missing: bool) -> Callable[..., Tensor]:
    quantile = _quantiles(name, 1.0, missing)

    def median(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        return quantile(a, 0.5, axis, keepdims=keepdims)

    return median


def _without_missing(fold: Callable[..., Tensor], neutral: float) -> Callable[..., Tensor]:
    """A sum or product to which NaN adds nothing."""

    def folded(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Tensor:
        x = as_tensor(a)
        return fold(f.where(f.isnan(x), neutral, x), axis=axis, dtype=dtype, keepdims=keepdims)

    return folded


def _extreme(fold: Callable[..., Tensor], neutral: float) -> Callable[..., Tensor]:
    """The greatest or least number; of nothing but NaN it is NaN."""

    def folded(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        x = as_tensor(a)
        gone = f.isnan(x)
        found = fold(f.where(gone, neutral, x), axis=axis, keepdims=keepdims)
        return f.where(f.all(gone, axis=axis, keepdims=keepdims), math.nan, found)

    return folded


def _place(find: Callable[..., Tensor], neutral: float) -> Callable[..., Tensor]:
    def found(a: Any, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        x = as_tensor(a)
        return find(f.where(f.isnan(x), neutral, x), axis=axis, keepdims=keepdims)

    return found


def _along(fold: Callable[..., Tensor], neutral: float) -> Callable[..., Tensor]:
    def folded(a: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
        x = as_tensor(a)
        flat = x.ravel() if axis is None else x
        known = f.where(f.isnan(flat), neutral, flat)
        return fold(known, axis=0 if axis is None else axis, dtype=dtype)

    return folded


def _nanmean(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
    x = as_tensor(a)
    gone = f.isnan(x)
    total = f.sum(f.where(gone, 0.0, x), axis=axis, keepdims=keepdims)
    return total / f.sum(f.logical_not(gone), axis=axis, keepdims=keepdims).astype(x.dtype)


def _nanvar(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor:
    x = as_tensor(a)
    gone = f.isnan(x)
    spread = f.where(gone, 0.0, x - _nanmean(x, axis, keepdims=True))
    total = f.sum(f.square(spread), axis=axis, keepdims=keepdims)
    count = f.sum(f.logical_not(gone), axis=axis, keepdims=keepdims).astype(x.dtype) - ddof
    return f.where(f.greater(count, 0.0), total / count, math.nan)


def _nanstd(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor:
    return f.sqrt(_nanvar(a, axis, ddof=ddof, keepdims=keepdims))


TABLE: dict[str, Callable[..., Any]] = {
    "average": _average,
    "corrcoef": _corrcoef,
    "cov": _cov,
    "digitize": lambda x, bins, right=False: f.searchsorted(
        bins, x, side="left" if right else "right"
    ),
    "median": _median_of("median", missing=False),
    "nanargmax": _place(f.argmax, -math.inf),
    "nanargmin": _place(f.argmin, math.inf),
    "nancumprod": _along(f.cumulative_prod, 1.0),
    "nancumsum": _along(f.cumulative_sum, 0.0),
    "nanmax": _extreme(f.max, -math.inf),
    "nanmean": _nanmean,
    "nanmedian": _median_of("nanmedian", missing=True),
    "nanmin": _extreme(f.min, math.inf),
    "nanpercentile": _quantiles("nanpercentile", 100.0, missing=True),
    "nanprod": _without_missing(f.prod, 1.0),
    "nanquantile": _quantiles("nanquantile", 1.0, missing=True),
    "nanstd": _nanstd,
    "nansum": _without_missing(f.sum, 0.0),
    "nanvar": _nanvar,
    "partition": lambda a, kth, axis=-1: np.sort(a, axis),
    "percentile": _quantiles("percentile", 100.0, missing=False),
    "ptp": lambda a, axis=None, *, keepdims=False: f.subtract(
        f.max(a, axis=axis, keepdims=keepdims), f.min(a, axis=axis, keepdims=keepdims)
    ),
    "quantile": _quantiles("quantile", 1.0, missing=False),
}
