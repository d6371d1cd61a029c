"""Padding, and windows at positions that are tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.dtypes import bool_, int64
from graphc.errors import DTypeError, ShapeError
from graphc.functions.promotion import (
    WEAK,
    as_value,
    promote,
    scalar,
    several,
    whole,
)
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor

_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    """x with more elements before and after along each axis. `pad_width` is a number, a pair
    (before, after), or a pair per axis; modes are NumPy's constant, edge, reflect, symmetric and
    wrap. `constant_values` is a number or 0-d tensor, or has the forms of `pad_width`.
    """
    value = as_value(x)
    widths = _widths(pad_width, len(value.shape))
    if mode not in _MODES:
        raise ShapeError(located(f"pad: mode is one of {', '.join(_MODES)}, got {mode!r}"))
    if mode == "constant":
        return Tensor(_filled(value, widths, constant_values))
    for axis, (before, after) in enumerate(widths):
        if before or after:
            value = _extended(value, axis, before, after, mode)
    return Tensor(value)


def _filled(x: Value, widths: Sequence[tuple[int, int]], fill: Any) -> Value:
    """With constants around it: one everywhere, or a pair per axis, where later axes take the
    corners.
    """
    if isinstance(fill, (tuple, list)):
        pairs = np.broadcast_to(np.asarray(fill), (len(widths), 2))
        none = [(0, 0)] * len(widths)
        for axis, (before, after) in enumerate(widths):
            rest = none[axis + 1 :]
            first, last = pairs[axis]
            x = _filled(x, [*none[:axis], (before, 0), *rest], first)
            x = _filled(x, [*none[:axis], (0, after), *rest], last)
        return x
    if x.dtype is bool_ and isinstance(fill, (int, np.integer)):
        # 0 is the default, and means false among truth values.
        fill = bool(fill)
    number = scalar(fill, x.dtype) if isinstance(fill, WEAK) else as_value(fill)
    promote(x.dtype, number.dtype, "pad")
    shape = tuple(b + n + a for n, (b, a) in zip(x.shape, widths, strict=True))
    return ops.pad(x, ops.astype(number, x.dtype), shape, tuple(b for b, _ in widths))


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (ndim, 2))
    except ValueError:
        raise ShapeError(located(f"pad: widths {pad_width!r} do not fit {ndim} axes")) from None
    if widths.size and (widths.dtype.kind not in "iu" or widths.min() < 0):
        raise ShapeError(located(f"pad: widths are integers >= 0, got {pad_width!r}"))
    return [(int(b), int(a)) for b, a in widths]


def _extended(x: Value, axis: int, before: int, after: int, mode: str) -> Value:
    """Along one axis: the positions that NumPy's mode copies fall into runs that are slices."""
    if x.shape[axis] == 0:
        raise ShapeError(located(f"pad({x.type}): axis {axis} has nothing to copy from"))
    at = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
    parts = []
    first = 0
    while first < len(at):
        end = first + 1
        step = int(at[end] - at[first]) if end < len(at) else 1
        while end < len(at) and at[end] - at[end - 1] == step and abs(step) <= 1:
            end += 1
        parts.append(_run(x, axis, int(at[first]), end - first, step))
        first = end
    return ops.concat(parts, axis)


def _run(x: Value, axis: int, start: int, length: int, step: int) -> Value:
    """`length` elements along an axis; a step of 0 repeats one."""
    ndim = len(x.shape)

    def along(value: int, others: Sequence[int]) -> tuple[int, ...]:
        return tuple(value if a == axis else others[a] for a in range(ndim))

    taken = length if step else 1
    zeros, ones = (0,) * ndim, (1,) * ndim
    part = ops.slice(x, along(start, zeros), along(taken, x.shape), along(step or 1, ones))
    return ops.broadcast(part, along(length, x.shape), tuple(range(ndim)))


def dynamic_slice(x: Any, starts: Sequence[Any], lengths: Sequence[int]) -> Tensor:
    """A window of static size at positions that are integers or 0-d integer tensors; a window that
    would leave x is moved inside.
    """
    value = as_value(x)
    for axis, positions in enumerate(_windows(value, starts, lengths, "dynamic_slice")):
        if positions is not None:
            ndim = len(value.shape)
            order = (axis, *(a for a in range(ndim) if a != axis))
            taken = ops.gather(ops.permute(value, order), [positions])
            value = ops.permute(taken, (*range(1, axis + 1), 0, *range(axis + 1, ndim)))
    return Tensor(value)


def dynamic_update_slice(x: Any, update: Any, starts: Sequence[Any]) -> Tensor:
    """x with a window replaced by `update`; positions as in `dynamic_slice`."""
    value, new = as_value(x), as_value(update)
    windows = _windows(value, starts, new.shape, "dynamic_update_slice")
    if all(positions is None for positions in windows):
        return Tensor(ops.astype(new, value.dtype))
    # Every axis is indexed, so that the places of the update's axes do not depend on which move.
    index = []
    for axis, positions in enumerate(windows):
        at = ops.iota((value.shape[axis],), 0) if positions is None else positions
        index.append(Tensor(ops.broadcast(at, new.shape, (axis,))))
    return Tensor(value).at[tuple(index)].set(Tensor(new))


def _windows(
    x: Value, starts: Sequence[Any], lengths: Sequence[int], name: str
) -> list[Value | None]:
    """Per axis the positions of the window, None where it is the whole axis."""
    starts = several(starts, name, "one start per axis")
    lengths = [whole(n, name, "a length", 0) for n in several(lengths, name, "one length per axis")]
    if len(starts) != len(x.shape) or len(lengths) != len(x.shape):
        raise ShapeError(located(f"{name}({x.type}): one start and length per axis required"))
    windows: list[Value | None] = []
    for start, length, extent in zip(starts, lengths, x.shape, strict=True):
        if length > extent:
            raise ShapeError(located(f"{name}({x.type}): a window of {length} does not fit"))
        at = as_value(start)
        if not at.dtype.is_integer or at.shape != ():
            raise DTypeError(located(f"{name}: 0-d integer starts required, got {at.type}"))
        if length == extent:
            windows.append(None)
            continue
        inside = ops.clip(ops.astype(at, int64), 0, extent - length)
        windows.append(ops.add(ops.broadcast(inside, (length,)), ops.iota((length,), 0)))
    return windows
