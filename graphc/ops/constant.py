"""Values that depend on no input."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from graphc.dtypes import (
    ALL,
    DType,
    TensorType,
    as_dtype,
    bool_,
    float32,
    float64,
    int32,
    int64,
    uint8,
    uint32,
)
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import cast, const
from graphc.ir.graph import Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Pointwise, Spec, Table
from graphc.ir.terms import Term, call, number
from graphc.ops.families import Discrete
from graphc.ops.samples import Refusal, Sample, Source, refuses, special_values


def _in_short(array: np.ndarray) -> str:
    """The elements, or the first and the last."""
    text = np.array2string(array, threshold=4, edgeitems=1, separator=", ")
    return " ".join(text.split())


@lru_cache(maxsize=1024)
def _known(number: Constant) -> str:
    """NumPy takes long to write even one number, and graphs have the same few again and again."""
    return _in_short(number.array)


@dataclass(frozen=True)
class Constant(Discrete):
    """A fixed array. Equal means equal dtype, shape and bits: 0.0 is not -0.0, 1 is not True."""

    name = "constant"
    type: TensorType
    data: bytes

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        if len(self.data) != self.type.nbytes:
            what = f"constant {self.type}: {self.type.nbytes} bytes required"
            raise ShapeError(located(f"{what}, got {len(self.data)}"))
        return (self.type,)

    @property
    def array(self) -> np.ndarray:
        return np.frombuffer(self.data, self.type.dtype.numpy).reshape(self.type.shape)

    @property
    def literal(self) -> np.ndarray:
        return self.array

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        return self.array

    def spec(self, *types: TensorType) -> Spec:
        if self.type.shape == ():
            value = const(self.array[()], self.type.dtype)
            return Pointwise(lambda index, read: value, cost=0)
        return Table(self.data)

    def formula(self, *operands: Term) -> Term:
        return number(self.attributes().removesuffix("."))

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        if self.type.shape == ():
            value = self.array.item()
            finite = isinstance(value, (bool, int)) or math.isfinite(value)
            text = str(self.array[()]) if finite else f"{value}".replace("inf", f"{to.module}.inf")
            return number(text.replace("nan", f"{to.module}.nan"), self.type.dtype)
        rows = ", ".join(map(str, self.array.reshape(-1).tolist()))
        for word in ("nan", "inf"):
            rows = re.sub(rf"\b{word}\b", f"{to.module}.{word}", rows)
        make = to.either("np.array", "torch.tensor")
        flat = call(make, Term(f"[{rows}]"), dtype=to.dtype(self.type.dtype))
        return Term(f"{flat.text}.reshape({self.type.shape})")

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.constant(self.array),)

    def attributes(self) -> str:
        return _known(self) if self.type.size == 1 else _in_short(self.array)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(self), (False,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        arrays = [source.array((2, 3), dtype) for dtype in ALL]
        arrays += [special_values(dtype) for dtype in ALL]
        arrays += [value.reshape(()) for value in special_values(float64)[:, None]]
        arrays += [np.zeros((0, 3)), np.ones((1, 1))]
        for array in arrays:
            type = TensorType(array.shape, as_dtype(array.dtype))
            yield Sample(f"{type}", cls(type, array.tobytes()), ())

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls(TensorType((3,), float32), bytes(11))
        yield refuses(op, ShapeError, "12 bytes required, got 11")


@dataclass(frozen=True)
class Iota(Discrete):
    """0, 1, 2, … along one axis of a shape."""

    name = "iota"
    type: TensorType
    axis: int

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        if not 0 <= self.axis < self.type.ndim:
            raise ShapeError(located(f"iota({self.type}, axis={self.axis}): no such axis"))
        if self.type.dtype.kind == "b":
            raise DTypeError(located(f"iota({self.type}): required a numeric dtype"))
        return (self.type,)

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        shape = self.type.shape
        along = [1] * len(shape)
        along[self.axis] = shape[self.axis]
        steps = np.arange(shape[self.axis]).astype(self.type.dtype.numpy).reshape(along)
        return np.broadcast_to(steps, shape).copy()

    def spec(self, *types: TensorType) -> Spec:
        return Pointwise(lambda index, read: cast(index[self.axis], self.type.dtype), cost=1)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        extent = Term(str(self.type.shape[self.axis]))
        if to.is_numpy or self.type.dtype is not uint32:
            steps = to.function("arange", extent, dtype=to.dtype(self.type.dtype))
        else:
            steps = to.cast(to.function("arange", extent), uint32)
        axes = ", ".join(":" if a == self.axis else "None" for a in range(self.type.ndim))
        if self.type.ndim > 1:
            steps = Term(f"{steps.text}[{axes}]")
        return to.function("broadcast_to", steps, Term(str(self.type.shape)))

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.constant(self.reference()),)

    batch = Constant.batch

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for dtype in (uint8, uint32, int32, int64, float32, float64):
            yield Sample(f"ordinary {dtype}", cls(TensorType((3, 5), dtype), 1), ())
        for shape, axis in (((4,), 0), ((2, 3, 2), 1), ((0, 2), 0), ((2, 0), 0), ((1, 1), 1)):
            yield Sample(f"{shape} along {axis}", cls(TensorType(shape, int64), axis), ())

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls(TensorType((3,), int64), 1), ShapeError, "no such axis")
        yield refuses(cls(TensorType((3,), bool_), 0), DTypeError, "numeric")


def constant(value: Any, dtype: Any = None) -> Value:
    """A constant of a NumPy array or scalar (copied)."""
    array = np.asarray(value, dtype=as_dtype(dtype).numpy if dtype is not None else None)
    type = TensorType(array.shape, as_dtype(array.dtype))
    return apply(Constant(type, array.astype(type.dtype.numpy, order="C").tobytes()))[0]


def iota(shape: tuple[int, ...], axis: int, dtype: DType = int64) -> Value:
    return apply(Iota(TensorType(shape, dtype), axis))[0]
