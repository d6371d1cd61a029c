"""What may stand beside a tensor: conversion, promotion of dtypes, broadcasting.

Kinds are bool, integer and float. Within a kind dtypes promote as in NumPy; across kinds they do
not. Python and NumPy scalars are weak: they take the dtype of the tensors beside them, if their
kind allows it (a Python int also stands for a float).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from graphc import dtypes, ops
from graphc.dtypes import DType, TensorType, bool_, float32, int64
from graphc.errors import DTypeError, PrecisionWarning, ShapeError, TraceError
from graphc.functions.capture import from_array
from graphc.ir.graph import Value, apply
from graphc.ir.site import located, warn
from graphc.ops import Constant
from graphc.tensor import Tensor

#: The classes that operators of tensors accept on the other side.
OPERANDS = (Tensor, np.ndarray, np.generic, bool, int, float)
#: Scalars: weak within their kind.
WEAK = (bool, int, float, np.generic)

_KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "float"}
_DEFAULTS = {"bool": bool_, "integer": int64, "float": float32}


def as_value(x: Any, dtype: DType | None = None) -> Value:
    """The graph value of a tensor, array, scalar or nested sequence of these; `dtype` is what a
    scalar becomes (by default float32, int64, bool; a NumPy scalar keeps its own).
    """
    if isinstance(x, Tensor):
        return x.value
    if isinstance(x, np.ndarray):
        as_dtype(x.dtype)
        return from_array(x)
    if isinstance(x, WEAK):
        return scalar(x, dtype or _own_dtype(x))
    if isinstance(x, (list, tuple)):
        return _from_sequence(x)
    if hasattr(x, "__dlpack__") or hasattr(x, "__array__"):
        return from_array(np.asarray(x))
    raise TraceError(located(f"a tensor, array or number is required, got {type(x).__name__}"))


def as_tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(as_value(x))


def scalar(x: Any, dtype: DType) -> Value:
    """A 0-d constant of a weak scalar; raises DTypeError where its kind or size does not fit."""
    # 0.0 and -0.0 are equal, so the sign of a zero is part of the key.
    return apply(_literal(x, math.copysign(1.0, x) if x == 0 else 1.0, dtype))[0]


@lru_cache(maxsize=4096, typed=True)
def _literal(x: Any, sign: float, dtype: DType) -> Constant:
    kind = kind_of_scalar(x)
    if kind != _KINDS[dtype.kind] and not (kind == "integer" and dtype.is_float):
        raise DTypeError(
            located(f"{x!r} does not fit {dtype}: convert with astype, or write another number")
        )
    if dtype.is_integer:
        limits = np.iinfo(dtype.numpy)
        if not limits.min <= x <= limits.max:
            raise DTypeError(located(f"{x!r} does not fit {dtype} ({limits.min} … {limits.max})"))
    with np.errstate(over="ignore"):
        return Constant(TensorType((), dtype), dtype.numpy.type(x).tobytes())


def kind_of_scalar(x: Any) -> str:
    if isinstance(x, (bool, np.bool_)):
        return "bool"
    if isinstance(x, (int, np.integer)):
        return "integer"
    if isinstance(x, (float, np.floating)):
        return "float"
    raise DTypeError(located(f"{type(x).__name__} scalars are not supported: {x!r}"))


def promote(first: DType, second: DType, what: str) -> DType:
    """The common dtype of two strong operands."""
    if first is second:
        return first
    if _KINDS[first.kind] != _KINDS[second.kind]:
        raise DTypeError(
            located(f"{what}: {first} and {second} are of different kinds; convert one with astype")
        )
    return as_dtype(np.promote_types(first.numpy, second.numpy))


def promoted(name: str, *operands: Any) -> list[Value]:
    """The operands as values of one dtype; shapes are left as they are."""
    common: DType | None = None
    inside: DType | None = None
    strong: list[Value | None] = []
    for x in operands:
        if isinstance(x, Tensor):
            value = x.value
            inside = value.dtype if inside is None else promote(inside, value.dtype, name)
        elif isinstance(x, WEAK):
            strong.append(None)
            continue
        else:
            value = as_value(x)
        strong.append(value)
        common = (
            value.dtype if common is None else promote(common, value.dtype, _shown(name, operands))
        )
    if common is None:
        common = weak_dtype(operands)
    elif inside is not None and inside is not common and common.is_float:
        warn(
            f"{_shown(name, operands)}: an array from outside widens {inside} to {common};"
            f" convert it with .astype({inside.name!r})",
            PrecisionWarning,
        )
    return [
        scalar(x, common) if value is None else ops.astype(value, common)
        for x, value in zip(operands, strong, strict=True)
    ]


def operands(name: str, *xs: Any) -> list[Value]:
    """The operands as values of one dtype and one shape, with a broadcast only where needed."""
    return broadcast(name, promoted(name, *xs))


def broadcast(name: str, values: Sequence[Value]) -> list[Value]:
    """The values under their common shape."""
    shapes = [v.shape for v in values]
    shape = max(shapes, key=len)
    if any(shape[len(shape) - len(s) :] != s for s in shapes):
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            shown = ", ".join(str(v.type) for v in values)
            raise ShapeError(located(f"{name}({shown}): shapes do not broadcast")) from None
    return [v if v.shape == shape else ops.broadcast(v, shape) for v in values]


def weak_dtype(scalars: Sequence[Any]) -> DType:
    """The dtype that scalars alone give: the default of the widest kind among them."""
    kinds = {kind_of_scalar(x) for x in scalars}
    if "bool" in kinds and len(kinds) > 1:
        raise DTypeError(located("bool and numbers are of different kinds"))
    return _DEFAULTS["float" if "float" in kinds else kinds.pop()]


def _own_dtype(x: Any) -> DType:
    return as_dtype(x.dtype) if isinstance(x, np.generic) else _DEFAULTS[kind_of_scalar(x)]


def _from_sequence(x: Any) -> Value:
    """Nested lists: of numbers a constant (Python floats are float32), of tensors a stack."""
    flat = list(_flattened(x))
    if any(isinstance(leaf, Tensor) for leaf in flat):
        parts = promoted("asarray", *[Tensor(as_value(e)) if _is_nested(e) else e for e in x])
        parts = broadcast("asarray", parts)
        rows = [ops.reshape(p, (1, *p.shape)) for p in parts]
        return ops.concat(rows, 0)
    array = np.asarray(x)
    if array.dtype == np.float64 and not any(isinstance(e, (np.ndarray, np.generic)) for e in flat):
        array = array.astype(np.float32)
    return ops.constant(array, as_dtype(array.dtype))


def _is_nested(x: Any) -> bool:
    return isinstance(x, (list, tuple))


def _flattened(x: Any):
    for element in x:
        if isinstance(element, (list, tuple)):
            yield from _flattened(element)
        else:
            yield element


def _shown(name: str, xs: Sequence[Any]) -> str:
    parts = []
    for x in xs:
        if isinstance(x, Tensor):
            parts.append(str(x.value.type))
        elif isinstance(x, np.ndarray):
            parts.append(f"array {x.dtype}[{','.join(map(str, x.shape))}]")
        else:
            parts.append(repr(x))
    return f"{name}({', '.join(parts)})"


def as_dtype(spec: Any) -> DType:
    """The DType that a user names; DTypeError with the user's line."""
    try:
        return dtypes.as_dtype(spec)
    except DTypeError as error:
        raise DTypeError(located(str(error))) from None


def whole(x: Any, name: str, what: str, least: int | None = None) -> int:
    """A static integer, not smaller than `least`."""
    if (
        isinstance(x, bool)
        or not isinstance(x, (int, np.integer))
        or (least is not None and x < least)
    ):
        bound = "" if least is None else f" >= {least}"
        raise ShapeError(located(f"{name}: {what} is an integer{bound}, got {x!r}"))
    return int(x)


def several(x: Any, name: str, what: str) -> tuple[Any, ...]:
    """A tuple or list as a tuple, one number as a tuple of it."""
    if isinstance(x, (int, np.integer)):
        return (x,)
    if not isinstance(x, (tuple, list, range, np.ndarray)):
        raise ShapeError(located(f"{name}: {what} required, got {x!r}"))
    return tuple(x)


def axis_tuple(axis: Any, ndim: int, name: str) -> tuple[int, ...]:
    """`axis` as a sorted tuple of axes from 0; None is all of them."""
    if axis is None:
        return tuple(range(ndim))
    axes = several(axis, name, "an axis or a tuple of axes")
    found = tuple(one_axis(a, ndim, name) for a in axes)
    if len(set(found)) != len(found):
        raise ShapeError(located(f"{name}: axes {axes} repeat"))
    return tuple(sorted(found))


def one_axis(axis: Any, ndim: int, name: str) -> int:
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise ShapeError(located(f"{name}: an axis is an integer, got {axis!r}"))
    if not -ndim <= axis < ndim:
        raise ShapeError(located(f"{name}: axis {axis} is out of range for {ndim} axes"))
    return int(axis) % ndim
