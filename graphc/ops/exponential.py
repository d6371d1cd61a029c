"""Elementwise exponentials and logarithms: runtime/math_exp.h and math_log.h compute them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType
from graphc.ir.graph import Node, Value
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.terms import Term, prefix
from graphc.ops.families import Binary, Function

POSITIVE = ((0.1, 4.0),)


class Exp(Function):
    name = "exp"
    in_onnx = "Exp"
    numpy = np.exp

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, node.outputs[0])


class Exp2(Function):
    name = "exp2"
    numpy = np.exp2

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("Pow", to.constant(np.array(2, types[0].dtype.numpy)), *operands),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.multiply(math.log(2), node.outputs[0]))


class Expm1(Function):
    """exp(x) - 1, exact near 0."""

    name = "expm1"
    numpy = np.expm1

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        # exp(x) - 1 = 2t / (1 - t) with t = tanh(x/2), which is exact near 0.
        one, half, two = (to.constant(np.array(v, types[0].dtype.numpy)) for v in (1, 0.5, 2))
        t = to.node("Tanh", to.node("Mul", *operands, half))
        near = to.node("Div", to.node("Mul", t, two), to.node("Sub", one, t))
        far = to.node("Sub", to.node("Exp", *operands), one)
        return (to.node("Where", to.node("Less", to.node("Abs", *operands), half), near, far),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        # Not the result plus 1, of which nothing is left far below 0.
        return ops.multiply(g, ops.exp(node.inputs[0]))


class Log(Function):
    name = "log"
    in_onnx = "Log"
    numpy = np.log
    domains = POSITIVE

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(g, node.inputs[0])


class Log1p(Function):
    """log(1 + x), exact near 0."""

    name = "log1p"
    numpy = np.log1p

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        # log(u)·x / (u - 1) with u = 1 + x as rounded (Hewlett-Packard's formula).
        one = to.constant(np.array(1, types[0].dtype.numpy))
        u = to.node("Add", *operands, one)
        lost = to.node("Sub", u, one)
        scaled = to.node("Div", to.node("Mul", to.node("Log", u), *operands), lost)
        plain = to.node("Equal", lost, to.constant(np.array(0, types[0].dtype.numpy)))
        return (to.node("Where", plain, *operands, scaled),)

    domains = ((-0.8, 4.0),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(g, ops.add(1, node.inputs[0]))


class Log2(Function):
    name = "log2"
    numpy = np.log2

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        base = to.constant(np.array(math.log(2), types[0].dtype.numpy))
        return (to.node("Div", to.node("Log", *operands), base),)

    domains = POSITIVE

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(ops.multiply(g, 1 / math.log(2)), node.inputs[0])


class Log10(Function):
    name = "log10"
    numpy = np.log10

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        base = to.constant(np.array(math.log(10), types[0].dtype.numpy))
        return (to.node("Div", to.node("Log", *operands), base),)

    domains = POSITIVE

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(ops.multiply(g, 1 / math.log(10)), node.inputs[0])


class Logaddexp(Function, Binary):
    """log(exp(x) + exp(y)) without overflow. Two equal infinities share the gradient."""

    name = "logaddexp"
    numpy = np.logaddexp
    cost = 30
    commutative = True

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        # max + log(1 + exp(-|x - y|)); equal infinities are 0 apart.
        zero, one = (to.constant(np.array(v, types[0].dtype.numpy)) for v in (0, 1))
        distance = to.node("Neg", to.node("Abs", to.node("Sub", *operands)))
        distance = to.node("Where", to.node("Equal", *operands), zero, distance)
        more = to.node("Log", to.node("Add", one, to.node("Exp", distance)))
        return (to.node("Add", to.node("Max", *operands), more),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        this, other = node.inputs[operand], node.inputs[1 - operand]
        return ops.multiply(g, ops.sigmoid(ops.gap(this, other)))


class Sigmoid(Function):
    """1 / (1 + exp(-x)), without overflow."""

    name = "sigmoid"
    in_onnx = "Sigmoid"

    @staticmethod
    def numpy(x: np.ndarray) -> np.ndarray:
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1, small) / (1 + small)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        if not to.is_numpy:
            return super().python(to, types, *operands)
        return Term(f"1 / (1 + np.exp({prefix('-', *operands).text}))", 7)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        y = node.outputs[0]
        return ops.multiply(g, ops.multiply(y, ops.subtract(1, y)))


def gap(x: Value, y: Value) -> Value:
    """x - y, where two equal infinities are 0 apart."""
    same = ops.logical_and(ops.equal(x, y), ops.isinf(x))
    return ops.where(same, ops.zeros_like(x), ops.subtract(x, y))
