"""Values that depend on no input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.dtypes import DType, TensorType, as_dtype, int64
from graphc.ir.expr import cast, const
from graphc.ir.graph import Op, Value, apply
from graphc.ir.spec import Pointwise, Spec, Table
from graphc.ops.families import Linear


@dataclass(frozen=True)
class Constant(Op):
    """A fixed array. Equal means equal dtype, shape and bits: 0.0 is not -0.0, 1 is not True."""

    name = "constant"
    type: TensorType
    data: bytes

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
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

    def attributes(self) -> str:
        text = np.array2string(self.array, threshold=4, edgeitems=1, separator=", ")
        return " ".join(text.split())

    def vjp(self, node, g: Value) -> Sequence[Value | None]:
        return ()

    jvp = Linear.jvp

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(self), (False,)


@dataclass(frozen=True)
class Iota(Op):
    """0, 1, 2, … along one axis of a shape."""

    name = "iota"
    type: TensorType
    axis: int

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (self.type,)

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        shape = self.type.shape
        along = [1] * len(shape)
        along[self.axis] = shape[self.axis]
        steps = np.arange(shape[self.axis]).astype(self.type.dtype.numpy).reshape(along)
        return np.broadcast_to(steps, shape).copy()

    def spec(self, *types: TensorType) -> Spec:
        return Pointwise(lambda index, read: cast(index[self.axis], self.type.dtype), cost=1)

    vjp = Constant.vjp
    jvp = Linear.jvp
    batch = Constant.batch


def constant(value: Any, dtype: Any = None) -> Value:
    """A constant of a NumPy array or scalar (copied)."""
    array = np.asarray(value, dtype=as_dtype(dtype).numpy if dtype is not None else None)
    type = TensorType(array.shape, as_dtype(array.dtype))
    return apply(Constant(type, array.astype(type.dtype.numpy, order="C").tobytes()))[0]


def iota(shape: tuple[int, ...], axis: int, dtype: DType = int64) -> Value:
    return apply(Iota(TensorType(shape, dtype), axis))[0]
