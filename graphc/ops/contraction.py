"""The matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.site import located
from graphc.ir.spec import Contract


@dataclass(frozen=True)
class Matmul(Op):
    """out[b…, m, n] = Σ_k x[b…, m, k] · y[b…, k, n]; leading axes are equal. Order of the sum:
    one chain of fused multiply-adds in ascending k, restarted every 1536 terms.
    """

    name = "matmul"

    def infer(self, x: TensorType, y: TensorType) -> tuple[TensorType, ...]:
        what = f"matmul({x}, {y})"
        if x.ndim < 2 or y.ndim < 2 or x.shape[:-2] != y.shape[:-2]:
            raise ShapeError(located(f"{what}: leading axes differ"))
        if x.shape[-1] != y.shape[-2]:
            raise ShapeError(located(f"{what}: inner sizes differ, {x.shape[-1]} != {y.shape[-2]}"))
        if x.dtype is not y.dtype or x.dtype.kind == "b":
            raise DTypeError(located(f"{what}: required one numeric dtype"))
        return (x.with_shape((*x.shape[:-1], y.shape[-1])),)

    def reference(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.matmul(x, y)

    def spec(self, x: TensorType, y: TensorType) -> Contract:
        return Contract()

    def flops(self, x: TensorType, y: TensorType) -> int:
        return 2 * x.size * y.shape[-1] if x.dtype.is_float else 0

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, y = node.inputs
        return (ops.matmul(g, ops.transpose(y)), ops.matmul(ops.transpose(x), g))

    def jvp(self, node: Node, tx: Value | None, ty: Value | None) -> Sequence[Value | None]:
        x, y = node.inputs
        left = None if tx is None else ops.matmul(tx, y)
        right = None if ty is None else ops.matmul(x, ty)
        return (ops.add_all([t for t in (left, right) if t is not None]),)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        x, y = inputs
        if batched == (True, False) and len(x.shape) == 3:
            rows = ops.reshape(x, (size * x.shape[1], x.shape[2]))
            return (ops.reshape(ops.matmul(rows, y), (*x.shape[:2], y.shape[1])),), (True,)
        return apply(self, *ops.batch_all(size, inputs, batched)), (True,)


def matmul(x: Value, y: Value) -> Value:
    return apply(Matmul(), x, y)[0]


def transpose(x: Value) -> Value:
    """The last two axes exchanged."""
    n = len(x.shape)
    return ops.permute(x, (*range(n - 2), n - 1, n - 2))
