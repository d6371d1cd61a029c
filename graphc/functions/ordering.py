"""Order along an axis: sorting, ranks, cumulative folds, differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.dtypes import int64
from graphc.errors import ShapeError
from graphc.functions.elementwise import subtract
from graphc.functions.promotion import (
    as_dtype,
    as_tensor,
    as_value,
    one_axis,
    promoted,
    whole,
)
from graphc.functions.shape import concat
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements along `axis` in order; NaN is the greatest: last when ascending, first when
    descending. Equal elements keep their order.
    """
    value = as_value(x)
    return Tensor(ops.sort(value, one_axis(axis, len(value.shape), "sort"), descending))


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The positions (int64) that sort x along `axis`; equal elements keep their order, NaN is the
    greatest.
    """
    value = as_value(x)
    return Tensor(ops.argsort(value, one_axis(axis, len(value.shape), "argsort"), descending))


def top_k(x: Any, k: int, /, *, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The k largest elements along `axis` in descending order, and their positions (int64); NaN is
    the greatest, as in `sort`.
    """
    value = as_value(x)
    a = one_axis(axis, len(value.shape), "top_k")
    k = whole(k, "top_k", "k", 0)
    if k > value.shape[a]:
        raise ShapeError(located(f"top_k({value.type}, {k}): 0 … {value.shape[a]} required"))
    values, positions = ops.top_k(value, k, a)
    return Tensor(values), Tensor(positions)


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Tensor:
    """For each value of x2 where it belongs in the ascending row x1 (int64): before its equals for
    "left", behind them for "right". NaN is the greatest.
    """
    if side not in ("left", "right"):
        raise ShapeError(located(f"searchsorted: side is 'left' or 'right', got {side!r}"))
    row, values = promoted("searchsorted", x1, x2)
    if len(row.shape) != 1:
        raise ShapeError(located(f"searchsorted({row.type}): a 1-D row required"))
    if sorter is not None:
        row = ops.gather(row, [as_value(sorter)])
    return Tensor(ops.searchsorted(row, values, side == "right"))


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Sums of the first elements along `axis` (needed unless x is 1-D); integers give int64. With
    `include_initial` the empty sum comes first.
    """
    return _cumulative(ops.cumulative_sum, 0, x, axis, dtype, include_initial, "cumulative_sum")


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Products of the first elements along `axis` (needed unless x is 1-D); integers give int64."""
    return _cumulative(ops.cumulative_prod, 1, x, axis, dtype, include_initial, "cumulative_prod")


def cumulative_logsumexp(
    x: Any, /, *, axis: int | None = None, include_initial: bool = False
) -> Tensor:
    """log Σ exp of the first elements along `axis` (needed unless x is 1-D), without overflow."""
    return _cumulative(
        ops.cumulative_logsumexp,
        -float("inf"),
        x,
        axis,
        as_tensor(x).dtype,
        include_initial,
        "cumulative_logsumexp",
    )


def _cumulative(
    fold: Callable[[Value, int], Value],
    of_nothing: float,
    x: Any,
    axis: int | None,
    dtype: Any,
    include_initial: bool,
    name: str,
) -> Tensor:
    value = as_value(x)
    if dtype is not None:
        value = ops.astype(value, as_dtype(dtype))
    elif not value.dtype.is_float:
        value = ops.astype(value, int64)
    if axis is None and len(value.shape) != 1:
        raise ShapeError(located(f"{name}({value.type}): axis required"))
    a = one_axis(0 if axis is None else axis, len(value.shape), name)
    result = fold(value, a)
    if include_initial:
        first = tuple(1 if k == a else n for k, n in enumerate(value.shape))
        result = ops.concat([ops.full(first, of_nothing, value.dtype), result], a)
    return Tensor(result)


def diff(
    x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None
) -> Tensor:
    """The n-th differences of neighbours along `axis`, of x with `prepend` and `append` put on."""
    result = as_tensor(x)
    a = one_axis(axis, result.ndim, "diff")
    n = whole(n, "diff", "n", 0)
    if prepend is not None or append is not None:
        parts = [p for p in (prepend, result, append) if p is not None]
        result = concat(parts, axis=a)
    for _ in range(n):
        lead = (slice(None),) * a
        result = subtract(result[(*lead, slice(1, None))], result[(*lead, slice(None, -1))])
    return result
