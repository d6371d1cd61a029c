"""Reductions over some axes, and what is composed of them."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.dtypes import bool_, int64
from graphc.errors import DTypeError
from graphc.functions.elementwise import (
    add,
    astype,
    divide,
    exp,
    isfinite,
    log,
    sqrt,
    square,
    subtract,
    where,
)
from graphc.functions.promotion import WEAK, as_dtype, as_tensor, as_value, axis_tuple, one_axis
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor


def _reduced(
    fold: Callable[..., Value], value: Value, axis: Any, keepdims: bool, name: str
) -> Tensor:
    axes = axis_tuple(axis, len(value.shape), name)
    return Tensor(_kept(fold(value, axes), value, axes, keepdims))


def _kept(result: Value, value: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """With `keepdims` the folded axes stay, with extent 1."""
    if not keepdims:
        return result
    return ops.reshape(result, tuple(1 if a in axes else n for a, n in enumerate(value.shape)))


def _accumulated(x: Any, dtype: Any) -> Value:
    """The operand of a sum or product: integers and bools count in int64 unless `dtype` says."""
    value = as_value(x)
    if dtype is not None:
        return ops.astype(value, as_dtype(dtype))
    return value if value.dtype.is_float else ops.astype(value, int64)


def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis` (an integer, a tuple, or None for all); of nothing 0. Integers and bools
    give int64. The order of addition is a function of the shape alone.
    """
    return _reduced(ops.sum, _accumulated(x, dtype), axis, keepdims, "sum")


def prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The product over `axis`; of nothing 1. Integers and bools give int64."""
    return _reduced(ops.prod, _accumulated(x, dtype), axis, keepdims, "prod")


def max(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest over `axis`; NaN wins; ties share the gradient equally; of nothing an error."""
    return _reduced(ops.max, as_value(x), axis, keepdims, "max")


def min(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest over `axis`; NaN wins; ties share the gradient equally; of nothing an error."""
    return _reduced(ops.min, as_value(x), axis, keepdims, "min")


def all(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are true (not zero); of nothing true."""
    return _reduced(ops.all, astype(x, bool_).value, axis, keepdims, "all")


def any(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether an element over `axis` is true (not zero); of nothing false."""
    return _reduced(ops.any, astype(x, bool_).value, axis, keepdims, "any")


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many elements over `axis` are not zero, as int64."""
    return _reduced(ops.count_nonzero, as_value(x), axis, keepdims, "count_nonzero")


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position (int64) of the first largest along `axis`; None: in the flattened tensor."""
    return _position(ops.argmax, x, axis, keepdims, "argmax")


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position (int64) of the first smallest along `axis`; None: in the flattened tensor."""
    return _position(ops.argmin, x, axis, keepdims, "argmin")


def _position(
    fold: Callable[..., Value], x: Any, axis: int | None, keepdims: bool, name: str
) -> Tensor:
    value = as_value(x)
    ndim = len(value.shape)
    if axis is None:
        flat = fold(ops.reshape(value, (math.prod(value.shape),)), (0,))
        return Tensor(_kept(flat, value, tuple(range(ndim)), keepdims))
    return _reduced(fold, value, one_axis(axis, ndim, name), keepdims, name)


def _floating(x: Any, name: str) -> Tensor:
    result = as_tensor(x)
    if not result.dtype.is_float:
        raise DTypeError(
            located(f'{name}({result.type}): required float; convert with astype("float32")')
        )
    return result


def mean(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over `axis` of floats; of nothing NaN."""
    x = _floating(x, "mean")
    axes = axis_tuple(axis, x.ndim, "mean")
    count = math.prod(x.shape[a] for a in axes)
    return divide(sum(x, axis=axes, keepdims=keepdims), float(count))


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The mean square distance from the mean over `axis`, divided by N - correction."""
    x = _floating(x, "var")
    axes = axis_tuple(axis, x.ndim, "var")
    count = math.prod(x.shape[a] for a in axes)
    if isinstance(correction, builtins.bool) or not isinstance(correction, WEAK):
        raise DTypeError(located(f"var: the correction is a number, got {correction!r}"))
    spread = subtract(x, mean(x, axis=axes, keepdims=True))
    total = sum(square(spread), axis=axes, keepdims=keepdims)
    return divide(total, float(builtins.max(count - correction, 0)))


def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The square root of `var`; its gradient is NaN where nothing differs, and 0 of one element."""
    spread = var(x, axis=axis, correction=correction, keepdims=keepdims)
    single = math.prod(as_tensor(x).shape) == math.prod(spread.shape)
    # Of one element the variance is (x - x)², which is its own root, and has a derivative.
    return spread if single and not correction else sqrt(spread)


def logsumexp(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log Σ exp(x) over `axis`, without overflow; of nothing -inf. Its gradient is the softmax."""
    x = _floating(x, "logsumexp")
    axes = axis_tuple(axis, x.ndim, "logsumexp")
    if 0 in [x.shape[a] for a in axes]:
        return log(sum(exp(x), axis=axes, keepdims=keepdims))
    # The largest is only a shift and carries no derivative; an infinite one would give inf - inf.
    largest = Tensor(ops.stop_gradient(max(x, axis=axes, keepdims=True).value))
    shift = where(isfinite(largest), largest, 0.0)
    total = add(log(sum(exp(subtract(x, shift)), axis=axes, keepdims=True)), shift)
    if keepdims:
        return total
    rest = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    return Tensor(ops.reshape(total.value, rest))
