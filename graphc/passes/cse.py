"""Common subexpressions.

Law: a pure operator is a function of its inputs, so equal operators on equal inputs give equal
results, and one node serves all. Operands of a commutative operator may stand in either order.

Hazards: recomputed copies must not be merged with their originals, or rematerialization would be
undone, so the mark of a clone is part of the key. Constants are equal when their bits are, which is
what equality of their operators means: 0.0 is not -0.0, 1 is not True.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from graphc.ir.graph import Graph, Node, Value


def cse(graph: Graph) -> Graph:
    """Keeps the first of each set of equal nodes. The graph itself if all differ."""
    first: dict[Hashable, Node] = {}

    def rewrite(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if not node.op.pure:
            return None
        key: Hashable = inputs
        if node.op.commutative and len(inputs) == 2:
            key = frozenset(inputs)
        same = first.setdefault((type(node.op), node.op, key, node.meta.clone), node)
        return None if same is node else same.outputs

    return graph.map(rewrite)
