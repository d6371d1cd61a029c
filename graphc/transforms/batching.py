"""vmap: a function of single examples applied to a batch, by the operators' batching rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from graphc import ops, tree
from graphc.autodiff.batching import batched_values
from graphc.errors import ShapeError, TraceError
from graphc.functions.promotion import as_value, one_axis
from graphc.functions.required import function
from graphc.ir.graph import Value, new_input
from graphc.ir.site import located
from graphc.tensor import Tensor


def vmap(fn: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function that applies fn to every slice of its arguments at once.

    `in_axes` says which axis of each argument is the batch: an integer, None for an argument that
    all slices share, or a tuple with one entry per argument, which may be a pytree. `out_axes`
    says the same of the results. fn may close over tensors; they are shared. The result is
    ordinary graph: it can be differentiated, and vmap of a derivative is a batched derivative.
    """

    function(fn, "vmap")

    @wraps(fn)
    def batched(*args: Any) -> Any:
        leaves, treedef = tree.flatten(args)
        axes = _per_leaf(in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args), treedef)
        own = list(leaves)
        batch: dict[Value, Value] = {}
        for k, axis in enumerate(axes):
            if axis is not None:
                whole = _axis_first(as_value(leaves[k]), axis)
                example = new_input("vmap", whole.type.with_shape(whole.shape[1:]))
                batch[example] = whole
                own[k] = Tensor(example)
        size = _common_size(list(batch.values()))
        results, out_tree = tree.flatten(fn(*tree.unflatten(treedef, own)))
        values = batched_values([as_value(r) for r in results], batch, size)
        places = _per_leaf(out_axes, out_tree)
        moved = [
            _axis_at(value, has, place, size)
            for (value, has), place in zip(values, places, strict=True)
        ]
        return tree.unflatten(out_tree, moved)

    return batched


def _per_leaf(axes: Any, treedef: tree.TreeSpec) -> list[int | None]:
    try:
        found = tree.broadcast_prefix(axes, treedef)
    except ValueError as error:
        raise TraceError(located(f"vmap: {error}")) from None
    for axis in found:
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int)):
            raise TraceError(located(f"vmap: an axis is an integer or None, got {axis!r}"))
    return found


def _common_size(batch: Sequence[Value]) -> int:
    sizes = {v.shape[0] for v in batch}
    if len(sizes) != 1:
        required = "one argument with a batch axis" if not sizes else "equal batch axes"
        raise ShapeError(located(f"vmap: {required} required, got sizes {sorted(sizes)}"))
    return sizes.pop()


def _axis_first(value: Value, axis: int) -> Value:
    a = one_axis(axis, len(value.shape), "vmap")
    rest = [k for k in range(len(value.shape)) if k != a]
    return ops.permute(value, (a, *rest))


def _axis_at(value: Value, has: bool, place: int | None, size: int) -> Tensor:
    """A result with its batch axis where it is wanted; None: a result that has none."""
    if place is None:
        if has:
            raise ShapeError(located("vmap: out_axes is None for a result that has a batch axis"))
        return Tensor(value)
    if not has:
        value = ops.broadcast(value, (size, *value.shape))
    ndim = len(value.shape)
    at = one_axis(place, ndim, "vmap")
    order = list(range(1, ndim))
    order.insert(at, 0)
    return Tensor(ops.permute(value, tuple(order)))
