"""Elementwise operators on the bits of integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.dtypes import TensorType, bool_
from graphc.ir.expr import Expr, binary, const
from graphc.ir.onnx_graph import Builder
from graphc.ops.families import Binary, Flat, Function


class BitwiseAnd(Binary, Flat):
    name = "bitwise_and"
    symbol = "&"
    numpy = np.bitwise_and
    kinds = "bui"
    commutative = True

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        kind = "And" if types[0].dtype is bool_ else "BitwiseAnd"
        return (to.node(kind, *operands),)

    def expr(self, x: Expr, y: Expr) -> Expr:
        return binary("&", x, y)


class BitwiseOr(Binary, Flat):
    name = "bitwise_or"
    symbol = "|"
    numpy = np.bitwise_or
    kinds = "bui"
    commutative = True

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        kind = "Or" if types[0].dtype is bool_ else "BitwiseOr"
        return (to.node(kind, *operands),)

    def expr(self, x: Expr, y: Expr) -> Expr:
        return binary("|", x, y)


class BitwiseXor(Binary, Flat):
    name = "bitwise_xor"
    symbol = "^"
    numpy = np.bitwise_xor
    kinds = "bui"
    commutative = True

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        kind = "Xor" if types[0].dtype is bool_ else "BitwiseXor"
        return (to.node(kind, *operands),)

    def expr(self, x: Expr, y: Expr) -> Expr:
        return binary("^", x, y)


class BitwiseInvert(Flat):
    """All bits exchanged; of a bool, its negation."""

    name = "bitwise_invert"
    symbol = "~"
    numpy = np.invert
    kinds = "bui"

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        kind = "Not" if types[0].dtype is bool_ else "BitwiseNot"
        return (to.node(kind, *operands),)

    def expr(self, x: Expr) -> Expr:
        # Exclusive or with ones rather than ~, which C computes in int and would widen uint8.
        ones = {"b": 1, "i": -1, "u": (1 << (8 * x.dtype.itemsize)) - 1}[x.dtype.kind]
        return binary("^", x, const(ones, x.dtype))


class LeftShift(Function, Binary, Flat):
    """x · 2^y, wrapping; 0 for a count that is negative or past the width."""

    name = "left_shift"
    symbol = "<<"
    numpy = np.left_shift
    kinds = "ui"
    cost = 2


class RightShift(Function, Binary, Flat):
    """x / 2^y rounded down; a count that is negative or past the width leaves the sign alone."""

    name = "right_shift"
    symbol = ">>"
    numpy = np.right_shift
    kinds = "ui"
    cost = 2
