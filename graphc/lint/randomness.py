"""Randomness where there should be none."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.ir.graph import Node, Value
from graphc.lint.finding import Subject, number
from graphc.ops.logic import Where
from graphc.ops.random import RandomBits


def dropout_at_inference(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """Elements that are set to zero at random in a step that takes no gradient."""
    if subject.differentiated:
        return
    for node in subject.nodes(Where):
        condition, kept, dropped = node.inputs
        if number(dropped) == 0 and number(kept) is None and _is_random(condition):
            yield (
                node,
                "elements are dropped at random, but no gradient is taken: dropout at inference",
                "nn.dropout(x, rate, key, training=False)",
            )


def _is_random(condition: Value) -> bool:
    """Whether a truth value depends on random bits."""
    stack, seen = [condition.node], {condition.node}
    while stack:
        node = stack.pop()
        if isinstance(node.op, RandomBits):
            return True
        fresh = [v.node for v in node.inputs if v.node not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    return False
