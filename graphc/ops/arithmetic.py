"""Elementwise arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from graphc import ops
from graphc.ir.expr import Const, Expr, call, select, unary
from graphc.ir.graph import Node, Value
from graphc.ops.families import Elementwise, Flat


@dataclass(frozen=True)
class Add(Elementwise):
    name = "add"
    numpy = np.add
    kinds = "uif"
    commutative = True

    def expr(self, x: Expr, y: Expr) -> Expr:
        return x + y

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return g


@dataclass(frozen=True)
class Subtract(Elementwise):
    name = "subtract"
    numpy = np.subtract
    kinds = "uif"

    def expr(self, x: Expr, y: Expr) -> Expr:
        return x - y

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return g if operand == 0 else ops.negative(g)


@dataclass(frozen=True)
class Multiply(Elementwise):
    name = "multiply"
    numpy = np.multiply
    kinds = "uif"
    commutative = True

    def expr(self, x: Expr, y: Expr) -> Expr:
        return x * y

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, node.inputs[1 - operand])


@dataclass(frozen=True)
class Divide(Elementwise):
    name = "divide"
    numpy = np.divide
    cost = 4

    def expr(self, x: Expr, y: Expr) -> Expr:
        return x / y

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        _, y = node.inputs
        if operand == 0:
            return ops.divide(g, y)
        return ops.negative(ops.divide(ops.multiply(g, node.outputs[0]), y))


@dataclass(frozen=True)
class Negative(Elementwise):
    name = "negative"
    numpy = np.negative
    kinds = "uif"

    def expr(self, x: Expr) -> Expr:
        return unary("-", x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.negative(g)


@dataclass(frozen=True)
class Abs(Elementwise):
    name = "abs"
    numpy = np.abs
    kinds = "uif"

    def expr(self, x: Expr) -> Expr:
        if x.dtype.kind == "u":
            return x
        if x.dtype.is_float:
            return call("fabsf" if x.dtype.itemsize == 4 else "fabs", x.dtype, x)
        return call(f"gx_abs_{x.dtype.suffix}", x.dtype, x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.sign(node.inputs[0]))


@dataclass(frozen=True)
class Sign(Flat):
    name = "sign"
    numpy = np.sign
    kinds = "uif"

    def expr(self, x: Expr) -> Expr:
        return call(f"gx_sign_{x.dtype.suffix}", x.dtype, x)


@dataclass(frozen=True)
class Square(Elementwise):
    name = "square"
    numpy = np.square
    kinds = "uif"

    def expr(self, x: Expr) -> Expr:
        return x * x

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.multiply(2, node.inputs[0]))


@dataclass(frozen=True)
class Maximum(Elementwise):
    """NaN wins in either position; the gradient is shared equally between equal operands."""

    name = "maximum"
    numpy = np.maximum
    kinds = "buif"

    def expr(self, x: Expr, y: Expr) -> Expr:
        return _extremum("max", ">", x, y)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        this, other = node.inputs[operand], node.inputs[1 - operand]
        return _share(ops.greater(this, other), ops.equal(this, other), g)


@dataclass(frozen=True)
class Minimum(Elementwise):
    """NaN wins in either position; the gradient is shared equally between equal operands."""

    name = "minimum"
    numpy = np.minimum
    kinds = "buif"

    def expr(self, x: Expr, y: Expr) -> Expr:
        return _extremum("min", "<", x, y)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        this, other = node.inputs[operand], node.inputs[1 - operand]
        return _share(ops.less(this, other), ops.equal(this, other), g)


def _extremum(name: str, sign: str, x: Expr, y: Expr) -> Expr:
    if x.dtype.is_float and not isinstance(y, Const):
        return call(f"gx_{name}imum_{x.dtype.suffix}", x.dtype, x, y)
    # With a constant that is not NaN one comparison keeps a NaN of x.
    better = x < y if sign == ">" else x > y
    if x.dtype.is_float and isinstance(y, Const) and np.isnan(y.value):
        return y
    return select(better, y, x)


def _share(wins: Value, ties: Value, g: Value) -> Value:
    zero = ops.zeros_like(g)
    return ops.where(wins, g, ops.where(ties, ops.multiply(0.5, g), zero))


@dataclass(frozen=True)
class Sqrt(Elementwise):
    name = "sqrt"
    numpy = np.sqrt
    cost = 6

    def expr(self, x: Expr) -> Expr:
        return call("sqrtf" if x.dtype.itemsize == 4 else "sqrt", x.dtype, x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(ops.multiply(0.5, g), node.outputs[0])


@dataclass(frozen=True)
class Rsqrt(Elementwise):
    """1 / sqrt(x)."""

    name = "rsqrt"
    cost = 10

    @staticmethod
    def numpy(x: np.ndarray) -> np.ndarray:
        return 1 / np.sqrt(x)

    def expr(self, x: Expr) -> Expr:
        return 1 / call("sqrtf" if x.dtype.itemsize == 4 else "sqrt", x.dtype, x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        y = node.outputs[0]
        return ops.multiply(ops.multiply(-0.5, g), ops.divide(y, node.inputs[0]))


@dataclass(frozen=True)
class Pow(Elementwise):
    name = "pow"
    numpy = np.power
    kinds = "uif"
    cost = 40

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        x, y = arrays
        if x.dtype.kind == "f":
            return super().reference(x, y)
        return _integer_power(x, y)

    def expr(self, x: Expr, y: Expr) -> Expr:
        return call(f"gx_pow_{x.dtype.suffix}", x.dtype, x, y)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        x, y = node.inputs
        if operand == 0:
            lowered = ops.multiply(y, ops.pow(x, ops.subtract(y, 1)))
            zero = ops.equal(y, ops.zeros_like(y))
            return ops.multiply(g, ops.where(zero, ops.zeros_like(y), lowered))
        positive = ops.where(ops.equal(x, ops.zeros_like(x)), ops.full_like(x, 1), x)
        slope = ops.multiply(node.outputs[0], ops.log(positive))
        return ops.multiply(g, slope)


def _integer_power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Wrapping power; a negative exponent gives 0 except for bases 1 and -1."""
    result = np.power(x, np.maximum(y, 0))
    odd = np.where(np.bitwise_and(y, 1) == 1, x, np.ones_like(x))
    unit = np.where(x == 1, np.ones_like(x), np.where(x == -1, odd, np.zeros_like(x)))
    return np.where(y < 0, unit, result).astype(x.dtype) if x.dtype.kind == "i" else result


def add_all(values: list[Value]) -> Value | None:
    """The sum of some values from the left; None for none."""
    return reduce(ops.add, values) if values else None
