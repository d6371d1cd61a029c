"""Tensors made from numbers, arrays and shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import ops
from graphc.dtypes import float32, int64, tensor_type
from graphc.errors import DTypeError, ShapeError, TraceError
from graphc.functions.elementwise import where
from graphc.functions.promotion import (
    WEAK,
    as_dtype,
    as_tensor,
    as_value,
    kind_of_scalar,
    one_axis,
    several,
    whole,
)
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Tensor:
    """A tensor of a tensor, array, number or nested list; arrays are copied when traced. Python
    floats become float32, ints int64.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if wanted is not None and isinstance(obj, (bool, int, float)):
        try:
            return Tensor(ops.constant(obj, wanted))
        except (ValueError, OverflowError):
            raise DTypeError(located(f"{obj!r} does not fit {wanted}")) from None
    value = as_value(obj)
    return Tensor(value if wanted is None else ops.astype(value, wanted))


array = asarray


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A shape filled with one number, or with a 0-d tensor."""
    wanted = tensor_type(_static(shape, "full"), float32).shape
    value = asarray(fill_value, dtype=dtype).value
    if value.shape != ():
        raise ShapeError(located(f"full: the filling must be 0-d, got {value.type}"))
    return Tensor(ops.broadcast(value, wanted))


def zeros(shape: Any, *, dtype: Any = float32, device: Any = None) -> Tensor:
    """A shape filled with 0."""
    return full(shape, 0, dtype=dtype or float32)


def ones(shape: Any, *, dtype: Any = float32, device: Any = None) -> Tensor:
    """A shape filled with 1."""
    return full(shape, 1, dtype=dtype or float32)


def empty(shape: Any, *, dtype: Any = float32, device: Any = None) -> Tensor:
    """Zeros: there is no uninitialized memory in a graph."""
    return zeros(shape, dtype=dtype)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of x's shape (and dtype) filled with one number."""
    like = as_tensor(x)
    return full(like.shape, fill_value, dtype=dtype or like.dtype)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of x's shape (and dtype) filled with 0."""
    return full_like(x, 0, dtype=dtype)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of x's shape (and dtype) filled with 1."""
    return full_like(x, 1, dtype=dtype)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros of x's shape (and dtype)."""
    return full_like(x, 0, dtype=dtype)


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """start, start + step, … below stop: int64 of ints, float32 if any bound is a float. Bounds
    decide a shape, so they are static.
    """
    if stop is None:
        start, stop = 0, start
    for bound in (start, stop, step):
        if not isinstance(bound, WEAK):
            raise TraceError(located(f"arange: static numbers required, got {bound!r}"))
    if not math.isfinite((stop - start) * step):
        raise ShapeError(located(f"arange: finite bounds required, got {start}, {stop}, {step}"))
    if step == 0:
        raise ShapeError(located("arange: the step is 0"))
    whole = all(kind_of_scalar(b) == "integer" for b in (start, stop, step))
    wanted = as_dtype(dtype) if dtype is not None else int64 if whole else float32
    count = max(0, int(np.ceil((stop - start) / step)))
    if whole and wanted.is_integer:
        count = len(range(int(start), int(stop), int(step)))
    steps = ops.iota((count,), 0, wanted)
    if step != 1:
        steps = ops.multiply(steps, ops.full((count,), step, wanted))
    return Tensor(steps if start == 0 else ops.add(steps, ops.full((count,), start, wanted)))


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` evenly spaced numbers; the bounds may be 0-d tensors."""
    wanted = float32 if dtype is None else as_dtype(dtype)
    if isinstance(num, bool) or not isinstance(num, (int, np.integer)) or num < 0:
        raise ShapeError(located(f"linspace: a number of points >= 0 required, got {num!r}"))
    if isinstance(start, WEAK) and isinstance(stop, WEAK):
        bounds = float(start), float(stop)
        return asarray(np.linspace(*bounds, num, endpoint=endpoint, dtype=wanted.numpy))
    first, last = asarray(start, dtype=wanted), asarray(stop, dtype=wanted)
    intervals = max(num - 1 if endpoint else num, 1)
    steps = Tensor(ops.iota((num,), 0, wanted))
    points = first + steps * ((last - first) / float(intervals))
    if endpoint and num > 1:
        points = where(arange(num) == num - 1, last, points)
    return points


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = float32,
    device: Any = None,
) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere."""
    shape = _static((n_rows, n_rows if n_cols is None else n_cols), "eye")
    k = whole(k, "eye", "k")
    rows, columns = ops.iota(shape, 0), ops.iota(shape, 1)
    on = ops.equal(ops.add(rows, ops.full(shape, k, int64)), columns)
    return Tensor(ops.astype(on, as_dtype(dtype)))


def tril(x: Any, /, *, k: int = 0) -> Tensor:
    """x on and below the k-th diagonal of its last two axes, zero above."""
    return Tensor(ops.tril(_matrices(x, "tril"), whole(k, "tril", "k")))


def triu(x: Any, /, *, k: int = 0) -> Tensor:
    """x on and above the k-th diagonal of its last two axes, zero below."""
    return Tensor(ops.triu(_matrices(x, "triu"), whole(k, "triu", "k")))


def _matrices(x: Any, name: str) -> Value:
    value = as_value(x)
    if len(value.shape) < 2:
        raise ShapeError(located(f"{name}({value.type}): at least 2 axes required"))
    return value


def one_hot(indices: Any, n: int, dtype: Any = "float32", *, axis: int = -1) -> Tensor:
    """1 at position `indices` of a new axis of extent n, 0 elsewhere; an index outside [0, n)
    gives zeros only.
    """
    value = as_value(indices)
    if not value.dtype.is_integer:
        raise DTypeError(located(f"one_hot({value.type}): integer indices required"))
    a = one_axis(axis, len(value.shape) + 1, "one_hot")
    shape = (*value.shape[:a], n, *value.shape[a:])
    others = tuple(k for k in range(len(shape)) if k != a)
    hot = ops.equal(ops.broadcast(value, shape, others), ops.iota(shape, a, value.dtype))
    return Tensor(ops.astype(hot, as_dtype(dtype)))


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinates of a grid: for "ij" the k-th varies along axis k, for "xy" the first two are
    exchanged.
    """
    if indexing not in ("xy", "ij"):
        raise ShapeError(located(f"meshgrid: indexing is 'xy' or 'ij', got {indexing!r}"))
    values = [as_value(x) for x in arrays]
    places = list(range(len(values)))
    if indexing == "xy" and len(values) > 1:
        places[:2] = [1, 0]
    shape = [0] * len(values)
    for v, place in zip(values, places, strict=True):
        if len(v.shape) != 1:
            raise ShapeError(located(f"meshgrid: 1-D tensors required, got {v.type}"))
        shape[place] = v.shape[0]
    return [
        Tensor(ops.broadcast(v, tuple(shape), (place,)))
        for v, place in zip(values, places, strict=True)
    ]


def _static(shape: Any, name: str) -> tuple[int, ...]:
    if isinstance(shape, Tensor):
        raise TraceError(located(f"{name}: shapes are static; a shape cannot be a tensor"))
    extents = several(shape, name, "a shape")
    if any(isinstance(e, Tensor) for e in extents):
        raise TraceError(located(f"{name}: shapes are static; an extent cannot be a tensor"))
    try:
        return tensor_type(extents).shape
    except ShapeError as error:
        raise ShapeError(located(f"{name}: {error}")) from None
