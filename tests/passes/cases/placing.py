"""Cases for the laws of pad, concat and gather."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from graphc import ops
from graphc.dtypes import bool_, float32, int32, int64
from graphc.ir.graph import Value
from graphc.ops.laws import placing as laws
from graphc.ops.placing import Concat

from ..values import Inputs
from . import Build, fires, pad1, shaped, silent, strict

fires(
    laws.uniform_array,
    *[
        lambda i, c=c: ops.constant(np.full((2, 3), c), i.dtype)
        for c in (0.0, -0.0, np.nan, np.inf, 1e-45)
    ],
)
fires(laws.uniform_array, lambda i: ops.constant(np.ones((4,), bool)), dtypes=(bool_,))
silent(
    laws.uniform_array,
    lambda i: ops.constant(np.array([0.0, -0.0]), i.dtype),
    lambda i: ops.constant(1.0, i.dtype),
    lambda i: ops.constant(np.ones((1, 1)), i.dtype),
    lambda i: ops.constant(np.ones((0, 3)), i.dtype),
)
fires(
    laws.concat_without_the_empty,
    shaped((2, 3), (0, 3), (1, 3), then=lambda *x: ops.concat(x, 0)),
    shaped((0,), (0,), then=lambda *x: ops.concat(x, 0)),
    shaped((2,), then=strict(Concat(0))),
)


def part(x: Value, start: int, length: int, step: int = 1) -> Value:
    """Columns of a matrix."""
    n = x.shape[0]
    return ops.slice(x, (0, start), (n, length), (1, step))


fires(
    laws.concat_of_neighbours,
    shaped((2, 9), then=lambda x: ops.concat([part(x, 0, 4), part(x, 4, 5)], 1)),
    shaped((2, 9), then=lambda x: ops.concat([part(x, 1, 2), part(x, 3, 1), part(x, 4, 4)], 1)),
    shaped((2, 9), then=lambda x: ops.concat([part(x, 8, 2, -2), part(x, 4, 2, -2)], 1)),
)
silent(
    laws.concat_of_neighbours,
    shaped((2, 9), then=lambda x: ops.concat([part(x, 4, 5), part(x, 0, 4)], 1)),
    shaped((2, 9), then=lambda x: ops.concat([part(x, 0, 4), part(x, 4, 4)], 0)),
    shaped((2, 4), (2, 8), then=lambda x, y: ops.concat([part(x, 0, 2), part(y, 2, 2)], 1)),
)
fires(
    laws.slice_of_a_concat,
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 4, 2)),
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 6, 2, -3)),
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 0, 3)),
)
silent(
    laws.slice_of_a_concat,
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 2, 2)),
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 4, 2, -2)),
    shaped((2, 3), (2, 4), then=lambda *x: part(ops.concat(x, 1), 0, 0)),
)
fires(
    laws.permute_of_a_concat,
    shaped((2, 3), (2, 4), then=lambda *x: ops.permute(ops.concat(x, 1), (1, 0))),
    shaped((2, 3, 1), (4, 3, 1), then=lambda *x: ops.permute(ops.concat(x, 0), (2, 0, 1))),
)
fires(
    laws.permute_of_a_number_and_a_concat,
    shaped((2, 3), (2, 4), then=lambda *x: ops.permute(ops.add(ops.concat(x, 1), 0.0), (1, 0))),
)
silent(
    laws.permute_of_a_number_and_a_concat,
    shaped((2, 3), (2, 3), then=lambda x, y: ops.permute(ops.add(x, y), (1, 0))),
)
silent(laws.permute_of_a_concat, shaped((2, 3), then=lambda x: ops.permute(x, (1, 0))))


def pad2(x: Value, fill: float, start: int, step: int = 1) -> Value:
    """Columns placed into a matrix of 9 columns."""
    size = ops.constant(fill, x.dtype)
    return ops.pad(x, size, (x.shape[0], 9), (0, start), (1, step))


fires(
    laws.slice_of_a_pad,
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 4, 3)),
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 6, 2, -1)),
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 0, 4)),
    shaped((2, 3), then=lambda x: part(pad2(x, -0.0, 4), 8, 2, -1)),
)
silent(
    laws.slice_of_a_pad,
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 3, 2)),
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 2, 2), 4, 1)),
    shaped((2, 3), then=lambda x: part(pad2(x, 1.5, 4), 0, 0)),
)
fires(laws.pad_by_nothing, shaped((2, 9), then=lambda x: pad2(x, 1.5, 0)))
silent(laws.pad_by_nothing, shaped((2, 9), then=lambda x: pad2(x, 1.5, 8, -1)))
fires(
    laws.pad_with_the_same,
    lambda i: pad2(ops.full((2, 3), 1.5, i.dtype), 1.5, 2),
    shaped((2, 0), then=lambda x: pad2(x, 1.5, 2)),
)
silent(laws.pad_with_the_same, lambda i: pad2(ops.full((2, 3), -0.0, i.dtype), 0.0, 2))
fires(
    laws.pad_twice,
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
silent(laws.pad_twice, shaped((3,), then=lambda x: pad1(pad1(x, 5, 1, 0.0), 9, 3, -0.0)))


def pads(*starts: int, fill: float = 0.0) -> Build:
    """Three columns at each of some places, summed from the left."""

    def build(i: Inputs) -> Value:
        return ops.add_all([pad2(i.array((2, 3)), fill, start) for start in starts])

    return build


fires(laws.sum_of_touching_pads, pads(0, 3), pads(6, 3), dtypes=(float32, int32))
silent(laws.sum_of_touching_pads, pads(0, 6), pads(0, 2), pads(3, 3), pads(0, 3, fill=-0.0))
fires(
    laws.touching_pads_first,
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


fires(laws.touching_pads_first, pads_on_all_numbers(0, 1), pads_on_all_numbers(1, 0))
silent(laws.touching_pads_first, pads(0, 1, 6))


def taking(f: Callable[[Value, Value], Value], shape: tuple[int, ...]) -> Build:
    def build(i: Inputs) -> Value:
        places = i.given(np.array([0, 3, -1, 99, -99]), int64)
        return f(ops.full(shape, 1.5, i.dtype), places)

    return build


fires(
    laws.taking_from_one_number,
    taking(lambda x, j: ops.gather(x, [j]), (4, 2)),
    taking(ops.pick, (5, 4)),
)


def picking(f: Callable[[Value, Value], Value]) -> Build:
    """One element of each row of f(x, y) on all pairs, for labels inside and outside of the row."""

    def build(i: Inputs) -> Value:
        x, y = i.all_pairs(2)
        n = math.isqrt(x.shape[0])
        rows = f(ops.reshape(x, (n, n)), ops.reshape(y, (n, n)))
        labels = np.array([k % (2 * n) - n // 2 for k in range(n)])
        return ops.pick(rows, i.given(labels, int64))

    return build


def spread(x: Value, axes: tuple[int, ...]) -> Value:
    """The first row, or the first column as one of extent 1, over all rows."""
    n = x.shape[0]
    if axes == (1,):
        return ops.broadcast(ops.reshape(ops.slice(x, (0, 0), (1, n), (1, 1)), (n,)), x.shape, axes)
    first = ops.slice(x, (0, 0), (n, 1), (1, 1))
    source = first if axes == (0, 1) else ops.reshape(first, (n,))
    return ops.broadcast(source, x.shape, axes)


fires(laws.pick_first, picking(ops.subtract), picking(lambda x, y: ops.exp(x)))
fires(
    laws.pick_of_a_broadcast,
    picking(lambda x, y: spread(x, (0,))),
    picking(lambda x, y: spread(x, (0, 1))),
)
silent(laws.pick_first, picking(lambda x, y: ops.sort(x, 1)))
silent(laws.pick_of_a_broadcast, picking(lambda x, y: spread(x, (1,))))


def scattered(
    shape: tuple[int, ...], at: tuple[int, ...], fill: float = 0.0, axes: int = 1
) -> Build:
    """Sums of rows of which some have one place, before the beginning and behind the end too."""

    def build(i: Inputs) -> Value:
        places = [i.given(np.resize([3, -5, 3, 2**40, -(2**40)], at), int64) for _ in range(axes)]
        zeros = ops.full(shape, fill, i.dtype)
        return ops.scatter_add(zeros, i.array((*at, *shape[axes:])), places)

    return build


fires(laws.sum_of_few_rows, scattered((2**14, 4), (7,)), scattered((2**16,), (5, 3)))
silent(
    laws.sum_of_few_rows,
    scattered((2**10, 4), (7,)),
    scattered((2**14, 4), (2**12,)),
    scattered((2**14, 4), (7,), fill=-0.0),
    scattered((2**8, 2**8), (7,), axes=2),
    scattered((2**14, 4), (0,)),
)
