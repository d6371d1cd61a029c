"""Functions that move elements and compute nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import ShapeError, TraceError
from graphc.functions.promotion import (
    as_value,
    axis_tuple,
    one_axis,
    promoted,
    several,
    whole,
)
from graphc.functions.promotion import broadcast as broadcast_values
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor


def shape_tuple(shape: Any, name: str) -> tuple[int, ...]:
    """A shape as a tuple of Python ints >= -1 (-1 stands where a function infers an extent)."""
    extents = several(shape, name, "a shape")
    for extent in extents:
        if isinstance(extent, Tensor):
            raise TraceError(located(f"{name}: shapes are static; an extent cannot be a tensor"))
        if isinstance(extent, bool) or not isinstance(extent, (int, np.integer)) or extent < -1:
            raise ShapeError(located(f"{name}: {extents} is not a shape"))
    return tuple(int(e) for e in extents)


def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Tensor:
    """The same elements in row-major order under another shape; one extent may be -1."""
    value = as_value(x)
    wanted = shape_tuple(shape, "reshape")
    if -1 in wanted:
        size = value.type.size
        rest = math.prod(n for n in wanted if n != -1)
        if wanted.count(-1) > 1 or rest == 0 or size % rest:
            raise ShapeError(
                located(f"reshape({value.type}, {wanted}): the extent -1 cannot be inferred")
            )
        wanted = tuple(size // rest if n == -1 else n for n in wanted)
    return Tensor(ops.reshape(value, wanted))


def permute_dims(x: Any, /, axes: Sequence[int]) -> Tensor:
    """Axis k of the result is axis `axes[k]` of x."""
    value = as_value(x)
    ndim = len(value.shape)
    order = several(axes, "permute_dims", "an order of the axes")
    return Tensor(ops.permute(value, tuple(one_axis(a, ndim, "permute_dims") for a in order)))


def matrix_transpose(x: Any, /) -> Tensor:
    """The last two axes exchanged."""
    value = as_value(x)
    if len(value.shape) < 2:
        raise ShapeError(located(f"matrix_transpose({value.type}): at least 2 axes required"))
    return Tensor(ops.transpose(value))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    value = as_value(x)
    ndim = len(value.shape)
    axes = list(range(ndim))
    a, b = one_axis(axis1, ndim, "swapaxes"), one_axis(axis2, ndim, "swapaxes")
    axes[a], axes[b] = axes[b], axes[a]
    return Tensor(ops.permute(value, tuple(axes)))


def moveaxis(x: Any, source: Any, destination: Any, /) -> Tensor:
    """Axes `source` moved to the places `destination`; the others keep their order."""
    value = as_value(x)
    ndim = len(value.shape)
    required = "an axis or a tuple of axes"
    sources = [one_axis(a, ndim, "moveaxis") for a in several(source, "moveaxis", required)]
    places = [one_axis(a, ndim, "moveaxis") for a in several(destination, "moveaxis", required)]
    if len(set(sources)) != len(sources) or len(set(places)) != len(places):
        raise ShapeError(located("moveaxis: axes repeat"))
    if len(sources) != len(places):
        raise ShapeError(located("moveaxis: as many destinations as sources are required"))
    order = [a for a in range(ndim) if a not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return Tensor(ops.permute(value, tuple(order)))


def expand_dims(x: Any, /, *, axis: int | tuple[int, ...] = 0) -> Tensor:
    """New axes of extent 1 at the places `axis` of the result."""
    value = as_value(x)
    axes = several(axis, "expand_dims", "an axis or a tuple of axes")
    places = axis_tuple(axes, len(value.shape) + len(axes), "expand_dims")
    shape = list(value.shape)
    for place in places:
        shape.insert(place, 1)
    return Tensor(ops.reshape(value, tuple(shape)))


def squeeze(x: Any, /, axis: int | tuple[int, ...]) -> Tensor:
    """Without the given axes, which must have extent 1."""
    value = as_value(x)
    axes = axis_tuple(axis, len(value.shape), "squeeze")
    for a in axes:
        if value.shape[a] != 1:
            raise ShapeError(located(f"squeeze({value.type}): axis {a} does not have extent 1"))
    return Tensor(ops.reshape(value, tuple(n for a, n in enumerate(value.shape) if a not in axes)))


def broadcast_to(x: Any, /, shape: Any) -> Tensor:
    """x repeated along new leading axes and along axes of extent 1."""
    value = as_value(x)
    wanted = shape_tuple(shape, "broadcast_to")
    lead = len(wanted) - len(value.shape)
    fits = lead >= 0 and all(
        n in (1, m) for n, m in zip(value.shape, wanted[max(lead, 0) :], strict=False)
    )
    if not fits or -1 in wanted:
        raise ShapeError(located(f"broadcast_to({value.type}, {wanted}): shapes do not broadcast"))
    return Tensor(ops.broadcast(value, wanted))


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """All of them under their common shape."""
    if not arrays:
        return []
    return [Tensor(v) for v in broadcast_values("broadcast_arrays", [as_value(x) for x in arrays])]


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape of several."""
    checked = [shape_tuple(shape, "broadcast_shapes") for shape in shapes]
    try:
        return np.broadcast_shapes(*checked)
    except ValueError:
        raise ShapeError(located(f"shapes {shapes} do not broadcast")) from None


def flip(x: Any, /, *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The elements along `axis` (None: every axis) in reverse order."""
    value = as_value(x)
    axes = axis_tuple(axis, len(value.shape), "flip")
    return Tensor(ops.flip(value, axes) if axes else value)


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Tensor:
    """Elements moved by `shift` places along `axis`; what leaves at one end enters at the other."""
    value = as_value(x)
    if axis is None:
        flat = ops.reshape(value, (value.type.size,))
        return Tensor(ops.reshape(roll(Tensor(flat), shift, axis=0).value, value.shape))
    axes = several(axis, "roll", "an axis or a tuple of axes")
    shifts = several(shift, "roll", "whole places")
    if not all(isinstance(s, (int, np.integer)) for s in shifts):
        raise ShapeError(located(f"roll: whole places required, got {shift!r}"))
    if len(shifts) == 1:
        shifts *= len(axes)
    if len(axes) == 1:
        axes *= len(shifts)
    if len(axes) != len(shifts):
        raise ShapeError(located(f"roll: {len(shifts)} shifts for {len(axes)} axes"))
    for one, by in zip(axes, shifts, strict=True):
        a = one_axis(one, len(value.shape), "roll")
        n = value.shape[a]
        if n and by % n:
            front, back = _cut(value, a, (n - by % n, n))
            value = ops.concat([back, front], a)
    return Tensor(value)


def _cut(value: Value, axis: int, ends: Sequence[int]) -> list[Value]:
    """Consecutive parts along an axis, the k-th ending before `ends[k]`."""
    parts = []
    start = 0
    ones = (1,) * len(value.shape)
    for end in ends:
        starts = tuple(start if a == axis else 0 for a in range(len(ones)))
        lengths = tuple(end - start if a == axis else n for a, n in enumerate(value.shape))
        parts.append(value if lengths == value.shape else ops.slice(value, starts, lengths, ones))
        start = end
    return parts


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Tensor:
    """The tensors one after another along `axis`; None: each flattened first."""
    values = promoted("concat", *_sequence(arrays, "concat"))
    if axis is None:
        return Tensor(ops.concat([ops.reshape(v, (v.type.size,)) for v in values], 0))
    return Tensor(ops.concat(values, one_axis(axis, len(values[0].shape), "concat")))


def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    values = promoted("stack", *_sequence(arrays, "stack"))
    shape = values[0].shape
    for v in values:
        if v.shape != shape:
            raise ShapeError(located(f"stack({values[0].type}, {v.type}): shapes differ"))
    a = one_axis(axis, len(shape) + 1, "stack")
    wide = (*shape[:a], 1, *shape[a:])
    return Tensor(ops.concat([ops.reshape(v, wide) for v in values], a))


def _sequence(arrays: Any, name: str) -> list[Any]:
    if not isinstance(arrays, (tuple, list, np.ndarray, Tensor)):
        raise TraceError(located(f"{name}: a sequence of tensors required, got {arrays!r}"))
    result = list(arrays)
    if not result:
        raise ShapeError(located(f"{name}: at least one tensor required"))
    return result


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of x along `axis`, without that axis."""
    value = as_value(x)
    a = one_axis(axis, len(value.shape), "unstack")
    rest = value.shape[:a] + value.shape[a + 1 :]
    parts = _cut(value, a, range(1, value.shape[a] + 1))
    return tuple(Tensor(ops.reshape(part, rest)) for part in parts)


def split(x: Any, /, sections: Any, *, axis: int = 0) -> list[Tensor]:
    """x cut along `axis` into `sections` equal parts, or before each of the given positions."""
    value = as_value(x)
    a = one_axis(axis, len(value.shape), "split")
    n = value.shape[a]
    if isinstance(sections, (int, np.integer)):
        if sections < 1 or n % sections:
            raise ShapeError(
                located(f"split({value.type}): an axis of {n} has no {sections} equal parts")
            )
        ends = [n // int(sections) * (k + 1) for k in range(int(sections))]
    else:
        places = several(sections, "split", "a number of parts or positions")
        places = tuple(whole(s, "split", "a position") for s in places)
        bounds = np.clip([s if s >= 0 else n + s for s in places], 0, n).tolist()
        ends = np.maximum.accumulate([*bounds, n]).astype(int).tolist()
    return [Tensor(part) for part in _cut(value, a, ends)]


def tile(x: Any, repetitions: Any, /) -> Tensor:
    """x laid side by side `repetitions[k]` times along axis k."""
    value = as_value(x)
    times = shape_tuple(repetitions, "tile")
    ndim = max(len(times), len(value.shape))
    times = (1,) * (ndim - len(times)) + times
    shape = (1,) * (ndim - len(value.shape)) + value.shape
    pairs = tuple(extent for pair in zip(times, shape, strict=True) for extent in pair)
    axes = tuple(2 * k + 1 for k in range(ndim))
    spread = ops.broadcast(ops.reshape(value, shape), pairs, axes)
    return Tensor(ops.reshape(spread, tuple(t * n for t, n in zip(times, shape, strict=True))))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Every element along `axis` `repeats` times (an integer, or one count per element; counts
    are static); None: of the flattened tensor.
    """
    value = as_value(x)
    if isinstance(repeats, Tensor):
        raise TraceError(located("repeat: counts decide a shape, so they cannot be a tensor"))
    if axis is None:
        value, axis = ops.reshape(value, (value.type.size,)), 0
    a = one_axis(axis, len(value.shape), "repeat")
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iu" or counts.min(initial=0) < 0:
        raise ShapeError(located(f"repeat: counts are integers >= 0, got {repeats!r}"))
    n = value.shape[a]
    if counts.ndim == 0 or counts.size == 1:
        times = int(counts.reshape(()))
        shape = (*value.shape[:a], n, times, *value.shape[a + 1 :])
        axes = tuple(k if k <= a else k + 1 for k in range(len(value.shape)))
        spread = ops.broadcast(value, shape, axes)
        return Tensor(ops.reshape(spread, (*value.shape[:a], n * times, *value.shape[a + 1 :])))
    if counts.shape != (n,):
        raise ShapeError(located(f"repeat: {n} counts required, got shape {counts.shape}"))
    return Tensor(value)[(slice(None),) * a + (np.repeat(np.arange(n), counts),)]
