"""Which nodes are forward, backward and update."""

from __future__ import annotations

from enum import Enum

from graphc.ir.graph import Graph, Node


class Phase(Enum):
    FORWARD = "forward"
    BACKWARD = "backward"
    UPDATE = "update"


def phases(graph: Graph) -> dict[Node, Phase]:
    """The phase of every node.

    Forward is everything that some derivative was taken of, and what that needs; with derivatives
    of derivatives, the inner ones are forward. Other nodes that a derivative rule made are
    backward, but for those that are computed early, and so is what is computed again for them; the
    user's own that use them are the update. Without any derivative all is forward.
    """
    rules = {n.meta.rule.meta for n in graph.nodes if n.meta.rule is not None}
    forward: set[Node] = set()
    for node in reversed(graph.nodes):
        if node.meta in rules or node in forward:
            forward.add(node)
            forward.update(v.node for v in node.inputs)
    result: dict[Node, Phase] = {}
    for node in graph.nodes:
        late = any(result[v.node] is not Phase.FORWARD for v in node.inputs)
        if node in forward or node.meta.early is not None:
            result[node] = Phase.FORWARD
        elif node.meta.rule is not None or node.meta.clone:
            result[node] = Phase.BACKWARD
        else:
            result[node] = Phase.UPDATE if late else Phase.FORWARD
    return result
