"""The matrix product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, TensorType, bool_, float32, float64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Contract
from graphc.ir.terms import Term, infix
from graphc.ops.samples import Refusal, Sample, Source, of_dtypes, refuses
from graphc.ops.shape import Permute


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

    def formula(self, *operands: Term) -> Term:
        return infix("@", *operands)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return infix("@", *operands)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("MatMul", *operands),)

    def spec(self, x: TensorType, y: TensorType) -> Contract:
        return Contract()

    def flops(self, x: TensorType, y: TensorType) -> int:
        return 2 * x.size * y.shape[-1] if x.dtype.is_float else 0

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, y = node.inputs
        left = ops.matmul(g, ops.transpose(y))
        if isinstance(y.node.op, Permute) and len(y.shape) == 2:
            # In the order of what y is the transpose of, to which the gradient goes on.
            return left, ops.transpose(ops.matmul(ops.transpose(g), x))
        return left, ops.matmul(ops.transpose(x), g)

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

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in of_dtypes(ALL, "uif"):
            arrays = source.array((4, 3), dtype), source.array((3, 5), dtype)
            yield Sample(f"ordinary {dtype}", cls(), arrays, True)
        for left, right in (
            ((2, 3, 4), (2, 4, 2)),
            ((1, 1), (1, 1)),
            ((3, 0), (0, 2)),
            ((0, 3), (3, 2)),
            ((2, 2, 1, 3), (2, 2, 3, 1)),
            ((37, 65), (65, 19)),
        ):
            arrays = source.array(left, float64), source.array(right, float64)
            yield Sample(f"{left} by {right}", cls(), arrays, True)
        turned = source.array((5, 4), float64).T, source.array((3, 5), float64).T
        yield Sample("transposed", cls(), turned, True)
        long = source.array((2, 3100), float32), source.array((3100, 3), float32)
        yield Sample("long", cls(), long)
        rows = source.array((4, 3), float32)
        rows[0, 0], rows[1, 1], rows[2, 2] = np.nan, np.inf, -np.inf
        yield Sample("special", cls(), (rows, source.array((3, 5), float32)))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        x = ((2, 3), float32)
        yield refuses(cls(), ShapeError, "inner sizes differ, 3 != 2", x, x)
        yield refuses(cls(), ShapeError, "leading axes differ", x, ((1, 3, 2), float32))
        yield refuses(cls(), ShapeError, "leading axes differ", ((3,), float32), ((3,), float32))
        yield refuses(cls(), DTypeError, "one numeric dtype", x, ((3, 2), float64))
        yield refuses(cls(), DTypeError, "one numeric dtype", ((2, 2), bool_), ((2, 2), bool_))


def matmul(x: Value, y: Value) -> Value:
    return apply(Matmul(), x, y)[0]


def transpose(x: Value) -> Value:
    """The last two axes exchanged."""
    n = len(x.shape)
    return ops.permute(x, (*range(n - 2), n - 1, n - 2))
