"""Cases for the laws of elementwise arithmetic."""

from __future__ import annotations

import numpy as np

from graphc import ops
from graphc.dtypes import float32, float64, int32
from graphc.ops.laws import arithmetic as laws

from . import NUMBERS, fires, one, rows, shaped, silent, two

fires(
    laws.once_per_distinct_element,
    one(lambda x: ops.exp(rows(x))),
    two(lambda x, y: ops.add(rows(x), rows(y))),
    one(lambda x: ops.divide(rows(x), ops.full((3, *x.shape), 3.0, x.dtype))),
    shaped((2, 1), (2, 1), then=lambda x, y: ops.add(*[ops.broadcast(v, (2, 5)) for v in (x, y)])),
    lambda i: ops.add(ops.full((2, 2), 1.5, i.dtype), ops.full((2, 2), 2.5, i.dtype)),
)
silent(
    laws.once_per_distinct_element,
    shaped((2,), (2,), then=lambda x, y: ops.add(rows(x, 2), ops.broadcast(y, (2, 2), (0,)))),
    shaped((0,), then=lambda x: ops.exp(rows(x))),
    shaped((2,), then=lambda x: ops.exp(rows(x, 0))),
    shaped((2, 3), (3,), then=lambda x, y: ops.add(x, rows(y, 2))),
)
fires(laws.plus_sign, one(ops.positive), dtypes=NUMBERS)
fires(
    laws.adding_nothing,
    one(lambda x: ops.add(x, -0.0)),
    one(lambda x: ops.add(-0.0, x)),
    dtypes=NUMBERS,
)
silent(laws.adding_nothing, one(lambda x: ops.add(x, 0.0)), one(lambda x: ops.add(x, 1)))
fires(
    laws.adding_zero_last,
    two(lambda x, y: ops.add(ops.add(x, 0.0), y)),
    two(lambda x, y: ops.add(y, ops.add(0.0, x))),
    two(lambda x, y: ops.add(ops.add(x, 0.0), ops.add(y, 0.0))),
    one(lambda x: ops.add(ops.add(x, 0.0), 0.0)),
    dtypes=(float32, float64),
)
silent(laws.adding_zero_last, two(lambda x, y: ops.add(ops.add(x, -0.0), y)))
fires(
    laws.adding_zero_to_what_is_not_negative,
    one(lambda x: ops.add(ops.square(x), 0.0)),
    one(lambda x: ops.add(0.0, ops.abs(x))),
    one(lambda x: ops.add(ops.exp(x), 0.0)),
)
silent(laws.adding_zero_to_what_is_not_negative, one(lambda x: ops.add(ops.sin(x), 0.0)))
fires(
    laws.adding_a_negative,
    two(lambda x, y: ops.add(x, ops.negative(y))),
    two(lambda x, y: ops.add(ops.negative(x), y)),
    dtypes=NUMBERS,
)
fires(laws.subtracting_nothing, one(lambda x: ops.subtract(x, 0)), dtypes=NUMBERS)
silent(laws.subtracting_nothing, one(lambda x: ops.subtract(x, -0.0)))
fires(
    laws.subtracting_a_negative, two(lambda x, y: ops.subtract(x, ops.negative(y))), dtypes=NUMBERS
)
fires(laws.subtracting_from_nothing, one(lambda x: ops.subtract(-0.0, x)), dtypes=NUMBERS)
silent(laws.subtracting_from_nothing, one(lambda x: ops.subtract(0.0, x)))
fires(
    laws.multiplying_by_one,
    one(lambda x: ops.multiply(x, 1)),
    one(lambda x: ops.multiply(1, x)),
    dtypes=NUMBERS,
)
fires(
    laws.multiplying_by_minus_one,
    one(lambda x: ops.multiply(x, ops.full(x.shape, np.array(-1).astype(x.dtype.numpy), x.dtype))),
    dtypes=NUMBERS,
)
fires(laws.multiplying_with_itself, one(lambda x: ops.multiply(x, x)), dtypes=NUMBERS)
fires(laws.dividing_by_one, one(lambda x: ops.divide(x, 1)))
fires(
    laws.dividing_by_a_power_of_two,
    *[one(lambda x, c=c: ops.divide(x, c)) for c in (2, -4, 0.125, 2.0**100, 2.0**-100)],
    dtypes=(float32, float64),
)
silent(
    laws.dividing_by_a_power_of_two,
    *[
        one(lambda x, c=c: ops.divide(x, c))
        for c in (3, 0.0, -0.0, np.inf, np.nan, 1e-45, 2.0**127, 0.1)
    ],
)
fires(
    laws.two_negatives,
    two(lambda x, y: ops.multiply(ops.negative(x), ops.negative(y))),
    two(lambda x, y: ops.divide(ops.negative(x), ops.negative(y))),
)
fires(
    laws.negative_times_constant,
    one(lambda x: ops.multiply(ops.negative(x), 3)),
    one(lambda x: ops.multiply(3, ops.negative(x))),
    dtypes=NUMBERS,
)
fires(
    laws.negative_times_constant,
    one(lambda x: ops.divide(ops.negative(x), 3)),
    one(lambda x: ops.divide(3, ops.negative(x))),
)
fires(
    laws.negative_of_constant_multiple,
    one(lambda x: ops.negative(ops.multiply(x, 3))),
    one(lambda x: ops.negative(ops.multiply(3, x))),
    dtypes=NUMBERS,
)
silent(laws.negative_of_constant_multiple, two(lambda x, y: ops.negative(ops.multiply(x, y))))
fires(laws.negative_twice, one(lambda x: ops.negative(ops.negative(x))), dtypes=NUMBERS)
fires(
    laws.even_function,
    one(lambda x: ops.abs(ops.negative(x))),
    one(lambda x: ops.square(ops.abs(x))),
    one(lambda x: ops.cos(ops.negative(x))),
)
fires(
    laws.abs_of_what_is_not_negative,
    one(lambda x: ops.abs(ops.square(x))),
    one(lambda x: ops.abs(ops.exp(x))),
)
silent(laws.abs_of_what_is_not_negative, one(lambda x: ops.abs(ops.square(x))), dtypes=(int32,))
fires(
    laws.comparing_two_negatives,
    two(lambda x, y: ops.equal(ops.negative(x), ops.negative(y))),
    two(lambda x, y: ops.not_equal(ops.negative(x), ops.negative(y))),
    dtypes=NUMBERS,
)
fires(
    laws.extremum_of_one,
    one(lambda x: ops.maximum(x, x)),
    one(lambda x: ops.minimum(x, x)),
    dtypes=NUMBERS,
)
fires(
    laws.whole_power,
    *[one(lambda x, c=c: ops.pow(x, c)) for c in (0, 1, 2, -1)],
)
fires(laws.whole_power, *[one(lambda x, c=c: ops.pow(x, c)) for c in (0, 1, 2)], dtypes=(int32,))
silent(laws.whole_power, *[one(lambda x, c=c: ops.pow(x, c)) for c in (0.5, 3, -2)])
silent(laws.whole_power, one(lambda x: ops.pow(x, -1)), dtypes=(int32,))
