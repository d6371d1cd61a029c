"""Dead code inside of operators that own graphs.

Law: what an operator with a graph of its own computes and nobody reads can be left out, and so can
what only that needs; a constant that it is given may stand inside.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.graph import Graph, Node, Value, standing_in_for


def narrow(graph: Graph) -> Graph:
    """Operators with graphs of their own that compute what is read and no more. The graph itself
    if they do.
    """
    returned = set(graph.outputs)

    def rewrite(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node.op.narrowed is None:
            return None
        used = [v in returned or v in graph.uses for v in node.outputs]
        with standing_in_for(node):
            found = node.op.narrowed(inputs, used)
        if found is None:
            return None
        return [old if new is None else new for old, new in zip(node.outputs, found, strict=True)]

    return graph.map(rewrite)
