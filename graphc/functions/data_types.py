"""Questions about dtypes, as the Array API asks them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from graphc.dtypes import ALL, DType, float32, int64
from graphc.errors import DTypeError
from graphc.functions.promotion import WEAK, as_dtype, as_value, promote, weak_dtype
from graphc.ir.site import located
from graphc.tensor import Tensor

pi = math.pi
e = math.e
inf = math.inf
nan = math.nan
newaxis = None

_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "",
    "numeric": "iuf",
}


def _dtype_of(x: Any) -> DType:
    if isinstance(x, (Tensor, np.ndarray)):
        return as_value(x).dtype if isinstance(x, Tensor) else as_dtype(x.dtype)
    return as_dtype(x)


def result_type(*operands: Any) -> DType:
    """The dtype of an operation on these tensors, arrays, dtypes and scalars."""
    strong = [_dtype_of(x) for x in operands if not isinstance(x, WEAK)]
    if not strong:
        return weak_dtype(operands)
    common = strong[0]
    for dtype in strong[1:]:
        common = promote(common, dtype, "result_type")
    return common


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether promotion may turn one dtype into the other."""
    source, target = _dtype_of(from_), as_dtype(to)
    return isdtype(source, _kind_of(target)) and promote(source, target, "can_cast") is target


def _kind_of(dtype: DType) -> str:
    return {"b": "bool", "f": "real floating"}.get(dtype.kind, "integral")


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, one of the Array API's words, or a tuple of these."""
    found = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(found, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return found.kind in tuple(_KINDS[kind])
    return found is as_dtype(kind)


class FloatInfo(NamedTuple):
    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


class IntegerInfo(NamedTuple):
    bits: int
    max: int
    min: int
    dtype: DType


def finfo(type: Any, /) -> FloatInfo:
    """The limits of a float dtype."""
    dtype = _dtype_of(type)
    if not dtype.is_float:
        raise DTypeError(located(f"finfo({dtype}): a float dtype required"))
    limits = np.finfo(dtype.numpy)
    return FloatInfo(
        limits.bits,
        float(limits.eps),
        float(limits.max),
        float(limits.min),
        float(limits.smallest_normal),
        dtype,
    )


def iinfo(type: Any, /) -> IntegerInfo:
    """The limits of an integer dtype."""
    dtype = _dtype_of(type)
    if not dtype.is_integer:
        raise DTypeError(located(f"iinfo({dtype}): an integer dtype required"))
    limits = np.iinfo(dtype.numpy)
    return IntegerInfo(limits.bits, int(limits.max), int(limits.min), dtype)


class NamespaceInfo:
    """What the Array API's `__array_namespace_info__` tells."""

    def capabilities(self) -> dict[str, Any]:
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": None}

    def default_device(self) -> str:
        return "cpu"

    def devices(self) -> list[str]:
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        return {"real floating": float32, "integral": int64, "indexing": int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        return {d.name: d for d in ALL if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """Answers about this namespace, for libraries that speak the Array API."""
    return NamespaceInfo()
