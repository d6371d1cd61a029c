"""Steps that graphc compiled, called from Python with NumPy and cffi alone.

A state is a dict of arrays by their names in safetensors files; `load` and `save` exchange it with
whatever else reads these.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

#: safetensors' names of the dtypes.
_CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "uint32": "U32",
    "int32": "I32",
    "int64": "I64",
    "float32": "F32",
    "float64": "F64",
}


class Step:
    """A state and the memory to train it.

    `state` holds views of the memory that steps update: write into them with `state[name][...] =`.
    `threads` is how many threads a step runs on, of those that it was exported for; the results'
    bits do not depend on it. Calls from several threads take turns; two objects are independent. In
    a forked process steps run on one thread. Raises RuntimeError on a processor that lacks what the
    step was compiled for.
    """

    #: manifest.json, cffi's objects, and where the constants are: of the module that has the step.
    _layout: ClassVar[dict[str, Any]]
    _ffi: ClassVar[Any]
    _lib: ClassVar[Any]
    _folder: ClassVar[Path]

    def __init__(self, threads: int = 1) -> None:
        layout, name = self._layout, self._layout["name"]
        if not 1 <= threads <= layout["threads"]:
            raise ValueError(f"threads: expected 1 to {layout['threads']}, got {threads}")
        self._lock = threading.Lock()
        self._arena = _aligned(layout["arena_bytes"])
        self._check(getattr(self._lib, f"{name}_init")(self._pointer(self._arena)))
        self._memory = _aligned(layout["state_bytes"])
        self.state = _views(self._memory, layout["state"])
        self._constants = _aligned(layout["constants_bytes"])
        if layout["constants"]:
            load(
                self._folder / f"{name}_constants.safetensors",
                _views(self._constants, layout["constants"]),
            )
        self._pool, self._owner = self._started(threads), os.getpid()

    def _started(self, threads: int) -> np.ndarray | None:
        """Memory of a pool, whose threads end with this object."""
        if threads == 1:
            return None
        name, lib = self._layout["name"], self._lib
        pool = _aligned(self._ffi.sizeof(f"{name}_pool"))
        self._check(getattr(lib, f"{name}_pool_init")(self._pointer(pool), threads))
        end = getattr(lib, f"{name}_pool_destroy")
        weakref.finalize(self, _end, end, self._pointer(pool), pool, os.getpid())
        return pool

    def _pointer(self, array: np.ndarray) -> Any:
        return self._ffi.cast("void *", self._ffi.from_buffer(array))

    def _check(self, status: int) -> None:
        if status:
            text = getattr(self._lib, f"{self._layout['name']}_message")(status)
            raise RuntimeError(self._ffi.string(text).decode())

    def _call(self, number: int, *given: Any) -> dict[str, np.ndarray | np.generic]:
        """Runs the entry of a number; gives its outputs by name. Raises ValueError for an input of
        another shape or dtype.
        """
        entry = self._layout["entries"][number]
        function, ffi = entry["function"], self._ffi
        held, arguments = [], []
        memory = {"state": self._memory, "constants": self._constants}
        for kind in entry["uses"]:
            arguments.append(self._pointer(memory[kind]))
        if entry["inputs"]:
            inputs = ffi.new(f"{function}_inputs *")
            for field, value in zip(entry["inputs"], given, strict=True):
                array = _input(value, field, function)
                held.append(array)
                what = self._pointer(array) if field["shape"] else array.item()
                setattr(inputs, field["name"], what)
            arguments.append(inputs)
        results = {f["name"]: np.empty(f["shape"], f["dtype"]) for f in entry["outputs"]}
        if entry["outputs"]:
            outputs = ffi.new(f"{function}_outputs *")
            for field in entry["outputs"]:
                if field["shape"]:
                    setattr(outputs, field["name"], self._pointer(results[field["name"]]))
            arguments.append(outputs)
        arguments.append(self._pointer(self._arena))
        if self._layout["threads"] > 1:
            pool = self._pool if self._owner == os.getpid() else None
            arguments.append(ffi.NULL if pool is None else self._pointer(pool))
        with self._lock:
            self._check(getattr(self._lib, function)(*arguments))
        return {
            f["name"]: results[f["name"]]
            if f["shape"]
            else results[f["name"]].dtype.type(getattr(outputs, f["name"]))
            for f in entry["outputs"]
        }


def load(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Reads arrays from a safetensors file into those that are there, all of them or none. Raises
    ValueError where the file does not hold one, or holds it with another shape or dtype.
    """
    raw = Path(path).read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", raw)
        header = json.loads(raw[8 : 8 + length])
        found = {
            name: (d["dtype"], tuple(d["shape"]), *d["data_offsets"])
            for name, d in header.items()
            if name != "__metadata__"
        }
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a safetensors file") from error
    parts = {}
    for name, array in arrays.items():
        if name not in found:
            raise ValueError(f"{path} holds no array {name!r}")
        code, shape, begin, end = found[name]
        if (code, shape) != (_CODES[array.dtype.name], array.shape):
            raise ValueError(f"{path}: {name!r}: expected {_typed(array)}, got {code} {shape}")
        parts[name] = raw[8 + length + begin : 8 + length + end]
        if len(parts[name]) != array.nbytes:
            raise ValueError(f"{path} ends too early")
    for name, array in arrays.items():
        array[...] = np.frombuffer(parts[name], array.dtype).reshape(array.shape)


def save(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to a safetensors file: a reader sees the old file or the whole new one."""
    header, end = {}, 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": _CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    partial = Path(f"{os.fspath(path)}.partial")
    with partial.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())
    partial.replace(path)


def _aligned(size: int) -> np.ndarray:
    """Zeros, from an address that is a multiple of 64 on."""
    memory = np.zeros(size + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    return memory[begin : begin + size]


def _views(memory: np.ndarray, fields: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    found = {}
    for f in fields:
        part = memory[f["offset"] : f["offset"] + f["bytes"]]
        found[f["file_name"]] = part.view(f["dtype"]).reshape(f["shape"])
    return found


def _input(value: Any, field: dict[str, Any], function: str) -> np.ndarray:
    """The value as a contiguous array; a plain number may stand for one without axes."""
    plain = isinstance(value, (bool, int, float)) and not field["shape"]
    array = np.asarray(value, field["dtype"] if plain else None, order="C")
    if array.dtype.name != field["dtype"] or list(array.shape) != field["shape"]:
        shape = ",".join(map(str, field["shape"]))
        raise ValueError(
            f"{function}: {field['name']}: expected {field['dtype']}[{shape}], got {_typed(array)}"
        )
    return array


def _typed(array: np.ndarray) -> str:
    return f"{array.dtype}[{','.join(map(str, array.shape))}]"


def _end(destroy: Any, pointer: Any, pool: np.ndarray, owner: int) -> None:
    """Ends a pool's threads, in the process that has them; `pool` is its memory until then."""
    if os.getpid() == owner:
        destroy(pointer)
