"""Expansion of macro operators.

Law: a node whose declaration is `Expand` equals the graph that it builds of its operands. The
operator existed for a derivative better than that of its parts, and every derivative is taken now.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.graph import Graph, Node, Value, standing_in_for
from graphc.ir.spec import Expand


def expand(graph: Graph) -> Graph:
    """Macro operators replaced by what they stand for, also inside other expansions. The graph
    itself if there is none.
    """
    while True:
        expanded = graph.map(_expansion)
        if expanded is graph:
            return graph
        graph = expanded


def _expansion(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
    spec = node.op.spec(*[v.type for v in inputs])
    if not isinstance(spec, Expand):
        return None
    with standing_in_for(node):
        return spec.build(*inputs)
