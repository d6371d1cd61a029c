"""Index expressions: what `t[...]` selects, and functions that take elements by position.

An index has one entry per axis after `...` is filled in: integers and slices are basic; integer
tensors and arrays are advanced and broadcast with each other. When there is an advanced entry,
integers count as advanced too. The axes that advanced entries give stand where those entries
stood, or first when a slice, `...` or None lies between them: NumPy's rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, IndexingError, ShapeError, TraceError
from graphc.functions.capture import from_array
from graphc.functions.promotion import as_value, broadcast, one_axis, promoted
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor


@dataclass(frozen=True)
class Selection:
    """A resolved index of a shape.

    A basic part first: `starts`, `lengths`, `steps` per axis of x, then `expanded`, the shape with
    None's axes put in. Then `advanced`: axes of that shape with the positions that index them,
    all of one shape; the axes of the positions go to `place` of the result. Last, `dropped`: axes
    of extent 1 that integers index.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    steps: tuple[int, ...]
    expanded: tuple[int, ...]
    dropped: tuple[int, ...]
    advanced: dict[int, Value]
    place: int

    @property
    def is_whole(self) -> bool:
        return all(s == 0 for s in self.starts) and all(s == 1 for s in self.steps)


def resolve(x: Value, index: Any) -> Selection:
    """Reads an index expression for x; raises IndexingError or TraceError where it has no form."""
    entries = _entries(index, len(x.shape))
    has_arrays = any(isinstance(e, (Value, np.ndarray)) for e in entries)
    starts, lengths, steps = [], [], []
    expanded: list[int] = []
    dropped: list[int] = []
    advanced: dict[int, Value] = {}
    order: list[int] = []
    axis = 0
    for number, entry in enumerate(entries):
        if entry is None:
            expanded.append(1)
            continue
        extent = x.shape[axis]
        start, length, step = 0, extent, 1
        if isinstance(entry, slice):
            start, length, step = _slice(entry, extent)
        elif isinstance(entry, (Value, np.ndarray)):
            advanced[len(expanded)] = _position(entry, extent, axis)
            order.append(number)
        else:
            start, length = _integer(entry, extent, axis), 1
            if has_arrays:
                advanced[len(expanded)] = ops.constant(np.int64(0))
                order.append(number)
            else:
                dropped.append(len(expanded))
        starts.append(start)
        lengths.append(length)
        steps.append(step)
        expanded.append(length)
        axis += 1
    together = order == list(range(order[0], order[0] + len(order))) if order else True
    place = next(iter(advanced), 0) if together else 0
    if advanced:
        values = broadcast("index", list(advanced.values()))
        advanced = dict(zip(advanced, values, strict=True))
    return Selection(
        tuple(starts),
        tuple(lengths),
        tuple(steps),
        tuple(expanded),
        tuple(dropped),
        advanced,
        place,
    )


def getitem(x: Any, index: Any) -> Tensor:
    """`x[index]` with NumPy's rules; positions in tensors that are out of range are clamped."""
    value = as_value(x)
    return Tensor(select(value, resolve(value, index)))


def select(x: Value, chosen: Selection) -> Value:
    """The elements that a selection names."""
    if chosen.lengths != x.shape or not chosen.is_whole:
        x = ops.slice(x, chosen.starts, chosen.lengths, chosen.steps)
    if not chosen.advanced:
        return ops.reshape(x, without(chosen.expanded, chosen.dropped))
    x = ops.reshape(x, chosen.expanded)
    indices = list(chosen.advanced.values())
    taken = ops.gather(ops.permute(x, to_front(tuple(chosen.advanced), len(x.shape))), indices)
    return ops.permute(taken, placed(len(indices[0].shape), len(taken.shape), chosen.place))


def without(shape: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for a, n in enumerate(shape) if a not in axes)


def to_front(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    return (*axes, *(a for a in range(ndim) if a not in axes))


def placed(count: int, ndim: int, place: int) -> tuple[int, ...]:
    """The order that moves the first `count` axes to start at `place`."""
    rest = range(count, ndim)
    return (*rest[:place], *range(count), *rest[place:])


def _entries(index: Any, ndim: int) -> list[Any]:
    """The index as a list of int, slice, None and Value entries, with `...` filled in."""
    entries: list[Any] = []
    ellipsis: int | None = None
    for entry in index if isinstance(index, tuple) else (index,):
        if entry is Ellipsis:
            if ellipsis is not None:
                raise IndexingError(located("an index has at most one `...`"))
            ellipsis = len(entries)
        elif entry is None or isinstance(entry, slice):
            entries.append(entry)
        elif isinstance(entry, (bool, np.bool_)):
            raise _mask()
        elif isinstance(entry, (int, np.integer)):
            entries.append(int(entry))
        else:
            entries.extend(_positions(entry))
    used = sum(e is not None for e in entries)
    if used > ndim:
        raise IndexingError(located(f"{used} indices for a tensor of {ndim} axes"))
    fill = [slice(None)] * (ndim - used)
    at = len(entries) if ellipsis is None else ellipsis
    return [*entries[:at], *fill, *entries[at:]]


def _positions(entry: Any) -> list[Value | np.ndarray]:
    """Advanced entries: integer tensors, arrays and lists; a NumPy mask stands for its nonzeros."""
    if isinstance(entry, (list, np.ndarray)) and not _has_tensor(entry):
        array = np.asarray(entry)
        if array.size == 0 and isinstance(entry, list):
            array = array.astype(np.int64)
        if array.dtype == np.bool_:
            return list(np.nonzero(array))
        if array.dtype.kind in "iu":
            return [array]
    try:
        value = as_value(entry)
    except TraceError:
        raise IndexingError(
            located(
                f"an index is made of integers, slices, None, `...` and integer tensors, "
                f"got {type(entry).__name__}"
            )
        ) from None
    if value.dtype.kind == "b":
        raise _mask()
    if not value.dtype.is_integer:
        raise IndexingError(located(f"an index of dtype {value.dtype}: integers required"))
    return [value]


def _has_tensor(entry: Any) -> bool:
    return isinstance(entry, list) and any(isinstance(e, Tensor) or _has_tensor(e) for e in entry)


def _mask() -> TraceError:
    return TraceError(
        located(
            "a boolean mask gives a shape that depends on data; write gx.where(mask, t, other), or"
            " sum with gx.where(mask, t, 0)"
        )
    )


def _slice(entry: slice, extent: int) -> tuple[int, int, int]:
    for bound in (entry.start, entry.stop, entry.step):
        if isinstance(bound, Tensor):
            raise TraceError(
                located(
                    "the bounds of a slice are static; with a tensor as start write "
                    "gx.dynamic_slice(t, starts, lengths)"
                )
            )
    try:
        start, stop, step = entry.indices(extent)
    except ValueError as error:
        raise IndexingError(located(str(error))) from None
    length = len(range(start, stop, step))
    return (start, length, step) if length else (0, 0, 1)


def _integer(entry: int, extent: int, axis: int) -> int:
    if not -extent <= entry < extent:
        raise IndexingError(
            located(f"index {entry} is out of range for axis {axis} of extent {extent}")
        )
    return entry % extent


def _position(entry: Value | np.ndarray, extent: int, axis: int) -> Value:
    """Positions along an axis; those of an array are known, so they are checked here."""
    if isinstance(entry, Value):
        return entry
    if entry.size and not (-extent <= entry.min() and entry.max() < extent):
        raise IndexingError(
            located(
                f"positions {entry.min()} … {entry.max()} are out of range for axis {axis} of"
                f" extent {extent}"
            )
        )
    return from_array(entry)


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Tensor:
    """The parts of x at integer positions along `axis` (needed unless x is 1-D)."""
    value = as_value(x)
    if axis is None:
        if len(value.shape) != 1:
            raise ShapeError(located(f"take({value.type}): axis required"))
        axis = 0
    a = one_axis(axis, len(value.shape), "take")
    if not isinstance(indices, np.ndarray):
        indices = as_tensor_index(indices)
    return getitem(x, (slice(None),) * a + (indices,))


def as_tensor_index(indices: Any) -> Tensor:
    value = as_value(indices)
    if not value.dtype.is_integer:
        raise DTypeError(located(f"integer indices required, got {value.type}"))
    return Tensor(value)


def take_along_axis(x: Any, indices: Any, /, axis: int = -1) -> Tensor:
    """out[…, k, …] = x[…, indices[…, k, …], …]: the other axes of both broadcast."""
    value, at = as_value(x), as_tensor_index(indices).value
    ndim = len(value.shape)
    if len(at.shape) != ndim:
        raise ShapeError(
            located(f"take_along_axis({value.type}, {at.type}): equal numbers of axes required")
        )
    a = one_axis(axis, ndim, "take_along_axis")
    rest = without(value.shape, [a]), without(at.shape, [a])
    try:
        common = list(np.broadcast_shapes(*rest))
    except ValueError:
        raise ShapeError(
            located(f"take_along_axis({value.type}, {at.type}): other axes do not broadcast")
        ) from None
    common.insert(a, at.shape[a])
    at = ops.broadcast(at, tuple(common))
    common[a] = value.shape[a]
    value = ops.broadcast(value, tuple(common))
    if at.shape[a] == 1:
        # One element of each line: an operator whose derivative is a comparison, not a scatter.
        last = (*(k for k in range(ndim) if k != a), a)
        label = ops.reshape(at, without(at.shape, [a]))
        return Tensor(ops.reshape(ops.pick(ops.permute(value, last), label), at.shape))
    return Tensor(ops.take_along_axis(value, at, a))


def scatter_add(x: Any, indices: Any, updates: Any, axis: int = 0) -> Tensor:
    """x with `updates` added at integer positions along `axis`, in order, so that equal positions
    accumulate deterministically: `x[…, indices[i…], …] += updates[…, i…, …]`.
    """
    value, new = promoted("scatter_add", x, updates)
    a = one_axis(axis, len(value.shape), "scatter_add")
    return Tensor(value).at[(slice(None),) * a + (as_tensor_index(indices),)].add(Tensor(new))
