"""Elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType
from graphc.ir.expr import Const, Expr, select, unary
from graphc.ir.graph import Node, Value
from graphc.ir.onnx_graph import Builder
from graphc.ops.families import Binary, Elementwise, Flat, Function, c_library


class Add(Binary):
    name = "add"
    in_onnx = "Add"
    additive = True
    symbol = "+"
    numpy = np.add
    kinds = "uif"
    commutative = True

    def expr(self, x: Expr, y: Expr) -> Expr:
        return x + y

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return g


class Subtract(Binary):
    name = "subtract"
    in_onnx = "Sub"
    additive = True
    symbol = "-"
    numpy = np.subtract
    kinds = "uif"

    def expr(self, x: Expr, y: Expr) -> Expr:
        return x - y

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return g if operand == 0 else ops.negative(g)


class Multiply(Binary):
    name = "multiply"
    in_onnx = "Mul"
    symbol = "*"
    numpy = np.multiply
    kinds = "uif"
    commutative = True

    def expr(self, x: Expr, y: Expr) -> Expr:
        return x * y

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, node.inputs[1 - operand])


class Divide(Binary):
    name = "divide"
    in_onnx = "Div"
    symbol = "/"
    numpy = np.divide
    cost = 4
    domains = ((-3.0, 3.0), (0.5, 3.0))

    def expr(self, x: Expr, y: Expr) -> Expr:
        return x / y

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        _, y = node.inputs
        if operand == 0:
            return ops.divide(g, y)
        return ops.negative(ops.divide(ops.multiply(g, node.outputs[0]), y))


class FloorDivide(Function, Binary, Flat):
    """The quotient rounded down, Python's `//`. For integers x // 0 is 0, and the most negative
    integer // -1 is itself; for floats x // 0 is x / 0.
    """

    name = "floor_divide"
    symbol = "//"
    numpy = np.floor_divide
    kinds = "uif"
    domains = ((-9.0, 9.0), (0.5, 3.0))

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        x, y = operands
        if types[0].dtype.is_float:
            return (to.node("Floor", to.node("Div", x, y)),)
        return (to.node("Div", to.node("Sub", x, to.node("Mod", x, y)), y),)


class Remainder(Function, Binary):
    """x - floor(x / y)·y, Python's `%`, exact, with the divisor's sign. For integers x % 0 is 0,
    for floats NaN.
    """

    name = "remainder"
    symbol = "%"
    numpy = np.remainder
    kinds = "uif"
    domains = ((-9.0, 9.0), (0.5, 3.0))

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        x, y = operands
        if not types[0].dtype.is_float:
            return (to.node("Mod", x, y),)
        whole = to.node("Floor", to.node("Div", x, y))
        return (to.node("Sub", x, to.node("Mul", whole, y)),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        if operand == 0:
            return g
        return ops.negative(ops.multiply(g, ops.floor_divide(*node.inputs)))


class Negative(Elementwise):
    name = "negative"
    in_onnx = "Neg"
    additive = True
    symbol = "-"
    numpy = np.negative
    kinds = "uif"

    def expr(self, x: Expr) -> Expr:
        return unary("-", x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.negative(g)


class Positive(Elementwise):
    """x itself."""

    name = "positive"
    in_onnx = "Identity"
    numpy = np.positive
    kinds = "uif"

    def expr(self, x: Expr) -> Expr:
        return x

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return g


class Abs(Function):
    """|x|; that of the most negative integer is itself. The derivative at 0 is 0."""

    name = "abs"
    in_onnx = "Abs"
    numpy = np.abs
    kinds = "uif"
    cost = 1

    def expr(self, x: Expr) -> Expr:
        return c_library("fabs", x) if x.dtype.is_float else super().expr(x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.sign(node.inputs[0]))


class Sign(Function, Flat):
    """-1, 0 or 1; NaN of NaN."""

    name = "sign"
    in_onnx = "Sign"
    numpy = np.sign
    kinds = "uif"
    cost = 2


class Square(Elementwise):
    name = "square"
    numpy = np.square

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("Mul", *operands, *operands),)

    kinds = "uif"

    def expr(self, x: Expr) -> Expr:
        return x * x

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.multiply(2, node.inputs[0]))


class Reciprocal(Elementwise):
    """1 / x."""

    name = "reciprocal"
    in_onnx = "Reciprocal"
    numpy = np.reciprocal
    cost = 4
    domains = ((0.3, 3.0),)

    def expr(self, x: Expr) -> Expr:
        return 1 / x

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.negative(ops.multiply(g, ops.square(node.outputs[0])))


class Extremum(Function, Binary):
    """NaN wins in either position; the gradient is shared equally between equal operands."""

    kinds = "buif"
    cost = 1

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        return type(self).numpy(*arrays)

    def better(self, x: Value, y: Value) -> Value:
        """Where x is chosen over y."""
        raise TypeError

    def worse(self, x: Expr, y: Expr) -> Expr:
        """Where y is chosen over x, neither being NaN."""
        raise TypeError

    def expr(self, x: Expr, y: Expr) -> Expr:
        # If y is not NaN, one comparison is enough: it is false where x is NaN.
        if not x.dtype.is_float or (isinstance(y, Const) and y.value == y.value):
            return select(self.worse(x, y), y, x)
        return super().expr(x, y)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        this, other = node.inputs[operand], node.inputs[1 - operand]
        shared = ops.where(ops.equal(this, other), ops.multiply(0.5, g), ops.zeros_like(g))
        return ops.where(self.better(this, other), g, shared)


class Maximum(Extremum):
    __doc__ = Extremum.__doc__
    name = "maximum"
    in_onnx = "Max"
    numpy = np.maximum

    def worse(self, x: Expr, y: Expr) -> Expr:
        return x < y

    def better(self, x: Value, y: Value) -> Value:
        return ops.greater(x, y)


class Minimum(Extremum):
    __doc__ = Extremum.__doc__
    name = "minimum"
    in_onnx = "Min"
    numpy = np.minimum

    def worse(self, x: Expr, y: Expr) -> Expr:
        return x > y

    def better(self, x: Value, y: Value) -> Value:
        return ops.less(x, y)


def add_all(values: list[Value]) -> Value | None:
    """The sum of some values from the left; None for none."""
    return reduce(ops.add, values) if values else None
