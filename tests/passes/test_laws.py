"""Every law on its own: it fires, and both sides are equal to the bit for special numbers.

A law without a case here fails `test_every_law_has_a_case`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from graphc import ops
from graphc.dtypes import DType, bool_, float32, float64, int32, int64, uint8
from graphc.ir.graph import Op, Value, apply
from graphc.ops.convert import AsType
from graphc.ops.laws import Law, arithmetic, folds, laws_of, placing, selection, views
from graphc.ops.placing import Concat
from graphc.ops.reduction import Max
from graphc.ops.shape import Broadcast, Permute, Reshape, Slice
from graphc.passes.simplify import simplify

from .values import Inputs, assert_equal_graphs, graph_of, same_bits

Build = Callable[[Inputs], Value]


@dataclass(frozen=True)
class Case:
    law: Law
    build: Build
    dtype: DType


CASES: list[Case] = []
SILENT: list[Case] = []


def fires(law: Law, *builds: Build, dtypes: tuple[DType, ...] = (float32,)) -> None:
    """The law applies to the last node of each graph."""
    CASES.extend(Case(law, build, dtype) for build in builds for dtype in dtypes)


def silent(law: Law, *builds: Build, dtypes: tuple[DType, ...] = (float32,)) -> None:
    """The law must not apply there."""
    SILENT.extend(Case(law, build, dtype) for build in builds for dtype in dtypes)


NUMBERS = (float32, float64, int32, int64, uint8)
INTEGERS = (int32, int64, uint8)


def one(f: Callable[[Value], Value]) -> Build:
    return lambda i: f(*i.all_pairs(1))


def two(f: Callable[[Value, Value], Value]) -> Build:
    return lambda i: f(*i.all_pairs(2))


def three(f: Callable[[Value, Value, Value], Value]) -> Build:
    return lambda i: f(*i.all_pairs(3))


def shaped(*shapes: tuple[int, ...], then: Callable[..., Value]) -> Build:
    return lambda i: then(*[i.array(s) for s in shapes])


def zero(x: Value) -> Value:
    return ops.full_like(x, 0.0)


def rows(x: Value, n: int = 3) -> Value:
    """x repeated along a new first axis."""
    return ops.broadcast(x, (n, *x.shape))


def pad1(x: Value, size: int, start: int, fill: float = 0.0) -> Value:
    return ops.pad(x, ops.constant(fill, x.dtype), (size,), (start,))


def strict(op: Op) -> Callable[[Value], Value]:
    """The operator itself, where the constructor would leave it out."""
    return lambda *v: apply(op, *v)[0]


a = arithmetic
fires(
    a.once_per_distinct_element,
    one(lambda x: ops.exp(rows(x))),
    two(lambda x, y: ops.add(rows(x), rows(y))),
    one(lambda x: ops.divide(rows(x), ops.full((3, *x.shape), 3.0, x.dtype))),
    shaped((2, 1), (2, 1), then=lambda x, y: ops.add(*[ops.broadcast(v, (2, 5)) for v in (x, y)])),
    lambda i: ops.add(ops.full((2, 2), 1.5, i.dtype), ops.full((2, 2), 2.5, i.dtype)),
)
silent(
    a.once_per_distinct_element,
    shaped((2,), (2,), then=lambda x, y: ops.add(rows(x, 2), ops.broadcast(y, (2, 2), (0,)))),
    shaped((0,), then=lambda x: ops.exp(rows(x))),
    shaped((2,), then=lambda x: ops.exp(rows(x, 0))),
    shaped((2, 3), (3,), then=lambda x, y: ops.add(x, rows(y, 2))),
)
fires(a.plus_sign, one(ops.positive), dtypes=NUMBERS)
fires(
    a.adding_nothing,
    one(lambda x: ops.add(x, -0.0)),
    one(lambda x: ops.add(-0.0, x)),
    dtypes=NUMBERS,
)
silent(a.adding_nothing, one(lambda x: ops.add(x, 0.0)), one(lambda x: ops.add(x, 1)))
fires(
    a.adding_zero_last,
    two(lambda x, y: ops.add(ops.add(x, 0.0), y)),
    two(lambda x, y: ops.add(y, ops.add(0.0, x))),
    two(lambda x, y: ops.add(ops.add(x, 0.0), ops.add(y, 0.0))),
    one(lambda x: ops.add(ops.add(x, 0.0), 0.0)),
    dtypes=(float32, float64),
)
silent(a.adding_zero_last, two(lambda x, y: ops.add(ops.add(x, -0.0), y)))
fires(
    a.adding_zero_to_what_is_not_negative,
    one(lambda x: ops.add(ops.square(x), 0.0)),
    one(lambda x: ops.add(0.0, ops.abs(x))),
    one(lambda x: ops.add(ops.exp(x), 0.0)),
)
silent(a.adding_zero_to_what_is_not_negative, one(lambda x: ops.add(ops.sin(x), 0.0)))
fires(
    a.adding_a_negative,
    two(lambda x, y: ops.add(x, ops.negative(y))),
    two(lambda x, y: ops.add(ops.negative(x), y)),
    dtypes=NUMBERS,
)
fires(a.subtracting_nothing, one(lambda x: ops.subtract(x, 0)), dtypes=NUMBERS)
silent(a.subtracting_nothing, one(lambda x: ops.subtract(x, -0.0)))
fires(a.subtracting_a_negative, two(lambda x, y: ops.subtract(x, ops.negative(y))), dtypes=NUMBERS)
fires(a.subtracting_from_nothing, one(lambda x: ops.subtract(-0.0, x)), dtypes=NUMBERS)
silent(a.subtracting_from_nothing, one(lambda x: ops.subtract(0.0, x)))
fires(
    a.multiplying_by_one,
    one(lambda x: ops.multiply(x, 1)),
    one(lambda x: ops.multiply(1, x)),
    dtypes=NUMBERS,
)
fires(
    a.multiplying_by_minus_one,
    one(lambda x: ops.multiply(x, ops.full(x.shape, np.array(-1).astype(x.dtype.numpy), x.dtype))),
    dtypes=NUMBERS,
)
fires(a.multiplying_with_itself, one(lambda x: ops.multiply(x, x)), dtypes=NUMBERS)
fires(a.dividing_by_one, one(lambda x: ops.divide(x, 1)))
fires(
    a.dividing_by_a_power_of_two,
    *[one(lambda x, c=c: ops.divide(x, c)) for c in (2, -4, 0.125, 2.0**100, 2.0**-100)],
    dtypes=(float32, float64),
)
silent(
    a.dividing_by_a_power_of_two,
    *[
        one(lambda x, c=c: ops.divide(x, c))
        for c in (3, 0.0, -0.0, np.inf, np.nan, 1e-45, 2.0**127, 0.1)
    ],
)
fires(
    a.two_negatives,
    two(lambda x, y: ops.multiply(ops.negative(x), ops.negative(y))),
    two(lambda x, y: ops.divide(ops.negative(x), ops.negative(y))),
)
fires(
    a.negative_times_constant,
    one(lambda x: ops.multiply(ops.negative(x), 3)),
    one(lambda x: ops.multiply(3, ops.negative(x))),
    dtypes=NUMBERS,
)
fires(
    a.negative_times_constant,
    one(lambda x: ops.divide(ops.negative(x), 3)),
    one(lambda x: ops.divide(3, ops.negative(x))),
)
fires(
    a.negative_of_constant_multiple,
    one(lambda x: ops.negative(ops.multiply(x, 3))),
    one(lambda x: ops.negative(ops.multiply(3, x))),
    dtypes=NUMBERS,
)
silent(a.negative_of_constant_multiple, two(lambda x, y: ops.negative(ops.multiply(x, y))))
fires(a.negative_twice, one(lambda x: ops.negative(ops.negative(x))), dtypes=NUMBERS)
fires(
    a.even_function,
    one(lambda x: ops.abs(ops.negative(x))),
    one(lambda x: ops.square(ops.abs(x))),
    one(lambda x: ops.cos(ops.negative(x))),
)
fires(
    a.abs_of_what_is_not_negative,
    one(lambda x: ops.abs(ops.square(x))),
    one(lambda x: ops.abs(ops.exp(x))),
)
silent(a.abs_of_what_is_not_negative, one(lambda x: ops.abs(ops.square(x))), dtypes=(int32,))
fires(
    a.sign_of_zero_does_not_matter,
    *[one(lambda x, f=f: f(ops.add(x, 0.0))) for f in (ops.abs, ops.square, ops.exp, ops.cos)],
)
fires(
    a.comparing_two_negatives,
    two(lambda x, y: ops.equal(ops.negative(x), ops.negative(y))),
    two(lambda x, y: ops.not_equal(ops.negative(x), ops.negative(y))),
    dtypes=NUMBERS,
)
fires(
    a.extremum_of_one,
    one(lambda x: ops.maximum(x, x)),
    one(lambda x: ops.minimum(x, x)),
    dtypes=NUMBERS,
)
fires(
    a.whole_power,
    *[one(lambda x, c=c: ops.pow(x, c)) for c in (0, 1, 2, -1)],
)
fires(a.whole_power, *[one(lambda x, c=c: ops.pow(x, c)) for c in (0, 1, 2)], dtypes=(int32,))
silent(a.whole_power, *[one(lambda x, c=c: ops.pow(x, c)) for c in (0.5, 3, -2)])
silent(a.whole_power, one(lambda x: ops.pow(x, -1)), dtypes=(int32,))

s = selection
fires(s.marks_of_differentiation, one(ops.alias), one(ops.stop_gradient), dtypes=NUMBERS)
BOOL = (bool_,)
fires(s.not_twice, one(lambda x: ops.logical_not(ops.logical_not(x))), dtypes=BOOL)
fires(
    s.not_equal_is_the_opposite,
    two(lambda x, y: ops.logical_not(ops.equal(x, y))),
    two(lambda x, y: ops.logical_not(ops.not_equal(x, y))),
)
silent(s.not_equal_is_the_opposite, two(lambda x, y: ops.logical_not(ops.less(x, y))))
fires(
    s.both_alike,
    one(lambda x: ops.logical_and(x, x)),
    one(lambda x: ops.logical_or(x, x)),
    dtypes=BOOL,
)
for c in (False, True):
    fires(
        s.and_with_a_constant,
        one(lambda x, c=c: ops.logical_and(x, c)),
        one(lambda x, c=c: ops.logical_and(c, x)),
        dtypes=BOOL,
    )
    fires(
        s.or_with_a_constant,
        one(lambda x, c=c: ops.logical_or(x, c)),
        one(lambda x, c=c: ops.logical_or(c, x)),
        dtypes=BOOL,
    )
    fires(
        s.constant_condition,
        two(lambda x, y, c=c: ops.where(ops.full(x.shape, c, bool_), x, y)),
    )
    fires(
        s.condition_itself,
        one(lambda x, c=c: ops.where(x, ops.full_like(x, c), ops.full_like(x, not c))),
        dtypes=BOOL,
    )


def selecting(f: Callable[[Value, Value, Value, Value], Value]) -> Build:
    def build(i: Inputs) -> Value:
        x, y, z = i.all_pairs(3)
        return f(i.condition(x), x, y, z)

    return build


fires(s.equal_branches, selecting(lambda c, x, y, z: ops.where(c, x, x)))
fires(s.opposite_condition, selecting(lambda c, x, y, z: ops.where(ops.logical_not(c), x, y)))
fires(
    s.selected_twice,
    selecting(lambda c, x, y, z: ops.where(c, ops.where(c, x, y), z)),
    selecting(lambda c, x, y, z: ops.where(c, z, ops.where(c, x, y))),
)
silent(
    s.selected_twice, selecting(lambda c, x, y, z: ops.where(c, ops.where(ops.less(x, y), x, y), z))
)
fires(s.conversion_to_the_same, one(lambda x: strict(AsType(x.dtype))(x)), dtypes=NUMBERS)
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
        s.conversion_in_two_steps,
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
        s.conversion_in_two_steps,
        one(lambda x, b=through, c=to: ops.astype(ops.astype(x, b), c)),
        dtypes=sources,
    )

v = views

fires(
    v.adding_zero_after_the_view,
    shaped((4, 5), then=lambda x: ops.reshape(ops.add(x, 0.0), (20,))),
    shaped((4, 5), then=lambda x: ops.permute(ops.add(x, 0.0), (1, 0))),
    shaped((4, 5), then=lambda x: ops.flip(ops.add(x, 0.0), (1,))),
)
fires(v.reshape_to_the_same, shaped((2, 3), then=strict(Reshape((2, 3)))))
fires(
    v.reshape_twice,
    shaped((4, 5), then=lambda x: ops.reshape(ops.reshape(x, (2, 10)), (20,))),
    shaped((4, 5), then=lambda x: ops.reshape(ops.reshape(x, (20,)), (4, 5))),
)
fires(
    v.reshape_of_a_broadcast,
    shaped((), then=lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (6,))),
    shaped((3,), then=lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (2, 1, 3, 1))),
    shaped((3,), then=lambda x: ops.reshape(ops.broadcast(x, (1, 3, 2), (1,)), (3, 2))),
)
silent(
    v.reshape_of_a_broadcast,
    shaped((3,), then=lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (6,))),
    shaped((3,), then=lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (3, 2))),
)
fires(v.permute_to_the_same, shaped((2, 3), then=strict(Permute((0, 1)))))
fires(
    v.permute_twice,
    shaped((2, 3, 4), then=lambda x: ops.permute(ops.permute(x, (1, 2, 0)), (2, 1, 0))),
    shaped((2, 3, 4), then=lambda x: ops.permute(ops.permute(x, (1, 2, 0)), (2, 0, 1))),
)
fires(
    v.permute_of_ones,
    shaped((2, 1, 3), then=lambda x: ops.permute(x, (1, 0, 2))),
    shaped((1, 1), then=lambda x: ops.permute(x, (1, 0))),
)
silent(v.permute_of_ones, shaped((2, 1, 3), then=lambda x: ops.permute(x, (2, 1, 0))))
fires(
    v.permute_of_a_broadcast,
    shaped((3,), then=lambda x: ops.permute(ops.broadcast(x, (2, 3)), (1, 0))),
    shaped((2, 3), then=lambda x: ops.permute(ops.broadcast(x, (2, 4, 3), (0, 2)), (2, 1, 0))),
    shaped((2, 1), then=lambda x: ops.permute(ops.broadcast(x, (2, 4)), (1, 0))),
    shaped((), then=lambda x: ops.permute(ops.broadcast(x, (2, 4)), (1, 0))),
)
fires(
    v.broadcast_of_nothing_new,
    shaped((3,), then=lambda x: ops.broadcast(x, (1, 3))),
    shaped((3,), then=lambda x: ops.broadcast(x, (3, 1), (0,))),
    shaped((2, 3), then=strict(Broadcast((2, 3), (0, 1)))),
    shaped((0,), then=lambda x: ops.broadcast(x, (1, 0))),
)
silent(v.broadcast_of_nothing_new, shaped((1,), then=lambda x: ops.broadcast(x, (2,))))
fires(
    v.broadcast_twice,
    shaped((3,), then=lambda x: rows(rows(x), 2)),
    shaped((1, 3), then=lambda x: ops.broadcast(ops.broadcast(x, (4, 3)), (4, 2, 3), (0, 2))),
    shaped((2, 1), then=lambda x: ops.broadcast(ops.broadcast(x, (2, 1, 1), (0, 1)), (2, 5, 7))),
)
fires(
    v.broadcast_of_a_reshape,
    shaped((3,), then=lambda x: ops.broadcast(ops.reshape(x, (3, 1)), (3, 4))),
    shaped((3, 1), then=lambda x: ops.broadcast(ops.reshape(x, (1, 3)), (4, 3))),
    shaped((), then=lambda x: ops.broadcast(ops.reshape(x, (1, 1)), (4, 3))),
)
silent(
    v.broadcast_of_a_reshape,
    shaped((3, 1), then=lambda x: ops.broadcast(ops.reshape(x, (3,)), (4, 3))),
    shaped((6, 1), then=lambda x: ops.broadcast(ops.reshape(x, (2, 1, 3)), (2, 4, 3))),
)
fires(
    v.slice_of_everything,
    shaped((4, 1), then=strict(Slice((0, 0), (4, 1), (1, -1)))),
    shaped((0,), then=strict(Slice((0,), (0,), (1,)))),
)
silent(v.slice_of_everything, shaped((4,), then=lambda x: ops.flip(x, (0,))))
fires(
    v.slice_twice,
    shaped((20,), then=lambda x: ops.slice(ops.slice(x, (2,), (8,), (2,)), (1,), (3,), (2,))),
    shaped((20,), then=lambda x: ops.flip(ops.flip(x, (0,)), (0,))),
    shaped((20,), then=lambda x: ops.slice(ops.flip(x, (0,)), (3,), (5,), (2,))),
    shaped((20,), then=lambda x: ops.slice(ops.slice(x, (19,), (7,), (-3,)), (6,), (4,), (-2,))),
)
fires(
    v.slice_of_a_broadcast,
    shaped((5,), then=lambda x: ops.slice(rows(x), (1, 4), (2, 3), (1, -2))),
    shaped((), then=lambda x: ops.slice(ops.broadcast(x, (4,)), (1,), (2,), (1,))),
    shaped((2, 1), then=lambda x: ops.slice(ops.broadcast(x, (2, 5)), (1, 2), (1, 2), (1, 2))),
    shaped((2, 1), then=lambda x: ops.slice(ops.broadcast(x, (2, 5)), (1, 2), (1, 0), (1, 2))),
    shaped((1,), then=lambda x: ops.slice(rows(x), (0, 0), (2, 0), (1, 1))),
)

p = placing
fires(
    p.uniform_array,
    *[
        lambda i, c=c: ops.constant(np.full((2, 3), c), i.dtype)
        for c in (0.0, -0.0, np.nan, np.inf, 1e-45)
    ],
)
fires(p.uniform_array, lambda i: ops.constant(np.ones((4,), bool)), dtypes=(bool_,))
silent(
    p.uniform_array,
    lambda i: ops.constant(np.array([0.0, -0.0]), i.dtype),
    lambda i: ops.constant(1.0, i.dtype),
    lambda i: ops.constant(np.ones((1, 1)), i.dtype),
    lambda i: ops.constant(np.ones((0, 3)), i.dtype),
)
fires(
    p.concat_without_the_empty,
    shaped((2, 3), (0, 3), (1, 3), then=lambda *x: ops.concat(x, 0)),
    shaped((0,), (0,), then=lambda *x: ops.concat(x, 0)),
    shaped((2,), then=strict(Concat(0))),
)


def part(x: Value, start: int, length: int, step: int = 1) -> Value:
    """Columns of a matrix."""
    n = x.shape[0]
    return ops.slice(x, (0, start), (n, length), (1, step))


fires(
    p.concat_of_neighbours,
    shaped((2, 9), then=lambda x: ops.concat([part(x, 0, 4), part(x, 4, 5)], 1)),
    shaped((2, 9), then=lambda x: ops.concat([part(x, 1, 2), part(x, 3, 1), part(x, 4, 4)], 1)),
    shaped((2, 9), then=lambda x: ops.concat([part(x, 8, 2, -2), part(x, 4, 2, -2)], 1)),
)
silent(
    p.concat_of_neighbours,
    shaped((2, 9), then=lambda x: ops.concat([part(x, 4, 5), part(x, 0, 4)], 1)),
    shaped((2, 9), then=lambda x: ops.concat([part(x, 0, 4), part(x, 4, 4)], 0)),
    shaped((2, 4), (2, 8), then=lambda x, y: ops.concat([part(x, 0, 2), part(y, 2, 2)], 1)),
)
fires(
    p.slice_of_a_concat,
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 4, 2)),
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 6, 2, -3)),
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 0, 3)),
)
silent(
    p.slice_of_a_concat,
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 2, 2)),
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 4, 2, -2)),
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 0, 0)),
)


def pad2(x: Value, fill: float, start: int, step: int = 1) -> Value:
    """Columns placed into a matrix of 9 columns."""
    size = ops.constant(fill, x.dtype)
    return ops.pad(x, size, (x.shape[0], 9), (0, start), (1, step))


fires(
    p.slice_of_a_pad,
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 4, 3)),
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 6, 2, -1)),
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 0, 4)),
    shaped((2, 3), then=lambda x: part(pad2(x, -0.0, 4), 8, 2, -1)),
)
silent(
    p.slice_of_a_pad,
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 3, 2)),
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 2, 2), 4, 1)),
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 0, 0)),
)
fires(p.pad_by_nothing, shaped((2, 9), then=lambda x: pad2(x, 1.5, 0)))
silent(p.pad_by_nothing, shaped((2, 9), then=lambda x: pad2(x, 1.5, 8, -1)))
fires(
    p.pad_with_the_same,
    lambda i: pad2(ops.full((2, 3), 1.5, i.dtype), 1.5, 2),
    shaped((2, 0), then=lambda x: pad2(x, 1.5, 2)),
)
silent(p.pad_with_the_same, lambda i: pad2(ops.full((2, 3), -0.0, i.dtype), 0.0, 2))
fires(
    p.pad_twice,
    shaped((3,), then=lambda x: pad1(pad1(x, 5, 1, 2.5), 9, 3, 2.5)),
    shaped(
        (3,),
        then=lambda x: ops.pad(
            ops.pad(x, ops.constant(0.0, x.dtype), (7,), (5,), (-2,)),
            ops.constant(0.0, x.dtype),
            (20,),
            (19,),
            (-3,),
        ),
    ),
)
silent(p.pad_twice, shaped((3,), then=lambda x: pad1(pad1(x, 5, 1, 0.0), 9, 3, -0.0)))


def pads(*starts: int, fill: float = 0.0) -> Build:
    """Three columns at each of some places, summed from the left."""

    def build(i: Inputs) -> Value:
        return ops.add_all([pad2(i.array((2, 3)), fill, start) for start in starts])

    return build


fires(p.sum_of_touching_pads, pads(0, 3), pads(6, 3), dtypes=(float32, int32))
silent(p.sum_of_touching_pads, pads(0, 6), pads(0, 2), pads(3, 3), pads(0, 3, fill=-0.0))
fires(
    p.touching_pads_first,
    pads(0, 6, 3),
    pads(3, 0, 6),
    dtypes=(float32, int32),
)


def pads_on_all_numbers(first: int, second: int) -> Build:
    """z + pad(x) + pad(y), where z, x and y run through all triples at the places that meet."""

    def build(i: Inputs) -> Value:
        z, x, y = i.all_pairs(3)
        n = z.shape[0]
        both = ops.concat([z, z], 0)
        return ops.add(ops.add(both, pad1(x, 2 * n, first * n)), pad1(y, 2 * n, second * n))

    return build


fires(p.touching_pads_first, pads_on_all_numbers(0, 1), pads_on_all_numbers(1, 0))
silent(p.touching_pads_first, pads(0, 1, 6))


def taking(f: Callable[[Value, Value], Value], shape: tuple[int, ...]) -> Build:
    def build(i: Inputs) -> Value:
        places = i.given(np.array([0, 3, -1, 99, -99]), int64)
        return f(ops.full(shape, 1.5, i.dtype), places)

    return build


fires(
    p.taking_from_one_number,
    taking(lambda x, j: ops.gather(x, [j]), (4, 2)),
    taking(ops.pick, (5, 4)),
)

f = folds
UNIT = (2, 1, 3)
fires(
    f.fold_of_one,
    shaped(UNIT, then=lambda x: ops.max(x, (1,))),
    shaped(UNIT, then=lambda x: ops.prod(x, (1,))),
    shaped(UNIT, then=strict(Max(()))),
    dtypes=(float32, int32),
)
fires(f.fold_of_one, shaped((2, 1), then=lambda x: ops.sum(x, (1,))), dtypes=(int32, int64))
silent(f.fold_of_one, shaped(UNIT, then=lambda x: ops.max(x, (1, 2))))
fires(
    f.sum_of_zeros,
    lambda i: ops.sum(ops.full((2, 3), 0, i.dtype), (1,)),
    lambda i: ops.sum(ops.full((2, 0), 0, i.dtype), (1,)),
    dtypes=(float32, int32),
)
silent(f.sum_of_zeros, lambda i: ops.sum(ops.full((2, 3), 1, i.dtype), (1,)))
fires(
    f.extremum_of_repetitions,
    shaped((3,), then=lambda x: ops.max(rows(x), (0,))),
    shaped((3,), then=lambda x: ops.min(rows(x), (1,))),
    shaped((3,), then=lambda x: ops.max(rows(x), (0, 1))),
    shaped((2, 1), then=lambda x: ops.max(ops.broadcast(x, (2, 4)), (1,))),
    shaped((2, 1), then=lambda x: ops.max(ops.broadcast(x, (2, 4)), (0,))),
    shaped((), then=lambda x: ops.max(ops.broadcast(x, (2, 4)), (0,))),
)
silent(f.extremum_of_repetitions, shaped((3,), then=lambda x: ops.sum(rows(x), (0,))))


def name(case: Case) -> str:
    return f"{case.law.__name__}-{case.dtype}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_both_sides_are_equal(case: Case) -> None:
    inputs = Inputs(case.dtype)
    before = case.build(inputs)
    assert case.law in laws_of(type(before.node.op))
    after = case.law(before.node.op, *before.node.inputs)
    assert after is not None, "the law does not fire"
    assert after.type == before.type
    (old,), (new,) = inputs.evaluate([before]), inputs.evaluate([after])
    assert same_bits(old, new), f"{old} became {new}"


@pytest.mark.parametrize("case", CASES + SILENT, ids=name)
def test_the_pass_keeps_values_and_ends(case: Case) -> None:
    inputs = Inputs(case.dtype)
    graph = graph_of(case.build(inputs))
    simple = simplify(graph)
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert simplify(simple) is simple


@pytest.mark.parametrize("case", SILENT, ids=name)
def test_it_does_not_fire_where_it_does_not_hold(case: Case) -> None:
    node = case.build(Inputs(case.dtype)).node
    assert case.law not in laws_of(type(node.op)) or case.law(node.op, *node.inputs) is None


@pytest.mark.parametrize("shape", [(1,), (3, 1)])
def test_the_sum_of_one_is_never_a_negative_zero(shape: tuple[int, ...]) -> None:
    """NumPy's sum of one -0.0 is -0.0, C's begins with 0.0: the sign is compared with C's."""
    inputs = Inputs()
    x = inputs.array(shape)
    total = ops.sum(x, (len(shape) - 1,))
    single = folds.fold_of_one(total.node.op, x)
    assert single is not None
    (found,) = inputs.evaluate([single])
    assert same_bits(found, (inputs.arrays[x] + np.float32(0)).reshape(total.shape))


def test_a_sum_ignores_the_sign_of_zero() -> None:
    inputs = Inputs()
    x = inputs.array((4, 14))
    before = ops.sum(ops.add(x, 0.0), (1,))
    after = folds.sum_ignores_the_sign_of_zero(before.node.op, *before.node.inputs)
    assert after is not None
    assert after.node.inputs == (x,)
    (old,), (new,) = inputs.evaluate([before]), inputs.evaluate([after])
    np.testing.assert_array_equal(old, new)


def test_every_law_has_a_case() -> None:
    tested = {case.law for case in CASES} | {folds.sum_ignores_the_sign_of_zero}
    everything = {
        law
        for module in (arithmetic, folds, placing, selection, views)
        for law in vars(module).values()
        if any(law in laws_of(cls) for cls in _operators(Op))
    }
    assert everything == tested
    assert all(law.__doc__ for law in everything)


def _operators(cls: type[Op]) -> set[type[Op]]:
    return {cls}.union(*[_operators(sub) for sub in cls.__subclasses__()])
