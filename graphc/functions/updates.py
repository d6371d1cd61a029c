"""`t.at[index]`: copies of a tensor with some elements changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.dtypes import bool_
from graphc.errors import ShapeError
from graphc.functions.indexing import Selection, getitem, placed, resolve, to_front, without
from graphc.functions.promotion import WEAK, as_value, promote
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor


class At:
    """`t.at`: index it, then say what to do there."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __getitem__(self, index: Any) -> Update:
        return Update(self.tensor, index)


class Update:
    """`t.at[index]`: each method gives a changed copy. Values broadcast to the indexed shape and
    keep the tensor's dtype; where an index names a position twice, `set` keeps the last value and
    the others apply one after another.
    """

    __slots__ = ("index", "tensor")

    def __init__(self, tensor: Tensor, index: Any) -> None:
        self.tensor = tensor
        self.index = index

    def get(self) -> Tensor:
        return getitem(self.tensor, self.index)

    def set(self, values: Any) -> Tensor:
        """The elements replaced by `values`."""
        return self._changed(values, lambda old, new: new, ops.scatter_set)

    def add(self, values: Any) -> Tensor:
        """`values` added to the elements."""
        return self._changed(values, ops.add, ops.scatter_add)

    def multiply(self, values: Any) -> Tensor:
        """The elements multiplied by `values`."""
        return self._changed(values, ops.multiply, ops.scatter_multiply)

    def min(self, values: Any) -> Tensor:
        """The smaller of the elements and `values`."""
        return self._changed(values, ops.minimum, ops.scatter_min)

    def max(self, values: Any) -> Tensor:
        """The larger of the elements and `values`."""
        return self._changed(values, ops.maximum, ops.scatter_max)

    def _changed(
        self,
        values: Any,
        combine: Callable[[Value, Value], Value],
        scatter: Callable[[Value, Value, list[Value]], Value],
    ) -> Tensor:
        x = self.tensor.value
        chosen = resolve(x, self.index)
        new = _fitting(values, x)
        whole = chosen.is_whole and chosen.lengths == x.shape
        part = x if whole else ops.slice(x, chosen.starts, chosen.lengths, chosen.steps)
        part = ops.reshape(part, chosen.expanded)
        if chosen.advanced:
            part = _scattered(part, new, chosen, scatter)
        else:
            new = _spread(new, without(chosen.expanded, chosen.dropped))
            part = combine(part, ops.reshape(new, chosen.expanded))
        part = ops.reshape(part, chosen.lengths)
        if whole:
            return Tensor(part)
        placed_part = ops.unslice(part, x.shape, chosen.starts, chosen.steps)
        inside = ops.unslice(
            ops.full(chosen.lengths, True, bool_), x.shape, chosen.starts, chosen.steps
        )
        return Tensor(ops.where(inside, placed_part, x))


def _scattered(
    part: Value,
    new: Value,
    chosen: Selection,
    scatter: Callable[[Value, Value, list[Value]], Value],
) -> Value:
    """The indexed axes moved to the front, changed there, and moved back."""
    indices = list(chosen.advanced.values())
    count, order = len(indices[0].shape), to_front(tuple(chosen.advanced), len(part.shape))
    moved = ops.permute(part, order)
    rest = moved.shape[len(indices) :]
    out = placed(count, count + len(rest), chosen.place)
    front = indices[0].shape + rest
    new = _spread(new, tuple(front[a] for a in out))
    changed = scatter(moved, ops.permute(new, inverse(out)), indices)
    return ops.permute(changed, inverse(order))


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes one."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _fitting(values: Any, x: Value) -> Value:
    """The new values in the dtype of the tensor that they go into."""
    new = as_value(values, x.dtype) if isinstance(values, WEAK) else as_value(values)
    promote(x.dtype, new.dtype, "at")
    return ops.astype(new, x.dtype)


def _spread(new: Value, shape: tuple[int, ...]) -> Value:
    try:
        fits = np.broadcast_shapes(new.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(located(f"at: values of shape {new.shape} do not broadcast to {shape}"))
    return ops.broadcast(new, shape)
