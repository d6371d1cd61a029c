"""Rounding, and what the bits of a floating-point number say: sign, finiteness, neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, bool_
from graphc.ir.expr import Expr, compare, const
from graphc.ir.graph import Node, Value
from graphc.ir.onnx_graph import Builder
from graphc.ops.families import Binary, Flat, c_library


class Rounding(Flat):
    """To an integer, as a float, by a function of C's library."""

    library: ClassVar[str]
    domains = ((-9.0, 9.0),)

    def expr(self, x: Expr) -> Expr:
        return c_library(self.library, x)


class Floor(Rounding):
    name = "floor"
    in_onnx = "Floor"
    numpy = np.floor
    library = "floor"


class Ceil(Rounding):
    name = "ceil"
    in_onnx = "Ceil"
    numpy = np.ceil
    library = "ceil"


class Round(Rounding):
    """To the nearest integer, half to even."""

    name = "round"
    in_onnx = "Round"
    numpy = np.rint
    library = "rint"


class Trunc(Rounding):
    """Towards zero."""

    name = "trunc"
    numpy = np.trunc
    library = "trunc"

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        size = to.node("Floor", to.node("Abs", *operands))
        return (to.node("Mul", to.node("Sign", *operands), size),)


class FloatPredicate(Flat):
    """bool of a float."""

    def result(self, operand: TensorType) -> TensorType:
        return operand.with_dtype(bool_)


class IsNan(FloatPredicate):
    name = "isnan"
    in_onnx = "IsNaN"
    numpy = np.isnan

    def expr(self, x: Expr) -> Expr:
        return compare("!=", x, x)


class IsInf(FloatPredicate):
    name = "isinf"
    in_onnx = "IsInf"
    numpy = np.isinf

    def expr(self, x: Expr) -> Expr:
        return compare("==", c_library("fabs", x), const(np.inf, x.dtype))


class IsFinite(FloatPredicate):
    name = "isfinite"
    numpy = np.isfinite

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        known = [to.node(kind, *operands) for kind in ("IsNaN", "IsInf")]
        return (to.node("Not", to.node("Or", *known)),)

    def expr(self, x: Expr) -> Expr:
        return c_library("fabs", x) < const(np.inf, x.dtype)


class Signbit(FloatPredicate):
    """Whether the sign bit is set, as it is in -0.0."""

    name = "signbit"
    numpy = np.signbit

    def expr(self, x: Expr) -> Expr:
        return c_library("copysign", const(1, x.dtype), x) < const(0, x.dtype)


class Copysign(Binary):
    """|x| with the sign of y; the derivative where x is 0 is 0."""

    name = "copysign"
    numpy = np.copysign

    def expr(self, x: Expr, y: Expr) -> Expr:
        return c_library("copysign", x, y)

    def partial(self, node: Node, operand: int, g: Value) -> Value | None:
        if operand == 1:
            return None
        x, y = node.inputs
        return ops.multiply(g, ops.multiply(ops.sign(x), ops.copysign(ops.full_like(y, 1), y)))


class Nextafter(Binary):
    """The neighbour of x in the direction of y; as a function of x it has slope 1."""

    name = "nextafter"
    numpy = np.nextafter
    cost = 12

    def expr(self, x: Expr, y: Expr) -> Expr:
        return c_library("nextafter", x, y)

    def partial(self, node: Node, operand: int, g: Value) -> Value | None:
        return g if operand == 0 else None
