"""Arrays made from random bits: the same values in NumPy and in C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc.dtypes import TensorType
from graphc.ir.plain.in_numpy import philox

#: One key word of all streams; the other is the array's number.
SEED = 0x67726170
#: Words that NumPy makes at a time: what it holds meanwhile is much larger.
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Filling:
    """How an array is filled: numbers from `low` to below `high` for floats, the stream of random
    bits. Integers are non-negative numbers of up to six bits, small ones more often, so that they
    are indices of most axes; words of 32 bits, which keys of random numbers are, any number.
    """

    low: float
    high: float
    stream: int


def filled(type: TensorType, how: Filling) -> np.ndarray:
    """The array; C's `fill` makes the same one."""
    words = _words(type.size, how.stream)
    dtype = type.dtype
    values: np.ndarray
    if dtype.is_float:
        unit = (words >> np.uint32(8)).astype(np.float64) * 2.0**-24
        values = how.low + (how.high - how.low) * unit
    elif dtype.kind == "b":
        values = words & np.uint32(1)
    elif dtype.kind == "u" and dtype.itemsize == 4:
        values = words
    else:
        values = (words >> np.uint32(8)) & ((np.uint32(1) << words % np.uint32(7)) - np.uint32(1))
    return values.astype(dtype.numpy).reshape(type.shape)


def _words(count: int, stream: int) -> np.ndarray:
    """The first words of the Philox stream with key (SEED, stream)."""
    key = np.array([SEED, stream], np.uint32)
    words = np.empty(-(-count // 4) * 4, np.uint32)
    for begin in range(0, len(words), _CHUNK):
        part = words[begin : begin + _CHUNK]
        blocks = np.arange(begin // 4, (begin + len(part)) // 4, dtype=np.uint64)
        part[:] = philox(key[None, :], blocks).reshape(-1)
    return words[:count]


def weight_range(type: TensorType) -> float:
    """Uniform numbers up to this size keep sums of products as large as their terms: sqrt(3/n)
    for n inputs (LeCun et al., "Efficient BackProp", 1998).
    """
    if type.ndim < 2 or type.size == 0:
        return 1.0
    return float((3 / max(type.shape[0], type.size // type.shape[0])) ** 0.5)


#: C for `filled`. It needs the runtime's `gx_philox`.
FILL = f"""\
enum kind {{ FLOAT32, FLOAT64, INT32, INT64, UINT8, UINT32, BOOL }};

/* Fills an array from the stream of random bits with a number. */
static void fill(void *array, enum kind kind, uint64_t count, double low, double high,
                 uint32_t stream)
{{
    const uint32_t key[2] = {{{SEED}u, stream}};
    uint32_t words[4];
    for (uint64_t e = 0; e < count; e++) {{
        if (e % 4 == 0)
            gx_philox(key, e / 4, words);
        const uint32_t word = words[e % 4];
        const double number = low + (high - low) * ((word >> 8) * 0x1p-24);
        const uint32_t small = (word >> 8) & ((UINT32_C(1) << word % 7) - 1);
        switch (kind) {{
        case FLOAT32: ((float *)array)[e] = (float)number; break;
        case FLOAT64: ((double *)array)[e] = number; break;
        case INT32: ((int32_t *)array)[e] = (int32_t)small; break;
        case INT64: ((int64_t *)array)[e] = (int64_t)small; break;
        case UINT8: ((uint8_t *)array)[e] = (uint8_t)small; break;
        case UINT32: ((uint32_t *)array)[e] = word; break;
        case BOOL: ((uint8_t *)array)[e] = word & 1; break;
        }}
    }}
}}
"""


def fill_call(array: str, type: TensorType, how: Filling) -> str:
    """C that fills an array, given the address of its first element."""
    kind = type.dtype.name.upper()
    return f"fill({array}, {kind}, {type.size}, {how.low!r}, {how.high!r}, {how.stream})"
