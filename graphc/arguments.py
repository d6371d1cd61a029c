"""The arguments of a call: checked against the signature, and turned into addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import TensorType, as_dtype
from graphc.errors import ArgumentError, DTypeError
from graphc.trace import Leaf, Signature, flatten_arguments


def check_arguments(signature: Signature, args: Sequence[Any]) -> list[np.ndarray]:
    """One C-contiguous array for each argument of the graph, in order.

    Donated arrays are taken as they are or refused, before anything is written; others are copied
    where they are not contiguous. Raises ArgumentError naming the leaf.
    """
    leaves = flatten_arguments(signature, args)
    donated = {i for i, _ in signature.donated}
    arrays = [
        _donated_array(x, leaf) if i in donated else _array(x, leaf)
        for i, (x, leaf) in enumerate(zip(leaves, signature.arguments, strict=True))
    ]
    if donated:
        _check_overlap(arrays, signature, donated)
    return arrays


def given_leaves(signature: Signature, args: Sequence[Any]) -> list[Any]:
    """The leaves as the caller gave them: what donated results come back as."""
    return flatten_arguments(signature, args)


def _array(x: Any, leaf: Leaf) -> np.ndarray:
    if type(x) is np.ndarray:
        if x.shape == leaf.type.shape and x.dtype == leaf.type.dtype.numpy:
            flags = x.flags
            if flags.c_contiguous and flags.aligned and x.dtype.isnative:
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
    array = _as_array(x, leaf)
    if array.shape != leaf.type.shape or array.dtype != leaf.type.dtype.numpy:
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


def _check_overlap(arrays: Sequence[np.ndarray], signature: Signature, donated: set[int]) -> None:
    """Donated memory belongs to one leaf alone: writing it would change the others."""
    extents = sorted(
        (start, start + a.nbytes, i)
        for i, a in enumerate(arrays)
        if a.nbytes and (start := a.__array_interface__["data"][0])
    )
    reach, owner = -1, -1
    for start, end, i in extents:
        if start < reach and (i in donated or owner in donated):
            first, second = signature.arguments[owner].path, signature.arguments[i].path
            raise ArgumentError(f"{first} and {second} share memory, and one of them is donated")
        if end > reach:
            reach, owner = end, i
