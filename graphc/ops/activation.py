"""Activations with a derivative that is better than that of their parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType
from graphc.ir.expr import Expr, const, select
from graphc.ir.graph import Node, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain import in_numpy
from graphc.ir.python import Dialect
from graphc.ir.spec import Expand
from graphc.ir.terms import Term
from graphc.ops.families import Elementwise


class Relu(Elementwise):
    """max(x, 0), where NaN stays NaN; the derivative at 0 is 0.

    The derivative asks for the *result*: one bit an element, and nothing at all where the next
    layer keeps the result anyway. That of `maximum(x, 0)` asks for x, and is 1/2 at 0.
    """

    name = "relu"
    in_onnx = "Relu"
    kinds = "if"

    @staticmethod
    def numpy(x: np.ndarray) -> np.ndarray:
        return np.where(x <= 0, np.zeros_like(x), x)

    def expr(self, *operands: Expr) -> Expr:
        (x,) = operands
        zero = const(0, x.dtype)
        return select(x <= zero, zero, x)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        if not to.is_numpy:
            return super().python(to, types, *operands)
        return to.function("maximum", *operands, Term("0"))

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        zero = ops.zeros_like(g)
        return ops.where(ops.greater(node.outputs[0], zero), g, zero)


class GeluTanh(Elementwise):
    """x/2·(1 + tanh(u/2)) = x·σ(u) with u = x·(a + b·x²), a = 2·√(2/π), b = 0.044715·a.

    The sigmoid keeps the digits that 1 + tanh loses for a negative x. A macro operator: of its
    derivative σ(u) + x·σ(u)·(1 - σ(u))·(a + 3b·x²) both σ(u) and x·σ(u) are there already.
    """

    name = "gelu_tanh"
    exact = ""
    cost = 17
    numpy = staticmethod(in_numpy.gelu_tanh)
    _A = 2 * math.sqrt(2 / math.pi)
    _B = 0.044715 * _A

    def spec(self, *types: TensorType) -> Expand:
        return Expand(self.decompose)

    def decompose(self, x: Value) -> Sequence[Value]:
        return (ops.multiply(x, self._sigmoid(x)),)

    def _sigmoid(self, x: Value) -> Value:
        slope = ops.add(ops.multiply(ops.square(x), self._B), self._A)
        return ops.sigmoid(ops.multiply(x, slope))

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        x = node.inputs[0]
        s = self._sigmoid(x)
        rest = ops.multiply(ops.multiply(x, s), ops.subtract(1, s))
        slope = ops.add(ops.multiply(ops.square(x), 3 * self._B), self._A)
        return ops.multiply(g, ops.add(s, ops.multiply(rest, slope)))

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        if not to.is_numpy:
            return to.function("nn.functional.gelu", *operands, approximate="'tanh'")
        return to.plain(self.name, *operands)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        (x,) = operands
        a, b = (to.constant(np.array(c, types[0].dtype.numpy)) for c in (self._A, self._B))
        slope = to.node("Add", to.node("Mul", to.node("Mul", x, x), b), a)
        return (to.node("Mul", x, to.node("Sigmoid", to.node("Mul", x, slope))),)


def gelu_tanh(x: Value) -> Value:
    return apply(GeluTanh(), x)[0]


def relu(x: Value) -> Value:
    return apply(Relu(), x)[0]
