"""Operators replaced by the graph of others that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.ir.graph import Graph, Input, Node, Op, Value, standing_in_for
from graphc.ir.spec import Decomposed


def expanded(
    graph: Graph, kind: type[Decomposed], stays: Callable[[Op], bool] = lambda op: False
) -> Graph:
    """Every node whose declaration is of a kind, but for operators that stay, as what that builds
    of its operands, also inside of other expansions. The graph itself if there is none.
    """

    def expansion(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if isinstance(node.op, Input) or stays(node.op):
            return None
        spec = node.op.spec(*[v.type for v in inputs])
        if not isinstance(spec, kind):
            return None
        with standing_in_for(node):
            return spec.build(*inputs)

    while True:
        after = graph.map(expansion)
        if after is graph:
            return graph
        graph = after
