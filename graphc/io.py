"""Pytrees of arrays in safetensors files, which other frameworks read.

A leaf's name in the file is its path with dots: `params.layers.0.w`.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import optree
from safetensors import SafetensorError, safe_open

from graphc import tree
from graphc.arrays import copied
from graphc.dtypes import TensorType, as_dtype
from graphc.errors import ArgumentError, DTypeError
from graphc.ir.site import writable

#: safetensors' names of the dtypes.
CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "uint32": "U32",
    "int32": "I32",
    "int64": "I64",
    "float32": "F32",
    "float64": "F64",
}
#: A key of the header that names no array.
_RESERVED = "__metadata__"
#: The name of a tree that is a single leaf.
_ONLY = "value"


def save(path: str | os.PathLike[str], pytree: Any) -> None:
    """Writes all leaves (arrays, also of other libraries through DLPack, and numbers) to a
    safetensors file.

    A reader of `path` sees the old file or the whole new one: the data is on disk before it gets
    its name. Raises ArgumentError for a leaf that is no array or number, for a name that UTF-8
    cannot write, and for two leaves whose paths give one name (dict keys that contain dots), and
    OSError as the file system does.
    """
    leaves, treedef = tree.flatten(pytree)
    arrays = {}
    for name, leaf in zip(leaf_names(treedef), leaves, strict=True):
        if name in arrays:
            raise ArgumentError(f"save: two leaves are called {name!r}; rename a dict key")
        if name != writable(name):
            raise ArgumentError(f"save: {name!r} cannot be written as UTF-8; rename it")
        if name == _RESERVED:
            raise ArgumentError(f"save: {name!r} means something else in the file; rename it")
        arrays[name] = _array(leaf, name)
    target = Path(path)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            _write(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    _entries_to_disk(target.parent)


def load(path: str | os.PathLike[str], like: Any, *, strict: bool = True) -> Any:
    """Reads what `save` wrote, in the structure of `like`.

    The leaves of `like` (arrays, specs, tensors or numbers) say what is expected; the result has
    fresh NumPy arrays in their places, and Python numbers where `like` has them. Raises
    ArgumentError that names every leaf that is missing or of another shape or dtype, and, unless
    `strict` is False, every array of the file that `like` has no place for.
    """
    leaves, treedef = tree.flatten(like)
    names = leaf_names(treedef)
    try:
        with safe_open(Path(path), framework="np") as file:
            _check(file, path, names, leaves, strict)
            return tree.unflatten(
                treedef,
                [
                    _restored(file.get_tensor(name), leaf)
                    for name, leaf in zip(names, leaves, strict=True)
                ],
            )
    except SafetensorError as error:
        raise ArgumentError(
            f"{os.fspath(path)}: not a readable safetensors file: {error}"
        ) from None


def _check(file: Any, path: Any, names: list[str], leaves: list[Any], strict: bool) -> None:
    found = set(file.keys())
    problems = []
    for name, leaf in zip(names, leaves, strict=True):
        if name not in found:
            problems.append(f"{name}: missing")
            continue
        wanted = _type(leaf, name)
        part = file.get_slice(name)
        shape, code = tuple(part.get_shape()), part.get_dtype()
        if (shape, code) != (wanted.shape, CODES[wanted.dtype.name]):
            dtype = next((d for d, c in CODES.items() if c == code), code)
            problems.append(f"{name}: expected {wanted}, got {dtype}[{','.join(map(str, shape))}]")
    if strict:
        extra = sorted(found - set(names))
        problems.extend(f"{name}: not expected (strict=False leaves it out)" for name in extra)
    if problems:
        raise ArgumentError(f"{os.fspath(path)} does not fit:\n  " + "\n  ".join(problems))


def leaf_names(treedef: tree.TreeSpec) -> list[str]:
    """What the leaves of a structure are called in a file."""
    accessors = optree.treespec_accessors(treedef)
    return [".".join(_step(entry) for entry in accessor) or _ONLY for accessor in accessors]


def _step(entry: Any) -> str:
    named = isinstance(entry, (optree.NamedTupleEntry, optree.DataclassEntry))
    return entry.field if named else str(entry.entry)


def _array(leaf: Any, name: str) -> np.ndarray:
    if hasattr(leaf, "__dlpack__") and not isinstance(leaf, np.ndarray):
        leaf = np.from_dlpack(leaf)
    if not isinstance(leaf, (np.ndarray, np.generic, bool, int, float)):
        raise ArgumentError(f"save: {name} is {type(leaf).__name__}, not an array or a number")
    array = np.asarray(leaf)
    try:
        little = as_dtype(array.dtype).numpy.newbyteorder("<")
        return np.ascontiguousarray(array, little).reshape(array.shape)
    except DTypeError as error:
        raise ArgumentError(f"save: {name}: {error}") from None


def _type(leaf: Any, name: str) -> TensorType:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        if hasattr(leaf, "__dlpack__") and not isinstance(leaf, np.ndarray):
            leaf = np.from_dlpack(leaf)
        return TensorType(tuple(leaf.shape), as_dtype(leaf.dtype))
    if isinstance(leaf, (bool, int, float)):
        return TensorType((), as_dtype(np.asarray(leaf).dtype))
    raise ArgumentError(f"load: {name} is {type(leaf).__name__}, not an array, spec or number")


def _restored(array: np.ndarray, leaf: Any) -> Any:
    """A writable array of its own; a number where `like` has one."""
    return array.item() if isinstance(leaf, (bool, int, float)) else copied(array)


def _write(file: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    """The safetensors format: the length of the header in 8 bytes, the header in JSON, then the
    arrays, little-endian. Wide elements first, so that all are aligned; nothing is copied.
    """
    ordered = sorted(arrays.items(), key=lambda item: -item[1].itemsize)
    header = {}
    end = 0
    for name, array in ordered:
        begin, end = end, end + array.nbytes
        code = CODES[as_dtype(array.dtype).name]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, array in ordered:
        file.write(array.reshape(-1).view(np.uint8).data)


def _entries_to_disk(directory: Path) -> None:
    """Waits until a directory's entries are on disk. Where directories cannot be opened, the
    rename alone has to do.
    """
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
