"""Elementwise trigonometric and hyperbolic functions and their inverses:
runtime/math_trig.h, math_arc.h and math_hyperbolic.h compute them.
"""

from __future__ import annotations

import numpy as np

from graphc import ops
from graphc.ir.graph import Node, Value
from graphc.ops.families import Binary, Function


class Sin(Function):
    name = "sin"
    in_onnx = "Sin"
    numpy = np.sin

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.cos(node.inputs[0]))


class Cos(Function):
    name = "cos"
    in_onnx = "Cos"
    numpy = np.cos

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.negative(ops.multiply(g, ops.sin(node.inputs[0])))


class Tan(Function):
    name = "tan"
    in_onnx = "Tan"
    numpy = np.tan
    cost = 20
    domains = ((-1.2, 1.2),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.add(1, ops.square(node.outputs[0])))


class Asin(Function):
    name = "asin"
    in_onnx = "Asin"
    numpy = np.arcsin
    domains = ((-0.9, 0.9),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.rsqrt(_beside_one(node.inputs[0])))


class Acos(Function):
    name = "acos"
    in_onnx = "Acos"
    numpy = np.arccos
    domains = Asin.domains

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.negative(ops.multiply(g, ops.rsqrt(_beside_one(node.inputs[0]))))


class Atan(Function):
    name = "atan"
    in_onnx = "Atan"
    numpy = np.arctan

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(g, ops.add(1, ops.square(node.inputs[0])))


class Atan2(Function, Binary):
    """The angle of the point (x, y) for operands y, x, in [-π, π]."""

    name = "atan2"
    numpy = np.arctan2
    cost = 20
    domains = ((-3.0, 3.0), (0.5, 3.0))

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        y, x = node.inputs
        slope = ops.divide(
            x if operand == 0 else ops.negative(y), ops.add(ops.square(x), ops.square(y))
        )
        return ops.multiply(g, slope)


class Sinh(Function):
    name = "sinh"
    in_onnx = "Sinh"
    numpy = np.sinh

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.cosh(node.inputs[0]))


class Cosh(Function):
    name = "cosh"
    in_onnx = "Cosh"
    numpy = np.cosh

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.sinh(node.inputs[0]))


class Tanh(Function):
    name = "tanh"
    in_onnx = "Tanh"
    numpy = np.tanh

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.subtract(1, ops.square(node.outputs[0])))


class Asinh(Function):
    name = "asinh"
    in_onnx = "Asinh"
    numpy = np.arcsinh

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        x = node.inputs[0]
        return ops.divide(g, ops.hypot(ops.full_like(x, 1), x))


class Acosh(Function):
    name = "acosh"
    in_onnx = "Acosh"
    numpy = np.arccosh
    domains = ((1.2, 4.0),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        x = node.inputs[0]
        # Two roots, because the product of the differences may overflow.
        below, above = ops.rsqrt(ops.subtract(x, 1)), ops.rsqrt(ops.add(x, 1))
        return ops.multiply(g, ops.multiply(below, above))


class Atanh(Function):
    name = "atanh"
    in_onnx = "Atanh"
    numpy = np.arctanh
    domains = Asin.domains

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(g, _beside_one(node.inputs[0]))


def _beside_one(x: Value) -> Value:
    """1 - x² as a product, which is exact to the last place near ±1."""
    return ops.multiply(ops.subtract(1, x), ops.add(1, x))
