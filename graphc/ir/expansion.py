"""Operators replaced by the graph of others that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.ir.graph import Graph, Input, Node, Value, standing_in_for
from graphc.ir.spec import Decomposed


def expanded(
    graph: Graph, kind: type[Decomposed], kept: Callable[[Node], bool] = lambda node: False
) -> Graph:
    """Every node whose declaration is of a kind as what that builds of its operands, also inside of
    other expansions, but for those that are `kept`. The graph itself if there is none.
    """

    def expansion(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        spec = None if isinstance(node.op, Input) else node.op.spec(*[v.type for v in inputs])
        if not isinstance(spec, kind) or kept(node):
            return None
        with standing_in_for(node):
            return spec.build(*inputs)

    while True:
        after = graph.map(expansion)
        if after is graph:
            return graph
        graph = after
