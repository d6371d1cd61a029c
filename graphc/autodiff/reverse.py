"""Reverse mode: from the cotangents of outputs to those of any values before them."""

from __future__ import annotations

from collections.abc import Sequence

from graphc import ops
from graphc.errors import NotDifferentiableError
from graphc.ir.graph import Node, Value, derived_from
from graphc.ir.toposort import toposort


def grad(
    outputs: Sequence[Value], wrt: Sequence[Value], cotangents: Sequence[Value]
) -> list[Value | None]:
    """The cotangent of each value of `wrt` (inputs or intermediates); None where no float path
    leads from it to an output.

    Only nodes on a path from `wrt` to an output are visited, each once, latest first.
    Contributions to one value add up in that order, so the result is a function of the graph
    alone. What is made here is ordinary graph and can be differentiated again. Raises one
    NotDifferentiableError for all operators on a path that have no rule.
    """
    path, moving = paths(outputs, wrt)
    total: dict[Value, Value] = {}

    def contribute(value: Value, cotangent: Value | None) -> None:
        if cotangent is not None and value in moving:
            before = total.get(value)
            total[value] = cotangent if before is None else ops.add(before, cotangent)
            mark = total[value].node.meta
            if mark.rule is not None and mark.gradient_of is None and value.index == 0:
                mark.gradient_of = value.node.meta

    for value, seed in zip(outputs, cotangents, strict=True):
        contribute(value, seed)
    kept = set(wrt)
    refused: list[Node] = []
    for node in reversed(path):
        if not any(v in total for v in node.outputs):
            continue
        with derived_from(node):
            if node.op.vjp is None:
                refused.append(node)
                # The search goes on, so that one error names every operator.
                contributions: Sequence[Value | None] = [ops.zeros_like(v) for v in node.inputs]
            else:
                contributions = node.op.vjp(node, *[_filled(v, total) for v in node.outputs])
            for value, cotangent in zip(node.inputs, contributions, strict=True):
                contribute(value, cotangent)
        for value in node.outputs:
            if value not in kept:
                total.pop(value, None)
    if refused:
        raise no_rules(refused)
    return [total.get(v) for v in wrt]


def paths(outputs: Sequence[Value], wrt: Sequence[Value]) -> tuple[list[Node], set[Value]]:
    """The nodes, in order, through which a float value of `wrt` reaches an output, and all float
    values that move with it.
    """
    moving = {v for v in wrt if v.dtype.is_float}
    path = []
    for node in toposort(outputs, since=min((v.node.serial for v in moving), default=0)):
        if any(v in moving for v in node.inputs):
            path.append(node)
            moving.update(v for v in node.outputs if v.dtype.is_float)
    return path, moving


def no_rules(nodes: Sequence[Node]) -> NotDifferentiableError:
    """One error for every operator without a derivative rule, in the order of the program."""
    ordered = sorted(nodes, key=lambda n: n.serial)
    lines = [f"{n.op.name} ({n.meta.site})" if n.meta.site else n.op.name for n in ordered]
    return NotDifferentiableError(
        "no derivative rule for " + ", ".join(dict.fromkeys(lines)),
        dict.fromkeys(n.op.name for n in ordered),
    )


def _filled(value: Value, total: dict[Value, Value]) -> Value | None:
    """The cotangent of one result: zeros where nothing depends on it, None for integers."""
    found = total.get(value)
    return ops.zeros_like(value) if found is None and value.dtype.is_float else found
