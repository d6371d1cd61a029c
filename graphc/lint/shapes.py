"""Shapes that fit by accident, and labels that fit no class."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.ir.graph import Node, Value
from graphc.lint.finding import Subject, behind
from graphc.ops.arithmetic import Multiply, Subtract
from graphc.ops.indexing import Gather, Pick
from graphc.ops.reduction import Sum
from graphc.ops.shape import Broadcast


def outer_difference(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """(n,) against (n, 1) is (n, n): a loss then compares every prediction with every target."""
    for node in subject.nodes(Subtract, Multiply):
        flat, column = _spread(node.inputs[0]), _spread(node.inputs[1])
        if flat is None or column is None:
            continue
        shapes = {flat.shape, column.shape}
        n = node.types[0].shape[-1]
        alike = behind(flat) is behind(column)
        if shapes == {(n,), (n, 1)} and n > 1 and not alike and _is_summed(subject, node):
            yield (
                node,
                f"[{n}] and [{n}, 1] broadcast to [{n}, {n}]: every element meets every other one",
                "make both one shape: prediction[:, 0], or target[:, None]",
            )


def label_out_of_range(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """Constant labels or indices beyond the axis that they choose from."""
    for node in subject.nodes(Pick, Gather):
        if isinstance(node.op, Gather):
            first = node.op.batches
            extents = node.inputs[0].shape[first : first + node.op.count]
        else:
            extents = node.inputs[0].shape[-1:]
        for extent, index in zip(extents, node.inputs[1:], strict=True):
            labels = behind(index).node.op.literal
            if labels is None or not labels.size:
                continue
            least, most = int(labels.min()), int(labels.max())
            if most >= extent or least < -extent:
                wrong = most if most >= extent else least
                yield (
                    node,
                    f"index {wrong} is outside an axis of {extent}; it is moved to the nearest one",
                    f"labels count from 0: use 0…{extent - 1}, or give the axis more classes",
                )


def _spread(value: Value) -> Value | None:
    """What a broadcast spreads."""
    return value.node.inputs[0] if isinstance(value.node.op, Broadcast) else None


def _is_summed(subject: Subject, node: Node) -> bool:
    """Whether elementwise operators lead from a node to a sum over all of its axes."""
    shape = node.types[0].shape
    stack, seen = [node], {node}
    while stack:
        for value in stack.pop().outputs:
            for reader in subject.graph.uses.get(value, ()):
                if isinstance(reader.op, Sum) and len(reader.op.axes) == len(shape):
                    return True
                if reader.types[0].shape == shape and reader not in seen:
                    seen.add(reader)
                    stack.append(reader)
    return False
