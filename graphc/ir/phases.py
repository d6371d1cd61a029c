"""Which nodes are forward, backward and update."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from graphc.ir.graph import Graph, Node
from graphc.ir.once import once


class Phase(Enum):
    FORWARD = "forward"
    BACKWARD = "backward"
    UPDATE = "update"


@once
def phases(graph: Graph) -> Mapping[Node, Phase]:
    """The phase of every node.

    Forward is everything that some derivative was taken of, as written or as a pass made it anew,
    and what that needs; with derivatives of derivatives, the inner ones are forward. Other nodes
    that a derivative rule made are backward, but for those that are computed early, and so is what
    is computed again for them; the user's own that use them are the update. Without any derivative
    all is forward.
    """
    derived = {n.meta.rule.meta for n in graph.nodes if n.meta.rule is not None}
    forward: set[Node] = set()
    for node in reversed(graph.nodes):
        # A copy, computed again for the backward pass, stands for the same node as its original.
        seed = node.meta in derived or node.written.meta in derived
        if node in forward or (seed and not node.meta.clone):
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
    # What is there for the update alone: decayed moments, the corrections of their biases.
    for node in reversed(graph.nodes):
        if result[node] is Phase.FORWARD and node.inputs and node not in forward:
            readers = [u for v in node.outputs for u in graph.uses.get(v, ())]
            if readers and all(result[u] is Phase.UPDATE for u in readers):
                result[node] = Phase.UPDATE
    return result
