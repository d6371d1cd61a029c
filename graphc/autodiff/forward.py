"""Forward mode: from the tangents of any values to those of the outputs."""

from __future__ import annotations

from collections.abc import Sequence

from graphc import ops
from graphc.autodiff.reverse import no_rules, paths
from graphc.ir.graph import Node, Value, derived_from


def jvp(
    outputs: Sequence[Value], wrt: Sequence[Value], tangents: Sequence[Value | None]
) -> list[Value | None]:
    """The tangent of each output when every value of `wrt` moves by its tangent; None where it
    does not move. Raises one NotDifferentiableError for all operators on a path without a rule.
    """
    path, _ = paths(outputs, wrt)
    moved: dict[Value, Value] = {}

    def move(value: Value, tangent: Value | None) -> None:
        if tangent is not None and value.dtype.is_float:
            before = moved.get(value)
            moved[value] = tangent if before is None else ops.add(before, tangent)

    for value, tangent in zip(wrt, tangents, strict=True):
        move(value, tangent)
    refused: list[Node] = []
    for node in path:
        arriving = [moved.get(v) for v in node.inputs]
        if all(t is None for t in arriving):
            continue
        with derived_from(node):
            if node.op.jvp is None:
                refused.append(node)
                leaving: Sequence[Value | None] = [ops.zeros_like(v) for v in node.outputs]
            else:
                leaving = node.op.jvp(node, *arriving)
            for value, tangent in zip(node.outputs, leaving, strict=True):
                move(value, tangent)
    if refused:
        raise no_rules(refused)
    return [moved.get(v) for v in outputs]
