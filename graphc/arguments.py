"""The arguments of a call: checked against the signature, and turned into addresses."""

from __future__ import annotations

import weakref
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphc.dtypes import TensorType, as_dtype
from graphc.errors import ArgumentError, DTypeError
from graphc.trace import Leaf, Signature, dynamic_arguments, flatten_arguments
from graphc.treecode import Seen, flattener


class Arguments:
    """The arguments of one place that calls, and the table of addresses that its C code reads.

    A leaf that is the very array of the last call is not checked again. Arrays are known through
    weak references: nothing is kept alive, and NumPy refuses to resize them in place.
    """

    def __init__(self, signature: Signature, ffi: Any, table: Any):
        self._signature = signature
        self._table, self._addresses = table, ffi.cast("intptr_t *", table)
        self._address = ffi.from_buffer
        self._leaves = signature.arguments
        self._flatten = flattener(signature.in_tree)
        self._donated = frozenset(i for i, _ in signature.donated)
        self._others = [i for i in range(len(self._leaves)) if i not in self._donated]
        self._kinds = [(leaf.type.shape, leaf.type.dtype.numpy) for leaf in self._leaves]
        self._sizes = [leaf.type.nbytes for leaf in self._leaves]
        self._seen: list[Seen] = [_nothing] * len(self._leaves)
        #: Where donated leaves begin and end, in order, and which ones they are.
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._owners: list[int] = []

    def take(self, args: Sequence[Any]) -> tuple[Sequence[Any], list[np.ndarray]]:
        """Fills the table; gives the leaves as they were given, and arrays made of some of them,
        which must live during the call.

        Donated arrays are taken as they are or refused, before anything is written; others are
        copied where they are not contiguous. Raises ArgumentError naming the leaf.
        """
        signature = self._signature
        if signature.bound is not None:
            fitted = flatten_arguments(signature, args)
            return fitted, self._place(fitted, range(len(fitted)))
        moving = dynamic_arguments(signature, args) if signature.static else args
        taken = self._flatten(moving, self._seen)
        if taken is None:
            given = flatten_arguments(signature, args)
            return given, self._place(given, range(len(given)))
        leaves, changed = taken
        if not changed:
            return leaves, []
        try:
            return leaves, self._place(leaves, changed)
        except ArgumentError:
            flatten_arguments(signature, args)  # A wrong structure is the better explanation.
            raise

    def _place(self, leaves: Sequence[Any], changed: Sequence[int]) -> list[np.ndarray]:
        """Checks some leaves, and writes into the table where they are."""
        made = []
        if not self._donated.isdisjoint(changed):
            made = self._reserve(leaves)
            changed = self._others
        for i in changed:
            x = array = leaves[i]
            shape, dtype = self._kinds[i]
            if not (
                type(x) is np.ndarray and x.shape == shape and x.dtype == dtype and x.flags.carray
            ):
                array = _array(x, self._leaves[i])
            self._seen[i] = _nothing
            self._table[i] = self._address(array)
            start, size = self._addresses[i], self._sizes[i]
            k = bisect_left(self._starts, start + size) - 1
            if k >= 0 and size and self._ends[k] > start:
                raise self._shared(i, self._owners[k])
            if array is x:
                self._seen[i] = weakref.ref(x)
            else:
                made.append(array)
        return made

    def _reserve(self, leaves: Sequence[Any]) -> list[np.ndarray]:
        """Checks donated leaves, as `_place` does with others, which have to be checked again: the
        memory of a donated leaf belongs to it alone, because it is written.
        """
        self._seen[:] = [_nothing] * len(leaves)
        arrays = {i: _donated_array(leaves[i], self._leaves[i]) for i in self._donated}
        extents = []
        for i, array in arrays.items():
            self._table[i] = self._address(array)
            start = self._addresses[i]
            if self._sizes[i]:
                extents.append((start, start + self._sizes[i], i))
        extents.sort()
        for (_, end, first), (start, _, second) in pairwise(extents):
            if start < end:
                raise self._shared(first, second)
        self._starts = [start for start, _, _ in extents]
        self._ends = [end for _, end, _ in extents]
        self._owners = [i for _, _, i in extents]
        for i, array in arrays.items():
            if array is leaves[i]:
                self._seen[i] = weakref.ref(array)
        return [array for i, array in arrays.items() if array is not leaves[i]]

    def _shared(self, *positions: int) -> ArgumentError:
        first, second = (self._leaves[i].path for i in sorted(positions))
        return ArgumentError(f"{first} and {second} share memory, and one of them is donated")


def require_in_place(signature: Signature, leaves: Sequence[Any]) -> None:
    """Raises ArgumentError for an array of which a call reads a copy: a bound step would not see
    what is written into the array later.
    """
    for x, leaf in zip(leaves, signature.arguments, strict=True):
        if isinstance(x, np.ndarray) and not (x.flags.c_contiguous and x.flags.aligned):
            raise ArgumentError(
                f"{leaf.path}: a bound array is read in place, so it must be C-contiguous and"
                f" aligned; its strides are {x.strides}"
            )


def _nothing() -> object:
    """Stands for a leaf that was not seen."""
    return _nothing


def _array(x: Any, leaf: Leaf) -> np.ndarray:
    if type(x) is np.ndarray:
        if x.shape == leaf.type.shape and x.dtype == leaf.type.dtype.numpy:
            flags = x.flags
            if flags.c_contiguous and flags.aligned:
                return x
            return np.array(x, leaf.type.dtype.numpy, order="C")
        raise _mismatch(leaf, x.shape, x.dtype)
    if leaf.python is not None and isinstance(x, (bool, int, float, np.generic)):
        return _number(x, leaf)
    array = _as_array(x, leaf)
    if array.shape != leaf.type.shape or array.dtype != leaf.type.dtype.numpy:
        raise _mismatch(leaf, array.shape, array.dtype)
    return np.array(array, leaf.type.dtype.numpy, order="C", copy=None)


def _as_array(x: Any, leaf: Leaf) -> np.ndarray:
    """What stands for an array: a NumPy array or scalar, or anything with DLPack."""
    if isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(x)
    if hasattr(x, "__dlpack__"):
        try:
            return np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError) as error:
            raise ArgumentError(
                f"{leaf.path}: expected {leaf.type}, got a {type(x).__name__} that cannot be read"
                f" in place: {error}"
            ) from error
    if isinstance(x, (bool, int, float)) and leaf.type.shape == ():
        return _number(x, leaf)
    raise ArgumentError(f"{leaf.path}: expected {leaf.type}, got {type(x).__name__}")


def _number(x: Any, leaf: Leaf) -> np.ndarray:
    """A Python number as a 0-d array of the leaf's dtype; it may not change kind on the way."""
    kinds = {bool: "b", int: "iu", float: "f"}
    python = (
        bool
        if isinstance(x, (bool, np.bool_))
        else (int if isinstance(x, (int, np.integer)) else float)
    )
    kind = leaf.type.dtype.kind
    if kind not in kinds[python] and not (python is int and kind == "f"):
        raise ArgumentError(f"{leaf.path}: expected {leaf.type}, got {x!r}")
    try:
        return np.array(x, leaf.type.dtype.numpy)
    except OverflowError:
        raise ArgumentError(f"{leaf.path}: {x!r} does not fit into {leaf.type}") from None


def _donated_array(x: Any, leaf: Leaf) -> np.ndarray:
    """The memory that a donated leaf is updated in."""
    shape, dtype = leaf.type.shape, leaf.type.dtype.numpy
    if type(x) is np.ndarray and x.shape == shape and x.dtype == dtype and x.flags.carray:
        return x
    array = _as_array(x, leaf)
    if array.shape != shape or array.dtype != dtype:
        raise _mismatch(leaf, array.shape, array.dtype)
    wrong = [
        word
        for word, right in (
            ("writable", array.flags.writeable),
            ("C-contiguous", array.flags.c_contiguous),
            ("aligned", array.flags.aligned),
            ("in native byte order", array.dtype.isnative),
            ("an array with memory of its own, not a number", not isinstance(x, np.generic)),
        )
        if not right
    ]
    if wrong:
        raise ArgumentError(f"{leaf.path} is donated: it must be {' and '.join(wrong)}")
    return array


def _mismatch(leaf: Leaf, shape: tuple[int, ...], dtype: np.dtype) -> ArgumentError:
    try:
        got = str(TensorType(tuple(shape), as_dtype(dtype)))
    except DTypeError:
        got = f"{dtype}[{','.join(map(str, shape))}]"
    if got == str(leaf.type):
        got += f" with byte order {dtype.byteorder!r}"
    return ArgumentError(f"{leaf.path}: expected {leaf.type}, got {got}")
