"""Storage for results.

Law: a copy has the value of what it copies. After this pass every output is computed by a node of
its own, which no other output shares: an output that is an input, a view of something, independent
of all inputs (so that no kernel need compute it) or equal to an earlier output becomes a copy.
"""

from __future__ import annotations

from graphc import ops
from graphc.ir.graph import Graph, Input, Node, Value, standing_in_for
from graphc.ir.spec import View


def own_outputs(graph: Graph) -> Graph:
    """The graph with copies where outputs have no memory of their own; itself if all have."""
    free = _independent(graph)
    taken: set[Value] = set()
    outputs: list[Value] = []
    for value in graph.outputs:
        if value in taken or value.node in free or _borrows(value.node):
            with standing_in_for(value.node):
                value = ops.copy(value)
        taken.add(value)
        outputs.append(value)
    return graph if tuple(outputs) == graph.outputs else graph.replace(outputs)


def _borrows(node: Node) -> bool:
    """Whether a node's result lies in memory that another one owns."""
    if isinstance(node.op, Input):
        return True
    return isinstance(node.op.spec(*[v.type for v in node.inputs]), View)


def _independent(graph: Graph) -> set[Node]:
    """The nodes that no input reaches: what reads them may compute them again."""
    free: set[Node] = set()
    for node in graph.nodes:
        if node.op.pure and all(v.node in free for v in node.inputs):
            free.add(node)
    return free
