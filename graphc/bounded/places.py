"""Where the elements of views come from, when some axes have an open size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from graphc.bounded.sizes import Axes, Axis
from graphc.ir.graph import Node, Value


def viewed(
    group: Sequence[Node], sizes: Sequence[int], axes: Axes, candidates: Axes
) -> Axes | None:
    """How the axes of a view's result that have the size are put together, of which `candidates`
    gives the number of elements for a size of one; None if elements move as the size changes.
    `axes` are those of the operand.

    The elements of the operand are numbered by their places at the largest size, and the view
    tells where each of them goes: one that counts at two sizes has to be at the same place.
    """
    most = max(sizes)
    found = [
        np.asarray(node.op.reference(_numbers(node.inputs[0], axes, n, most)))
        for node, n in zip(group, sizes, strict=True)
    ]
    largest = found[sizes.index(most)]
    uniform = [_is_uniform(largest, a.axis) for a in candidates]
    for chosen in itertools.product(
        *[_splits(a, same) for a, same in zip(candidates, uniform, strict=True)]
    ):
        if all(_agree(x, largest, chosen, n, most) for x, n in zip(found, sizes, strict=True)):
            return chosen
    return None


def _splits(axis: Axis, uniform: bool) -> Iterator[Axis]:
    """The ways to put an axis together, the plainest first."""
    if uniform:
        yield axis._replace(outer=0)
        return
    for outer in range(1, axis.inner + 1):
        if axis.inner % outer == 0:
            yield Axis(axis.axis, axis.inner // outer, outer)


def _is_uniform(numbers: np.ndarray, axis: int) -> bool:
    return bool((numbers == numbers.take([0], axis)).all())


def _numbers(value: Value, axes: Axes, size: int, most: int) -> np.ndarray:
    """The elements of an array by their places in that of the largest size."""
    sized = {a.axis: a for a in axes}
    extents, places = [], []
    for k, extent in enumerate(value.shape):
        axis = sized.get(k)
        extents.append(extent if axis is None else axis.factor * most)
        places.append(np.arange(extent) if axis is None else _places(axis, size, most))
    strides = [math.prod(extents[k + 1 :]) for k in range(len(extents))]
    numbers = np.zeros(value.shape, np.int64)
    for k, (place, stride) in enumerate(zip(places, strides, strict=True)):
        numbers += (place * stride).reshape([-1 if a == k else 1 for a in range(value.type.ndim)])
    return numbers


def _places(axis: Axis, size: int, most: int) -> np.ndarray:
    """Where the places of an axis are at the largest size; one for all where they are alike."""
    place = np.arange(axis.factor * size)
    if axis.outer == 0:
        return np.zeros_like(place)
    block = size * axis.inner
    return place // block * (most * axis.inner) + place % block


def _agree(numbers: np.ndarray, largest: np.ndarray, axes: Axes, size: int, most: int) -> bool:
    where: list[np.ndarray] = [np.arange(n) for n in numbers.shape]
    for a in axes:
        where[a.axis] = _places(a._replace(outer=a.outer or 1), size, most)
    return bool((numbers == largest[np.ix_(*where)]).all())


def joined(values: Sequence[Axes]) -> Axes | None:
    """The axes of arrays of one shape that meet element by element; None where they are put
    together in different ways.
    """
    met: dict[int, Axis] = {}
    for axes in values:
        for a in axes:
            known = met.get(a.axis)
            if known is None or known.outer == 0:
                met[a.axis] = a
            elif a.outer != 0 and a != known:
                return None
    return tuple(met[axis] for axis in sorted(met))
