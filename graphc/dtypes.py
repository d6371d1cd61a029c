"""Element types and tensor types: what every value of a graph is known to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.errors import DTypeError, ShapeError


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """An element type: its name, NumPy's dtype, the C type and the suffix of runtime functions.

    `kind` is "b" (bool), "u" (unsigned), "i" (signed) or "f" (floating), as in NumPy. Equal, as
    NumPy's dtypes are, to its name and to NumPy's type: `t.dtype == "float32"`.
    """

    name: str
    kind: str
    itemsize: int
    c: str
    suffix: str
    numpy: np.dtype = field(repr=False)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return self.name == other.name
        if not isinstance(other, (str, type, np.dtype)):
            return NotImplemented
        try:
            return as_dtype(other).name == self.name
        except DTypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        return self.kind in "iu"


float32 = DType("float32", "f", 4, "float", "f32", np.dtype(np.float32))
float64 = DType("float64", "f", 8, "double", "f64", np.dtype(np.float64))
int32 = DType("int32", "i", 4, "int32_t", "i32", np.dtype(np.int32))
int64 = DType("int64", "i", 8, "int64_t", "i64", np.dtype(np.int64))
uint8 = DType("uint8", "u", 1, "uint8_t", "u8", np.dtype(np.uint8))
uint32 = DType("uint32", "u", 4, "uint32_t", "u32", np.dtype(np.uint32))
bool_ = DType("bool", "b", 1, "uint8_t", "bool", np.dtype(np.bool_))

ALL: tuple[DType, ...] = (bool_, uint8, uint32, int32, int64, float32, float64)
_BY_NUMPY = {d.numpy: d for d in ALL}
_PYTHON = {bool: bool_, int: int64, float: float32}

#: The largest byte size of a tensor: offsets are signed 64-bit.
MAX_BYTES = 2**63 - 1


def as_dtype(spec: Any) -> DType:
    """The DType for a DType, a NumPy dtype, a name, or Python's `bool`, `int`, `float`.

    Raises DTypeError for a type that graphc does not have (complex, float16, object, …).
    """
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, np.dtype) and spec in _BY_NUMPY:
        return _BY_NUMPY[spec]
    if isinstance(spec, type) and spec in _PYTHON:
        return _PYTHON[spec]
    try:
        return _BY_NUMPY[np.dtype(spec).newbyteorder("=")]
    except (TypeError, ValueError, KeyError):
        names = ", ".join(d.name for d in ALL)
        raise DTypeError(f"dtype {spec!r} is not supported; required one of {names}") from None


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and dtype of a value; prints as `float32[32,128]`."""

    shape: tuple[int, ...]
    dtype: DType

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    __repr__ = __str__

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def with_shape(self, shape: tuple[int, ...]) -> TensorType:
        return TensorType(shape, self.dtype)

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(self.shape, dtype)


def tensor_type(shape: int | Sequence[int], dtype: Any = float32) -> TensorType:
    """A checked TensorType: extents are non-negative integers, the byte size fits 63 bits."""
    extents = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    for extent in extents:
        if isinstance(extent, bool) or not isinstance(extent, (int, np.integer)) or extent < 0:
            raise ShapeError(f"a shape holds integers >= 0, got {extents!r}")
    result = TensorType(tuple(int(e) for e in extents), as_dtype(dtype))
    if result.nbytes > MAX_BYTES:
        raise ShapeError(
            f"{result} has {result.nbytes} bytes; at most {MAX_BYTES} can be addressed"
        )
    return result
