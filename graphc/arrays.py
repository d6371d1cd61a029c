"""Arrays that begin where compiled code reads and writes them fastest.

NumPy's large arrays all begin 16 bytes after a page: every vector of 64 bytes lies in two cache
lines then, and rows of several arrays that a kernel reads together fall into the same few sets of a
first-level cache, of which the last twelve bits of an address choose one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import tree
from graphc.errors import ArgumentError
from graphc.functions.promotion import as_dtype
from graphc.ir.site import located

#: Bytes of a cache line, and of a page; a power of two each.
LINE, PAGE = 64, 4096
#: Arrays that are made one after the other begin so many lines apart within a page.
APART = 17

_turns = itertools.count()


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An array of any contents at the beginning of a line; large ones begin at different places of
    their pages.
    """
    return _placed(np.empty, shape, dtype)


def full(shape: Sequence[int], value: float, dtype: Any) -> np.ndarray:
    """An array as `empty` places it, of one number. Pages of zeros take no memory before they are
    touched.
    """
    if not value:
        return _placed(np.zeros, shape, dtype)
    array = empty(shape, dtype)
    array.fill(value)
    return array


def copied(array: np.ndarray) -> np.ndarray:
    """A contiguous copy in row-major order, as `empty` places it."""
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def device_put(x: Any) -> Any:
    """Copies of all arrays of a pytree in memory where compiled steps read and write fastest: at
    beginnings of cache lines, and not all at the same place of their pages as NumPy has them. State
    that a step updates in place is worth it: the step runs up to a quarter faster.

    Leaves may be arrays of NumPy or of any library with DLPack or `__array__`; Python's numbers are
    returned as they are. Shapes and dtypes stay. Raises ArgumentError for what is no array or
    number and DTypeError for a dtype that steps do not know.
    """

    def put(leaf: Any) -> Any:
        if isinstance(leaf, (bool, int, float)):
            return leaf
        if hasattr(leaf, "__dlpack__") and not isinstance(leaf, np.ndarray):
            leaf = np.from_dlpack(leaf)
        if not isinstance(leaf, np.generic) and not hasattr(leaf, "__array__"):
            what = f"device_put: arrays and numbers required, got {type(leaf).__name__}"
            raise ArgumentError(located(what))
        array = np.asarray(leaf)
        return copied(array.astype(as_dtype(array.dtype).numpy, copy=False))

    return tree.map(put, x)


def _placed(make: Callable[..., np.ndarray], shape: Sequence[int], dtype: Any) -> np.ndarray:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    within = PAGE if size >= PAGE else LINE
    memory = make(size + within, np.uint8)
    begin = memory.__array_interface__["data"][0]
    start = (next(_turns) * APART * LINE - begin) % within
    return np.ndarray(shape, dtype, memory, start)
