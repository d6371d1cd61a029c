"""Joining of operators that own graphs.

Law: two operators on the same operands whose graphs share what they repeat (the carries of a loop,
the predicate of a branch) are one operator with the results of both. A derivative asks a loop for
more results than the user did; this makes one loop of the two.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from graphc.ir.graph import Graph, Node, Value, apply, standing_in_for


def join(graph: Graph) -> Graph:
    """One node, in the place of the first, for each set of nodes that can be joined. The graph
    itself if there is none.
    """
    sets = _sets(graph)
    if not sets:
        return graph
    results: dict[Node, Sequence[Value]] = {}

    def rewrite(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node in results:
            return results[node]
        members = sets.get(node)
        if members is None:
            return None
        op, positions = node.op, []
        for other in members:
            found = op.joined(other.op) if op.joined is not None else None
            assert found is not None
            op, places = found
            positions.append(places)
        with standing_in_for(node):
            made = apply(op, *inputs)
        for other, places in zip(members, positions, strict=True):
            results[other] = [made[k] for k in places]
        return made[: len(node.outputs)]

    return graph.map(rewrite)


def _sets(graph: Graph) -> dict[Node, list[Node]]:
    """For the first node of each set the others."""
    alike: dict[Hashable, list[Node]] = {}
    for node in graph.nodes:
        if node.op.joined is not None:
            alike.setdefault((type(node.op), node.inputs, node.meta.clone), []).append(node)
    sets: dict[Node, list[Node]] = {}
    for nodes in alike.values():
        while len(nodes) > 1:
            first, *others = nodes
            members = [n for n in others if first.op.joined(n.op) is not None]  # type: ignore[misc]
            if members:
                sets[first] = members
            nodes = [n for n in others if n not in members]
    return sets
