"""Scalar expressions: what one element of a result is, and where it lies in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.dtypes import DType, bool_

#: Positions and extents: 64-bit, plain C arithmetic (checked when tracing, so it cannot overflow).
INDEX = DType("index", "x", 8, "int64_t", "i64", np.dtype(np.int64))


@dataclass(slots=True, eq=False)
class Expr:
    """A scalar expression. Python numbers mixed into arithmetic take its dtype."""

    dtype: DType

    def __add__(self, other: Any) -> Expr:
        return binary("+", self, other)

    def __radd__(self, other: Any) -> Expr:
        return binary("+", other, self)

    def __sub__(self, other: Any) -> Expr:
        return binary("-", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return binary("-", other, self)

    def __mul__(self, other: Any) -> Expr:
        return binary("*", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return binary("*", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return binary("/", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return binary("/", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        """C's division; for positions, which are never negative."""
        return binary("/", self, other)

    def __mod__(self, other: Any) -> Expr:
        return binary("%", self, other)

    def __neg__(self) -> Expr:
        return unary("-", self)

    def __lt__(self, other: Any) -> Expr:
        return compare("<", self, other)

    def __le__(self, other: Any) -> Expr:
        return compare("<=", self, other)

    def __gt__(self, other: Any) -> Expr:
        return compare(">", self, other)

    def __ge__(self, other: Any) -> Expr:
        return compare(">=", self, other)


@dataclass(slots=True, eq=False)
class Const(Expr):
    value: Any


@dataclass(slots=True, eq=False)
class Var(Expr):
    """A C variable: a loop counter, a let-bound scalar, a scalar argument, or a pointer."""

    name: str


@dataclass(slots=True, eq=False)
class Load(Expr):
    """`buffer[offset]`, the offset in elements."""

    buffer: str
    offset: Expr


@dataclass(slots=True, eq=False)
class Binary(Expr):
    """A C operator with two operands of one dtype: `+ - * / % < <= > >= == != & | ^ << >> && ||`.

    Integer tensors wrap: the printer computes `+ - *` of signed data in the unsigned type.
    """

    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Unary(Expr):
    op: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Select(Expr):
    """`condition ? yes : no`; both sides may be computed."""

    condition: Expr
    yes: Expr
    no: Expr


@dataclass(slots=True, eq=False)
class Cast(Expr):
    """A C conversion that is defined for every value (others are runtime functions)."""

    operand: Expr


@dataclass(slots=True, eq=False)
class Call(Expr):
    """A call of a function of `runtime/` or of the C library, free of side effects."""

    function: str
    arguments: tuple[Expr, ...]


def const(value: Any, dtype: DType) -> Const:
    return Const(dtype, dtype.numpy.type(value))


def index(value: int) -> Const:
    return Const(INDEX, value)


def _lift(value: Any, other: Any) -> Expr:
    if isinstance(value, Expr):
        return value
    return index(value) if other.dtype is INDEX else const(value, other.dtype)


def binary(op: str, left: Any, right: Any) -> Expr:
    left, right = _lift(left, right), _lift(right, left)
    if left.dtype is INDEX:
        return _index_binary(op, left, right)
    return Binary(left.dtype, op, left, right)


def compare(op: str, left: Any, right: Any) -> Expr:
    left, right = _lift(left, right), _lift(right, left)
    return Binary(bool_, op, left, right)


def logical(op: str, left: Expr, right: Expr) -> Expr:
    return Binary(bool_, op, left, right)


def unary(op: str, operand: Expr) -> Expr:
    return Unary(operand.dtype, op, operand)


def select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    return Select(yes.dtype, condition, yes, no)


def cast(operand: Expr, dtype: DType) -> Expr:
    if operand.dtype is dtype:
        return operand
    if dtype is INDEX and isinstance(operand, Const):
        return index(int(operand.value))
    return Cast(dtype, operand)


def call(function: str, dtype: DType, *arguments: Expr) -> Expr:
    return Call(dtype, function, arguments)


def smaller(left: Expr, right: Expr) -> Expr:
    """The smaller of two positions."""
    if isinstance(left, Const) and isinstance(right, Const):
        return left if left.value < right.value else right
    return call("gx_smaller", INDEX, left, right)


def _index_binary(op: str, left: Expr, right: Expr) -> Expr:
    """Position arithmetic, folded where a side is constant."""
    a = left.value if isinstance(left, Const) else None
    b = right.value if isinstance(right, Const) else None
    if a is not None and b is not None:
        if op == "+":
            return index(a + b)
        if op == "-":
            return index(a - b)
        if op == "*":
            return index(a * b)
        if op == "/":
            return index(a // b)
        return index(a % b)
    if op == "+" and a == 0:
        return right
    if op in "+-" and b == 0:
        return left
    if op == "*":
        if a == 0 or b == 0:
            return index(0)
        if a == 1:
            return right
    if op in "*/" and b == 1:
        return left
    if op == "%" and b == 1:
        return index(0)
    if op == "+" and b is not None and b < 0:
        return Binary(INDEX, "-", left, index(-b))
    return Binary(INDEX, op, left, right)


def operands(expr: Expr) -> Sequence[Expr]:
    """The direct sub-expressions."""
    if isinstance(expr, Binary):
        return (expr.left, expr.right)
    if isinstance(expr, Call):
        return expr.arguments
    if isinstance(expr, (Unary, Cast)):
        return (expr.operand,)
    if isinstance(expr, Select):
        return (expr.condition, expr.yes, expr.no)
    if isinstance(expr, Load):
        return (expr.offset,)
    return ()
