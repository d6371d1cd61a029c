"""Laws of elementwise arithmetic."""

from __future__ import annotations

import numpy as np

from graphc import ops
from graphc.ir.graph import Op, Value, apply
from graphc.ops.arithmetic import (
    Abs,
    Add,
    Divide,
    Extremum,
    Multiply,
    Negative,
    Positive,
    Square,
    Subtract,
)
from graphc.ops.exponential import Exp
from graphc.ops.families import Elementwise
from graphc.ops.laws.table import filled_like, filling, is_filled, law, neutral_zero
from graphc.ops.logic import Equal, NotEqual
from graphc.ops.power import Pow
from graphc.ops.shape import Broadcast
from graphc.ops.trigonometric import Cos


@law(Elementwise)
def once_per_distinct_element(op: Op, *inputs: Value) -> Value | None:
    """f(broadcast x, broadcast y) = broadcast f(x, y): the same numbers, each computed once."""
    if not all(isinstance(v.node.op, Broadcast) for v in inputs):
        return None
    small = [v.node.inputs[0] for v in inputs]
    lead = max(range(len(inputs)), key=lambda k: len(small[k].shape))
    spread = inputs[lead].node.op
    assert isinstance(spread, Broadcast)
    if small[lead].type.size >= inputs[lead].type.size:
        return None
    for k, value in enumerate(small):
        if value.shape == () and small[lead].shape != ():
            small[k] = ops.broadcast(value, small[lead].shape)
        elif value.shape != small[lead].shape or inputs[k].node.op != spread:
            return None
    return apply(spread, apply(op, *small)[0])[0]


@law(Positive)
def plus_sign(op: Op, x: Value) -> Value | None:
    """+x = x"""
    return x


@law(Add)
def adding_nothing(op: Op, x: Value, y: Value) -> Value | None:
    """x + (-0.0) = x for floats, x + 0 = x for integers"""
    zero = neutral_zero(x.dtype)
    if is_filled(y, zero):
        return x
    return y if is_filled(x, zero) else None


def without_zero(x: Value) -> Value | None:
    """y where x is y + 0.0 in floats, else None."""
    if isinstance(x.node.op, Add) and x.dtype.is_float:
        left, right = x.node.inputs
        if is_filled(right, 0.0):
            return left
        if is_filled(left, 0.0):
            return right
    return None


def plus_zero(x: Value) -> Value:
    """x + 0.0: x, but 0.0 for -0.0."""
    return ops.add(x, 0.0) if x.dtype.is_float else x


@law(Add)
def adding_zero_last(op: Op, x: Value, y: Value) -> Value | None:
    """(x + 0.0) + y = (x + y) + 0.0, and = x + 0.0 where y is 0.0"""
    for this, other in ((x, y), (y, x)):
        inner = without_zero(this)
        if inner is not None:
            return this if is_filled(other, 0.0) else plus_zero(ops.add(inner, other))
    return None


@law(Add)
def adding_zero_to_what_is_not_negative(op: Op, x: Value, y: Value) -> Value | None:
    """x + 0.0 = x where x cannot be -0.0: squares, absolute values, exponentials"""
    for this, other in ((x, y), (y, x)):
        if is_filled(other, 0.0) and isinstance(this.node.op, (Square, Abs, Exp)):
            return this
    return None


@law(Add)
def adding_a_negative(op: Op, x: Value, y: Value) -> Value | None:
    """x + (-y) = x - y"""
    if isinstance(y.node.op, Negative):
        return ops.subtract(x, y.node.inputs[0])
    if isinstance(x.node.op, Negative):
        return ops.subtract(y, x.node.inputs[0])
    return None


@law(Subtract)
def subtracting_nothing(op: Op, x: Value, y: Value) -> Value | None:
    """x - 0 = x"""
    return x if is_filled(y, 0) else None


@law(Subtract)
def subtracting_a_negative(op: Op, x: Value, y: Value) -> Value | None:
    """x - (-y) = x + y"""
    return ops.add(x, y.node.inputs[0]) if isinstance(y.node.op, Negative) else None


@law(Subtract)
def subtracting_from_nothing(op: Op, x: Value, y: Value) -> Value | None:
    """-0.0 - y = -y for floats, 0 - y = -y for integers"""
    return ops.negative(y) if is_filled(x, neutral_zero(x.dtype)) else None


@law(Multiply)
def multiplying_by_one(op: Op, x: Value, y: Value) -> Value | None:
    """x·1 = x"""
    if is_filled(y, 1):
        return x
    return y if is_filled(x, 1) else None


@law(Multiply)
def multiplying_by_minus_one(op: Op, x: Value, y: Value) -> Value | None:
    """x·(-1) = -x"""
    if is_filled(y, -1):
        return ops.negative(x)
    return ops.negative(y) if is_filled(x, -1) else None


@law(Multiply)
def multiplying_with_itself(op: Op, x: Value, y: Value) -> Value | None:
    """x·x = x²"""
    return ops.square(x) if x is y else None


@law(Divide)
def dividing_by_one(op: Op, x: Value, y: Value) -> Value | None:
    """x/1 = x"""
    return x if is_filled(y, 1) else None


@law(Divide)
def dividing_by_a_power_of_two(op: Op, x: Value, y: Value) -> Value | None:
    """x/2ᵏ = x·2⁻ᵏ, as both round the same real number (2⁻ᵏ being a normal number)"""
    number = filling(y)
    if number is None or not np.isfinite(number) or abs(np.frexp(number)[0]) != 0.5:
        return None
    limits = np.finfo(number.dtype)
    with np.errstate(over="ignore"):
        inverse = 1 / number
    normal = limits.smallest_normal <= abs(inverse) <= limits.max
    return ops.multiply(x, filled_like(x, inverse)) if normal else None


@law(Multiply, Divide)
def two_negatives(op: Op, x: Value, y: Value) -> Value | None:
    """(-x)·(-y) = x·y, (-x)/(-y) = x/y"""
    if isinstance(x.node.op, Negative) and isinstance(y.node.op, Negative):
        return apply(op, x.node.inputs[0], y.node.inputs[0])[0]
    return None


@law(Multiply, Divide)
def negative_times_constant(op: Op, x: Value, y: Value) -> Value | None:
    """(-x)·c = x·(-c), (-x)/c = x/(-c), and c on the left likewise"""
    if isinstance(x.node.op, Negative) and (c := filling(y)) is not None:
        return apply(op, x.node.inputs[0], filled_like(y, np.negative(c)))[0]
    if isinstance(y.node.op, Negative) and (c := filling(x)) is not None:
        return apply(op, filled_like(x, np.negative(c)), y.node.inputs[0])[0]
    return None


@law(Negative)
def negative_of_constant_multiple(op: Op, x: Value) -> Value | None:
    """-(x·c) = x·(-c)"""
    if isinstance(x.node.op, Multiply):
        left, right = x.node.inputs
        if (c := filling(right)) is not None:
            return ops.multiply(left, filled_like(right, np.negative(c)))
        if (c := filling(left)) is not None:
            return ops.multiply(filled_like(left, np.negative(c)), right)
    return None


@law(Negative)
def negative_twice(op: Op, x: Value) -> Value | None:
    """-(-x) = x"""
    return x.node.inputs[0] if isinstance(x.node.op, Negative) else None


@law(Abs, Square, Cos)
def even_function(op: Op, x: Value) -> Value | None:
    """f(-x) = f(x) and f(|x|) = f(x) for an even f"""
    return apply(op, x.node.inputs[0])[0] if isinstance(x.node.op, (Negative, Abs)) else None


@law(Abs)
def abs_of_what_is_not_negative(op: Op, x: Value) -> Value | None:
    """|x²| = x² and |eˣ| = eˣ, in floats"""
    return x if x.dtype.is_float and isinstance(x.node.op, (Square, Exp)) else None


@law(Equal, NotEqual)
def comparing_two_negatives(op: Op, x: Value, y: Value) -> Value | None:
    """(-x == -y) = (x == y)"""
    if isinstance(x.node.op, Negative) and isinstance(y.node.op, Negative):
        return apply(op, x.node.inputs[0], y.node.inputs[0])[0]
    return None


@law(Extremum)
def extremum_of_one(op: Op, x: Value, y: Value) -> Value | None:
    """max(x, x) = x, min(x, x) = x"""
    return x if x is y else None


@law(Pow)
def whole_power(op: Op, x: Value, y: Value) -> Value | None:
    """x⁰ = 1, x¹ = x, x² = x·x, and x⁻¹ = 1/x in floats: the right sides are rounded correctly"""
    if is_filled(y, 0):
        return filled_like(x, 1)
    if is_filled(y, 1):
        return x
    if is_filled(y, 2):
        return ops.square(x)
    if x.dtype.is_float and is_filled(y, -1):
        return ops.reciprocal(x)
    return None
