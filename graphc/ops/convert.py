"""Conversion of dtype, and identities that mean something to differentiation or to storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, DType, TensorType, float32, int32
from graphc.errors import ShapeError
from graphc.ir.expr import Expr, call, cast, compare, const
from graphc.ir.graph import Node, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.terms import Term
from graphc.ir.terms import call as written_call
from graphc.ops.families import Elementwise, Flat
from graphc.ops.samples import Refusal, refuses


@dataclass(frozen=True)
class AsType(Elementwise):
    """Conversion to another dtype. Float to integer truncates, saturates at the ends, NaN gives
    0; integer to integer wraps; to bool is `x != 0`.
    """

    name = "astype"
    kinds = "buif"
    dtype: DType

    def result(self, operand: TensorType) -> TensorType:
        return operand.with_dtype(self.dtype)

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        x = arrays[0]
        if x.dtype.kind == "f" and self.dtype.is_integer:
            return _saturated(x.astype(np.float64), self.dtype.numpy)
        with np.errstate(all="ignore"):
            return x.astype(self.dtype.numpy)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        if operands[0].literal:
            return to.scalar(operands[0], self.dtype)
        return to.cast(operands[0], self.dtype)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("Cast", *operands, to=to.dtype(self.dtype)),)

    def formula(self, *operands: Term) -> Term:
        return written_call(str(self.dtype), *operands)

    def expr(self, x: Expr) -> Expr:
        if self.dtype.kind == "b":
            return compare("!=", x, const(0, x.dtype))
        if x.dtype.is_float and self.dtype.is_integer:
            return call(f"gx_cast_{self.dtype.suffix}_{x.dtype.suffix}", self.dtype, x)
        return cast(x, self.dtype)

    def flops(self, *types: TensorType) -> int:
        return 0

    @classmethod
    def variants(cls) -> Sequence[AsType]:
        return tuple(cls(dtype) for dtype in ALL)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls(float32), ShapeError, "1 operands required", *[((3,), int32)] * 2)

    def partial(self, node: Node, operand: int, g: Value) -> Value | None:
        return ops.astype(g, node.inputs[0].dtype) if self.dtype.is_float else None

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        (t,) = tangents
        return (None,) if t is None or not self.dtype.is_float else (ops.astype(t, self.dtype),)


def _saturated(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Doubles as integers: truncated, limited to the range, NaN as 0. In range means strictly
    between the ends, which doubles may not represent.
    """
    ends = np.iinfo(dtype)
    inside = (x > ends.min) & (x < ends.max)
    result = np.where(inside, x, 0).astype(dtype)
    result = np.where(x >= ends.max, dtype.type(ends.max), result)
    return np.where(x <= ends.min, dtype.type(ends.min), result)


class Identity(Elementwise):
    kinds = "buif"

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0]

    def expr(self, x: Expr) -> Expr:
        return x

    def formula(self, *operands: Term) -> Term:
        return operands[0]

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return operands[0]

    def flops(self, *types: TensorType) -> int:
        return 0


class StopGradient(Identity, Flat):
    """The value forward, nothing backward."""

    name = "stop_gradient"
    in_onnx = "Identity"
    smooth = False


class Alias(Identity):
    """The same value as a node of its own, so that a derivative can be taken by it alone."""

    name = "alias"
    in_onnx = "Identity"

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return g


class Copy(Identity):
    """The same value in memory of its own: results that would share storage are copied."""

    name = "copy"
    in_onnx = "Identity"
    pure = False

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return g


def astype(x: Value, dtype: DType) -> Value:
    return x if x.dtype is dtype else apply(AsType(dtype), x)[0]
