"""Elementwise roots and powers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType
from graphc.ir.expr import Expr
from graphc.ir.graph import Node, Value
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.terms import Term, infix, number
from graphc.ops.families import Binary, Elementwise, Function, c_library


class Sqrt(Elementwise):
    """The derivative at 0 is inf."""

    name = "sqrt"
    in_onnx = "Sqrt"
    numpy = np.sqrt
    cost = 6
    domains = ((0.1, 4.0),)

    def expr(self, x: Expr) -> Expr:
        return c_library("sqrt", x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(ops.multiply(0.5, g), node.outputs[0])


class Rsqrt(Elementwise):
    """1 / sqrt(x)."""

    name = "rsqrt"
    cost = 10
    domains = ((0.1, 4.0),)

    @staticmethod
    def numpy(x: np.ndarray) -> np.ndarray:
        return 1 / np.sqrt(x)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("Reciprocal", to.node("Sqrt", *operands)),)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        if not to.is_numpy:
            return super().python(to, types, *operands)
        return infix("/", number("1"), to.function("sqrt", *operands))

    def expr(self, x: Expr) -> Expr:
        return 1 / c_library("sqrt", x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        slope = ops.divide(node.outputs[0], node.inputs[0])
        return ops.multiply(ops.multiply(-0.5, g), slope)


class Hypot(Function, Binary):
    """sqrt(x² + y²) without overflow; the derivative at (0, 0) is NaN."""

    name = "hypot"
    numpy = np.hypot
    commutative = True

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.divide(node.inputs[operand], node.outputs[0]))


class Pow(Function, Binary):
    """x to the power y. Integer powers wrap; a negative exponent gives the quotient where it is an
    integer (x is 1 or -1), and 0 elsewhere.
    """

    name = "pow"
    in_onnx = "Pow"
    kinds = "uif"
    cost = 40
    domains = ((0.2, 3.0), (-2.0, 2.0))

    @staticmethod
    def numpy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if x.dtype.kind != "i":
            return np.power(x, y)
        odd = np.where(np.bitwise_and(y, 1) == 1, x, np.ones_like(x))
        quotient = np.where(x == 1, np.ones_like(x), np.where(x == -1, odd, np.zeros_like(x)))
        return np.where(y < 0, quotient, np.power(x, np.maximum(y, 0)))

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        base, exponent = operands
        return Term(f"{base.atom}**{exponent.atom}", 9)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        x, y = node.inputs
        if operand == 0:
            # x⁰ is 1 for every x, also for 0 and NaN; elsewhere the slope y·xʸ⁻¹ is kept at y = 0,
            # because its own derivative by y is not zero there.
            zero, one = ops.zeros_like(x), ops.full_like(x, 1)
            finite = ops.isfinite(ops.reciprocal(x))
            base = ops.where(ops.logical_or(finite, ops.not_equal(y, zero)), x, one)
            return ops.multiply(g, ops.multiply(y, ops.pow(base, ops.subtract(y, 1))))
        base = ops.where(ops.equal(x, ops.zeros_like(x)), ops.full_like(x, 1), x)
        return ops.multiply(g, ops.multiply(node.outputs[0], ops.log(base)))
