"""Batching: a graph of single examples applied to a batch, by the operators' batching rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc import ops
from graphc.errors import TraceError
from graphc.ir.graph import Node, Value, standing_in_for
from graphc.ir.toposort import toposort


def batched_values(
    outputs: Sequence[Value], batch: Mapping[Value, Value], size: int
) -> list[tuple[Value, bool]]:
    """`outputs` computed again with the keys of `batch` replaced by its values, which have a new
    leading axis of `size`; and whether each result has that axis.
    """
    new: dict[Value, tuple[Value, bool]] = {old: (value, True) for old, value in batch.items()}
    refused: list[Node] = []
    for node in toposort(outputs, since=min((v.node.serial for v in batch), default=0)):
        if not any(v in new for v in node.inputs):
            continue
        inputs = [new.get(v, (v, False)) for v in node.inputs]
        with standing_in_for(node):
            if node.op.batch is None:
                refused.append(node)
                results: Sequence[Value] = [
                    ops.broadcast(ops.zeros_like(v), (size, *v.shape)) for v in node.outputs
                ]
                has: Sequence[bool] = (True,) * len(results)
            else:
                results, has = node.op.batch(
                    size, [v for v, _ in inputs], tuple(h for _, h in inputs)
                )
        new.update(zip(node.outputs, zip(results, has, strict=True), strict=True))
    if refused:
        names = dict.fromkeys(f"{n.op.name} ({n.meta.site})" for n in refused)
        raise TraceError(f"vmap: no batching rule for {', '.join(names)}")
    return [new.get(v, (v, False)) for v in outputs]
