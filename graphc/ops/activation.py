"""Activations whose derivative can be read off their result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType
from graphc.ir.expr import Expr, const, select
from graphc.ir.graph import Node, Value, apply
from graphc.ir.python import Dialect
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


def relu(x: Value) -> Value:
    return apply(Relu(), x)[0]
