"""microbatch: a loss over a batch in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from graphc import ops, tree
from graphc.autodiff import reverse
from graphc.dtypes import DType
from graphc.errors import ShapeError, TraceError
from graphc.functions.promotion import as_tensor, as_value
from graphc.ir.graph import Value, apply, new_input, next_serial
from graphc.ir.site import located
from graphc.ir.toposort import toposort
from graphc.tensor import Tensor
from graphc.transforms.control import scan
from graphc.transforms.custom import CustomVjp


def microbatch(loss_fn: Callable[..., Any], n: int) -> Callable[..., Tensor]:
    """`loss_fn(params, *batch)`, computed for n parts of the batch one after the other.

    loss_fn gives a scalar, the mean over its batch; the arguments behind the first are pytrees of
    arrays whose first axis is the batch, a multiple of n. The result is the mean of the n losses.
    Each part's gradient is computed together with its loss, in one loop that accumulates both, so
    activations of one part alone are in memory at a time and nothing is computed twice. Gradients
    are by params, by the batch and by tensors that loss_fn closes over.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise TraceError(located(f"microbatch: a number of parts >= 1 required, got {n!r}"))

    @wraps(loss_fn)
    def whole(params: Any, *batch: Any) -> Tensor:
        leaves, treedef = tree.flatten(batch)
        arrays = [as_value(leaf) for leaf in leaves]
        parts = [_in_parts(v, n) for v in arrays]

        def loss(values: Sequence[Value]) -> Value:
            y = as_tensor(loss_fn(params, *tree.unflatten(treedef, [Tensor(v) for v in values])))
            if y.shape != () or not y.dtype.is_float:
                raise ShapeError(located(f"microbatch: loss_fn gives a scalar, got {y.type}"))
            return ops.multiply(y.value, 1 / n)

        shared, dtype = _closed_over(loss, parts)
        moving = [k for k, v in enumerate(arrays) if v.dtype.is_float]

        def step(totals: Any, values: Any) -> Any:
            own = [v.value for v in values]
            y = loss(own)
            by = [*shared, *[own[k] for k in moving]]
            found = reverse.grad([y], by, [ops.full_like(y, 1)])
            grads = [ops.zeros_like(v) if g is None else g for g, v in zip(found, by, strict=True)]
            count = len(shared)
            sums = [
                Tensor(ops.add(t.value, g))
                for t, g in zip(totals, [y, *grads[:count]], strict=True)
            ]
            return sums, [Tensor(g) for g in grads[count:]]

        totals = [Tensor(ops.full((), 0, dtype)), *[Tensor(ops.zeros_like(v)) for v in shared]]
        sums, rows = scan(step, totals, [Tensor(v) for v in parts])
        total, *saved = [t.value for t in sums]
        saved += [ops.reshape(r.value, arrays[k].shape) for r, k in zip(rows, moving, strict=True)]
        op = CustomVjp(getattr(loss_fn, "__name__", "loss"), 1, len(saved), _scaled)
        return Tensor(apply(op, total, *saved, *shared, *[arrays[k] for k in moving])[0])

    return whole


def _scaled(saved: Sequence[Value], seeds: Sequence[Value]) -> list[Value | None]:
    """The gradients that were computed with the loss, times the cotangent that arrives at it."""
    (g,) = seeds
    return [ops.multiply(ops.astype(ops.broadcast(g, v.shape), v.dtype), v) for v in saved]


def _in_parts(value: Value, n: int) -> Value:
    if not value.shape or value.shape[0] % n:
        raise ShapeError(
            located(f"microbatch: a batch that is a multiple of {n} required, got {value.type}")
        )
    return ops.reshape(value, (n, value.shape[0] // n, *value.shape[1:]))


def _closed_over(
    loss: Callable[[Sequence[Value]], Value], parts: Sequence[Value]
) -> tuple[list[Value], DType]:
    """The float tensors from outside that the loss of one part needs, and the dtype of the loss."""
    begin = next_serial()
    y = loss([new_input("microbatch", v.type.with_shape(v.shape[1:])) for v in parts])
    outside = {
        v: None
        for node in toposort([y], since=begin)
        for v in node.inputs
        if v.node.serial < begin and v.dtype.is_float
    }
    return list(outside), y.dtype
