"""Random numbers that are pure functions of a key: no stream, no hidden state.

A key is uint32[2]. Element e of `bits(key, shape)` is word e % 4 of the Philox4x32-10 block with
counter (e // 4, 0, 0) and that key (Salmon, Moraes, Dror and Shaw, SC 2011). Everything else is
arithmetic on such words, so equal keys give equal values, and a value that is needed twice (the
mask of a dropout, in its backward pass) is computed twice instead of kept. To draw again, use
another key: `split` and `fold_in` make them.

With a NumPy key (and no tensor among the other arguments) the result is a NumPy array, computed
by the reference interpreter; with a tensor it is a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from graphc import functions as F
from graphc import ops
from graphc.dtypes import float64, int64, uint32
from graphc.errors import ArgumentError, DTypeError, ShapeError, TraceError
from graphc.functions.promotion import as_dtype, as_tensor, one_axis, whole
from graphc.functions.required import number, tensor_type
from graphc.ir.site import located
from graphc.ops.random import random_bits
from graphc.reference import evaluate
from graphc.tensor import Tensor

__all__ = [
    "bernoulli",
    "bits",
    "categorical",
    "fold_in",
    "key",
    "normal",
    "permutation",
    "randint",
    "split",
    "uniform",
]

#: What separates the words that make new keys from those that a user draws with the same key.
_SPLIT, _FOLD = 0x5F3759DF, 0x9E3779B9

_F = TypeVar("_F", bound=Callable[..., Any])


def _with_arrays_too(function: _F) -> _F:
    """Arrays in, array out: the same graph, evaluated by the reference."""

    @wraps(function)
    def either(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(a, Tensor) for a in (*args, *kwargs.values())):
            return function(*args, **kwargs)
        result = function(
            *[_lifted(a) for a in args], **{name: _lifted(a) for name, a in kwargs.items()}
        )
        return evaluate([result.value], {})[0]

    return either  # type: ignore[return-value]


def _lifted(argument: Any) -> Any:
    if not isinstance(argument, np.ndarray):
        return argument
    return Tensor(ops.constant(argument, as_dtype(argument.dtype)))


def key(seed: int) -> np.ndarray:
    """The key of a seed: its low and its high 32 bits. Seeds count modulo 2^64."""
    if isinstance(seed, Tensor):
        raise TraceError(
            located("key(seed) takes a number; write fold_in(key(0), tensor) for one that varies")
        )
    seed = whole(seed, "key", "a seed") % 2**64
    return np.array([seed % 2**32, seed >> 32], np.uint32)


@_with_arrays_too
def split(key: Any, num: int = 2) -> Any:
    """`num` new keys, uint32[num, 2], independent of one another and of what `key` draws."""
    return bits(_apart(key, _SPLIT), (num, 2))


@_with_arrays_too
def fold_in(key: Any, data: Any) -> Any:
    """A new key for each integer `data` (modulo 2^32), such as the number of a step or a layer.

    `data` is mixed into words drawn with `key`, not into `key` itself: keys that differ by as
    little as their seeds do not meet.
    """
    if isinstance(data, Tensor):
        if data.shape != () or not data.dtype.is_integer:
            raise DTypeError(located(f"fold_in: a 0-d integer required, got {data.type}"))
        word = data.astype(uint32)
    else:
        word = F.asarray(whole(data, "fold_in", "data") % 2**32, dtype=uint32)
    hashed = bits(_apart(key, _FOLD), (2,))
    return bits(F.stack([hashed[0] ^ word, hashed[1]]), (2,))


@_with_arrays_too
def bits(key: Any, shape: int | Sequence[int] = ()) -> Any:
    """Uniform uint32 of a shape."""
    return Tensor(random_bits(_checked(key).value, _shape(shape)))


@_with_arrays_too
def uniform(
    key: Any,
    shape: int | Sequence[int] = (),
    dtype: Any = "float32",
    minval: float = 0.0,
    maxval: float = 1.0,
) -> Any:
    """Uniform on [minval, maxval): multiples of 2^-24 (float32) or 2^-53 (float64) of the
    interval's length.
    """
    low, high = number(minval, "uniform", "minval"), number(maxval, "uniform", "maxval")
    unit = _unit(key, _shape(shape), dtype)
    if (low, high) == (0.0, 1.0):
        return unit
    if not low < high:
        raise ArgumentError(located(f"uniform: minval < maxval required, got {minval}, {maxval}"))
    # Rounding may reach the end of the interval, which is open.
    real = unit.dtype.numpy.type
    last = float(np.nextafter(real(high), real(low)))
    return F.minimum(low + unit * (high - low), last)


@_with_arrays_too
def normal(key: Any, shape: int | Sequence[int] = (), dtype: Any = "float32") -> Any:
    """Standard normal, by Box and Muller: √(-2 ln(1 - u))·cos 2πv, a pair of uniforms u, v each.

    The largest absolute value is 5.77 in float32, 8.57 in float64.
    """
    pair = _unit(key, (*_shape(shape), 2), dtype)
    u, v = pair[..., 0], pair[..., 1]
    return F.sqrt(-2.0 * F.log(1 - u)) * F.cos((2 * math.pi) * v)


@_with_arrays_too
def bernoulli(key: Any, p: Any = 0.5, shape: int | Sequence[int] | None = None) -> Any:
    """True with probability p, which broadcasts against `shape` (by default p's own); p counts in
    steps of 2^-24.
    """
    if not isinstance(p, (int, float)):
        p = as_tensor(p).astype("float32")
    if shape is None:
        shape = p.shape if isinstance(p, Tensor) else ()
    return _unit(key, _shape(shape), "float32") < p


@_with_arrays_too
def randint(
    key: Any, shape: int | Sequence[int], minval: int, maxval: int, dtype: Any = "int64"
) -> Any:
    """Integers in [minval, maxval), all equally likely to within (maxval - minval) / 2^63."""
    wanted = as_dtype(dtype)
    if not wanted.is_integer:
        raise DTypeError(located(f"randint: an integer dtype required, got {wanted}"))
    limits = np.iinfo(wanted.numpy)
    minval, maxval = whole(minval, "randint", "minval"), whole(maxval, "randint", "maxval")
    if not limits.min <= minval < maxval <= limits.max + 1 or maxval - minval >= 2**63:
        raise ArgumentError(
            located(f"randint: required minval < maxval within {wanted}, got {minval}, {maxval}")
        )
    return (minval + _wide(key, _shape(shape)) % (maxval - minval)).astype(wanted)


@_with_arrays_too
def permutation(key: Any, x: Any, axis: int = 0) -> Any:
    """0 … x - 1 in random order when x is an integer, else the slices of x along `axis`.

    Sorts by 63 random bits, so orders are equally likely to within n² / 2^64.
    """
    if isinstance(x, (int, np.integer)):
        return F.argsort(_wide(key, (whole(x, "permutation", "x", 0),)))
    x = as_tensor(x)
    extent = x.shape[one_axis(axis, x.ndim, "permutation")]
    return F.take(x, F.argsort(_wide(key, (extent,))), axis=axis)


@_with_arrays_too
def categorical(
    key: Any, logits: Any, axis: int = -1, shape: int | Sequence[int] | None = None
) -> Any:
    """Positions (int64) along `axis`, each with probability softmax(logits).

    `shape`, if given, ends with the shape of `logits` without `axis`; axes before that are
    independent draws. The largest of logits + Gumbel noise; the noise has 23 random bits, so
    probabilities below about 2^-23 of the largest are not met exactly.
    """
    logits = as_tensor(logits)
    axis = one_axis(axis, logits.ndim, "categorical") - logits.ndim
    batch = list(logits.shape)
    del batch[axis]
    drawn = tuple(batch) if shape is None else _shape(shape)
    extra = len(drawn) - len(batch)
    if extra < 0 or list(drawn[extra:]) != batch:
        raise ShapeError(
            located(f"categorical({logits.type}): a shape that ends with {tuple(batch)} required")
        )
    noise = _gumbel(key, (*drawn[:extra], *logits.shape))
    return F.argmax(logits + noise.astype(logits.dtype), axis=axis)


def _gumbel(key: Any, shape: tuple[int, ...]) -> Tensor:
    """-ln(-ln u), with u at the middle of one of 2^23 equal parts of [0, 1]: never 0 or 1."""
    middle = ((bits(key, shape) >> 9).astype("float32") + 0.5) * 2.0**-23
    return -F.log(-F.log(middle))


def _unit(key: Any, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """Uniform on [0, 1): the upper 24 bits of one word, or 53 bits of two."""
    wanted = as_dtype(dtype)
    if not wanted.is_float:
        raise DTypeError(located(f"float32 or float64 required, got {wanted}"))
    if wanted is float64:
        words = bits(key, (*shape, 2))
        high, low = words[..., 0] >> 5, words[..., 1] >> 6
        return (high.astype(float64) * 2.0**26 + low.astype(float64)) * 2.0**-53
    return (bits(key, shape) >> 8).astype(wanted) * 2.0**-24


def _wide(key: Any, shape: tuple[int, ...]) -> Tensor:
    """Uniform int64 in [0, 2^63)."""
    words = bits(key, (*shape, 2))
    high, low = words[..., 0] >> 1, words[..., 1]
    return high.astype(int64) * 2**32 + low.astype(int64)


def _apart(key: Any, purpose: int) -> Tensor:
    return _checked(key) ^ np.array([0, purpose], np.uint32)


def _checked(key: Any) -> Tensor:
    key = as_tensor(key)
    if key.shape != (2,) or key.dtype is not uint32:
        raise ArgumentError(located(f"a key is uint32[2] (see random.key), got {key.type}"))
    return key


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return tensor_type(shape, uint32, "random").shape
