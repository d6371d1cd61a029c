"""Cases for the laws of boolean operators, selection and conversions."""

from __future__ import annotations

from collections.abc import Callable

from graphc import ops
from graphc.dtypes import bool_, float32, float64, int32, int64, uint8
from graphc.ir.graph import Value
from graphc.ops.convert import AsType
from graphc.ops.laws import selection as laws

from ..values import Inputs
from . import NUMBERS, Build, fires, one, silent, strict, two

fires(laws.marks_of_differentiation, one(ops.alias), one(ops.stop_gradient), dtypes=NUMBERS)
BOOL = (bool_,)
fires(laws.not_twice, one(lambda x: ops.logical_not(ops.logical_not(x))), dtypes=BOOL)
fires(
    laws.not_equal_is_the_opposite,
    two(lambda x, y: ops.logical_not(ops.equal(x, y))),
    two(lambda x, y: ops.logical_not(ops.not_equal(x, y))),
)
silent(laws.not_equal_is_the_opposite, two(lambda x, y: ops.logical_not(ops.less(x, y))))
fires(
    laws.both_alike,
    one(lambda x: ops.logical_and(x, x)),
    one(lambda x: ops.logical_or(x, x)),
    dtypes=BOOL,
)
for c in (False, True):
    fires(
        laws.and_with_a_constant,
        one(lambda x, c=c: ops.logical_and(x, c)),
        one(lambda x, c=c: ops.logical_and(c, x)),
        dtypes=BOOL,
    )
    fires(
        laws.or_with_a_constant,
        one(lambda x, c=c: ops.logical_or(x, c)),
        one(lambda x, c=c: ops.logical_or(c, x)),
        dtypes=BOOL,
    )
    fires(
        laws.constant_condition,
        two(lambda x, y, c=c: ops.where(ops.full(x.shape, c, bool_), x, y)),
    )
    fires(
        laws.condition_itself,
        one(lambda x, c=c: ops.where(x, ops.full_like(x, c), ops.full_like(x, not c))),
        dtypes=BOOL,
    )


def selecting(f: Callable[[Value, Value, Value, Value], Value]) -> Build:
    def build(i: Inputs) -> Value:
        x, y, z = i.all_pairs(3)
        return f(i.condition(x), x, y, z)

    return build


fires(laws.equal_branches, selecting(lambda c, x, y, z: ops.where(c, x, x)))
fires(laws.opposite_condition, selecting(lambda c, x, y, z: ops.where(ops.logical_not(c), x, y)))
fires(
    laws.selected_twice,
    selecting(lambda c, x, y, z: ops.where(c, ops.where(c, x, y), z)),
    selecting(lambda c, x, y, z: ops.where(c, z, ops.where(c, x, y))),
)
silent(
    laws.selected_twice,
    selecting(lambda c, x, y, z: ops.where(c, ops.where(ops.less(x, y), x, y), z)),
)
fires(laws.conversion_to_the_same, one(lambda x: strict(AsType(x.dtype))(x)), dtypes=NUMBERS)
for through, to, sources in (
    (float64, float32, (float32,)),
    (float64, float32, (int32, uint8)),
    (int64, int32, (int32, uint8, bool_)),
    (int64, uint8, (int32,)),
    (float64, int32, (float32, int32)),
    (float64, bool_, (float32, int32)),
    (int32, float32, (uint8, bool_)),
):
    fires(
        laws.conversion_in_two_steps,
        one(lambda x, b=through, c=to: ops.astype(ops.astype(x, b), c)),
        dtypes=sources,
    )
for through, to, sources in (
    (float32, float64, (float64,)),  # rounds
    (float32, int64, (int64,)),  # rounds
    (float64, int64, (int64,)),  # rounds
    (int32, int64, (int64, float32)),  # wraps, truncates
    (float64, uint8, (int32,)),  # saturates, where directly it wraps
    (bool_, int32, (int32,)),
):
    silent(
        laws.conversion_in_two_steps,
        one(lambda x, b=through, c=to: ops.astype(ops.astype(x, b), c)),
        dtypes=sources,
    )
