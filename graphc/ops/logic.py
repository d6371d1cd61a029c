"""Comparisons, boolean operators, selection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graphc import ops
from graphc.dtypes import DType, TensorType, bool_, float32, float64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Expr, compare, logical, select, unary
from graphc.ir.graph import Node, Value
from graphc.ir.onnx_graph import Builder
from graphc.ir.site import located
from graphc.ops.families import Binary, Elementwise, Flat
from graphc.ops.samples import Refusal, Source, refuses, special_operands


class Comparison(Binary, Flat):
    """Two operands of any one dtype; the result is bool."""

    kinds = "buif"

    def result(self, operand: TensorType) -> TensorType:
        return operand.with_dtype(bool_)

    def expr(self, x: Expr, y: Expr) -> Expr:
        return compare(self.symbol, x, y)


class Equal(Comparison):
    name = "equal"
    in_onnx = "Equal"
    numpy = np.equal
    symbol = "=="
    commutative = True


class NotEqual(Comparison):
    name = "not_equal"
    numpy = np.not_equal
    symbol = "!="
    commutative = True

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("Not", to.node("Equal", *operands)),)


class Less(Comparison):
    name = "less"
    in_onnx = "Less"
    numpy = np.less
    symbol = "<"


class LessEqual(Comparison):
    name = "less_equal"
    in_onnx = "LessOrEqual"
    numpy = np.less_equal
    symbol = "<="


class Greater(Comparison):
    name = "greater"
    in_onnx = "Greater"
    numpy = np.greater
    symbol = ">"


class GreaterEqual(Comparison):
    name = "greater_equal"
    in_onnx = "GreaterOrEqual"
    numpy = np.greater_equal
    symbol = ">="


class LogicalAnd(Binary, Flat):
    name = "logical_and"
    in_onnx = "And"
    numpy = np.logical_and
    kinds = "b"
    commutative = True

    def expr(self, x: Expr, y: Expr) -> Expr:
        return logical("&", x, y)


class LogicalOr(Binary, Flat):
    name = "logical_or"
    in_onnx = "Or"
    numpy = np.logical_or
    kinds = "b"
    commutative = True

    def expr(self, x: Expr, y: Expr) -> Expr:
        return logical("|", x, y)


class LogicalXor(Binary, Flat):
    name = "logical_xor"
    in_onnx = "Xor"
    numpy = np.logical_xor
    kinds = "b"
    commutative = True

    def expr(self, x: Expr, y: Expr) -> Expr:
        return logical("^", x, y)


class LogicalNot(Flat):
    name = "logical_not"
    in_onnx = "Not"
    numpy = np.logical_not
    kinds = "b"

    def expr(self, x: Expr) -> Expr:
        return unary("!", x)


class Where(Elementwise):
    """condition ? x : y. The derivative selects and never multiplies."""

    name = "where"
    in_onnx = "Where"
    numpy = np.where
    arity = 3
    kinds = "buif"

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        if len(types) != self.arity:
            raise ShapeError(located(f"{self.signature(types)}: {self.arity} operands required"))
        condition, x, y = types
        if condition.dtype is not bool_ or x.dtype is not y.dtype:
            raise DTypeError(
                located(f"{self.signature(types)}: required a bool and two equal dtypes")
            )
        if not condition.shape == x.shape == y.shape:
            raise ShapeError(located(f"{self.signature(types)}: shapes differ"))
        return (x,)

    def expr(self, condition: Expr, x: Expr, y: Expr) -> Expr:
        return select(condition, x, y)

    def flops(self, *types: TensorType) -> int:
        return types[1].size if types[1].dtype.is_float else 0

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        condition, zero = node.inputs[0], ops.zeros_like(g)
        return ops.where(condition, g, zero) if operand == 1 else ops.where(condition, zero, g)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        _, x, y = tangents
        if x is None and y is None:
            return (None,)
        like = node.outputs[0]
        moved = [ops.zeros_like(like) if t is None else t for t in (x, y)]
        return (ops.where(node.inputs[0], *moved),)

    def operands(
        self, source: Source, shape: tuple[int, ...], dtype: DType
    ) -> tuple[np.ndarray, ...]:
        return (source.array(shape, bool_), *[source.array(shape, dtype) for _ in range(2)])

    def special(self, dtype: DType) -> tuple[np.ndarray, ...]:
        x, y = special_operands(dtype, 2)
        return (np.arange(x.size) % 2 == 0, x, y)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        condition, x = ((3,), bool_), ((3,), float32)
        yield refuses(cls(), ShapeError, "3 operands required", condition, x)
        yield refuses(cls(), DTypeError, "required a bool", x, x, x)
        yield refuses(cls(), DTypeError, "two equal dtypes", condition, x, ((3,), float64))
        yield refuses(cls(), ShapeError, "shapes differ", condition, x, ((4,), float32))
