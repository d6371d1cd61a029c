"""Laws of boolean operators, of selection and of conversions."""

from __future__ import annotations

import numpy as np

from graphc import ops
from graphc.dtypes import DType
from graphc.ir.graph import Op, Value, apply
from graphc.ops.convert import Alias, AsType, StopGradient
from graphc.ops.laws.table import is_filled, law
from graphc.ops.logic import Equal, LogicalAnd, LogicalNot, LogicalOr, NotEqual, Where
from graphc.ops.taps import Tap


@law(Alias, StopGradient, Tap)
def marks_of_differentiation(op: Op, x: Value) -> Value | None:
    """alias(x) = x, stop_gradient(x) = x, tap(x) = x: derivatives have been taken by now"""
    return x


@law(LogicalNot)
def not_twice(op: Op, x: Value) -> Value | None:
    """not not x = x"""
    return x.node.inputs[0] if isinstance(x.node.op, LogicalNot) else None


@law(LogicalNot)
def not_equal_is_the_opposite(op: Op, x: Value) -> Value | None:
    """not (x == y) = (x != y), not (x != y) = (x == y), for NaN too (not so < and >=)"""
    if isinstance(x.node.op, Equal):
        return ops.not_equal(*x.node.inputs)
    return ops.equal(*x.node.inputs) if isinstance(x.node.op, NotEqual) else None


@law(LogicalAnd, LogicalOr)
def both_alike(op: Op, x: Value, y: Value) -> Value | None:
    """(x and x) = x, (x or x) = x"""
    return x if x is y else None


@law(LogicalAnd)
def and_with_a_constant(op: Op, x: Value, y: Value) -> Value | None:
    """(x and true) = x, (x and false) = false"""
    for this, other in ((x, y), (y, x)):
        if is_filled(other, True):
            return this
        if is_filled(other, False):
            return other
    return None


@law(LogicalOr)
def or_with_a_constant(op: Op, x: Value, y: Value) -> Value | None:
    """(x or false) = x, (x or true) = true"""
    for this, other in ((x, y), (y, x)):
        if is_filled(other, False):
            return this
        if is_filled(other, True):
            return other
    return None


@law(Where)
def constant_condition(op: Op, condition: Value, x: Value, y: Value) -> Value | None:
    """(true ? x : y) = x, (false ? x : y) = y"""
    if is_filled(condition, True):
        return x
    return y if is_filled(condition, False) else None


@law(Where)
def equal_branches(op: Op, condition: Value, x: Value, y: Value) -> Value | None:
    """(c ? x : x) = x"""
    return x if x is y else None


@law(Where)
def opposite_condition(op: Op, condition: Value, x: Value, y: Value) -> Value | None:
    """(not c ? x : y) = (c ? y : x)"""
    if isinstance(condition.node.op, LogicalNot):
        return ops.where(condition.node.inputs[0], y, x)
    return None


@law(Where)
def selected_twice(op: Op, condition: Value, x: Value, y: Value) -> Value | None:
    """(c ? (c ? a : b) : y) = (c ? a : y), (c ? x : (c ? a : b)) = (c ? x : b)"""
    if isinstance(x.node.op, Where) and x.node.inputs[0] is condition:
        return ops.where(condition, x.node.inputs[1], y)
    if isinstance(y.node.op, Where) and y.node.inputs[0] is condition:
        return ops.where(condition, x, y.node.inputs[2])
    return None


@law(Where)
def condition_itself(op: Op, condition: Value, x: Value, y: Value) -> Value | None:
    """(c ? true : false) = c, (c ? false : true) = not c, in bool"""
    if x.dtype is not condition.dtype:
        return None
    if is_filled(x, True) and is_filled(y, False):
        return condition
    if is_filled(x, False) and is_filled(y, True):
        return ops.logical_not(condition)
    return None


@law(AsType)
def conversion_to_the_same(op: AsType, x: Value) -> Value | None:
    """x as its own dtype = x"""
    return x if op.dtype is x.dtype else None


@law(AsType)
def conversion_in_two_steps(op: AsType, x: Value) -> Value | None:
    """(x as B) as C = x as C, where B holds every number of x's dtype and C then sees the same"""
    if not isinstance(x.node.op, AsType):
        return None
    source = x.node.inputs[0]
    through, to = x.dtype, op.dtype
    # An integer that does not fit C wraps, a float saturates: the kind must not change on the way.
    wraps = to.is_integer and through.is_float and source.dtype.is_integer
    if _holds(through, source.dtype) and (not wraps or _holds(to, source.dtype)):
        return apply(op, source)[0] if to is not source.dtype else source
    return None


def _holds(wide: DType, narrow: DType) -> bool:
    """Whether every number of one dtype is a number of the other."""
    if wide is narrow or narrow.kind == "b":
        return True
    if wide.kind == "b" or (narrow.is_float and not wide.is_float):
        return False
    if narrow.is_float:
        return wide.itemsize >= narrow.itemsize
    ends = np.iinfo(narrow.numpy)
    if wide.is_float:
        return max(abs(ends.min), ends.max) <= 2 ** (np.finfo(wide.numpy).nmant + 1)
    room = np.iinfo(wide.numpy)
    return bool(room.min <= ends.min and ends.max <= room.max)
