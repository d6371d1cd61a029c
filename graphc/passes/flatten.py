"""Flattening of nested applications.

Law: f(f(a, b), c) = f(a, b, c) for an operator that `flattens` (concatenation along one axis). It
is applied where nothing else reads the inner result, so that the inner array is never made.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.graph import Graph, Node, Value, apply, standing_in_for


def flatten(graph: Graph) -> Graph:
    """One node for each nest of equal flattening operators. The graph itself if there is none.

    Linear in the size of the graph, also for a nest of any depth: a nest is read from its root.
    """
    absorbed = _absorbed(graph)
    # Results, in the new graph, of nodes that their reader will absorb.
    inner: set[Value] = set()

    def rewrite(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node in absorbed:
            rebuilt = node.with_inputs(inputs)
            inner.add(rebuilt.outputs[0])
            return rebuilt.outputs
        if not inner.isdisjoint(inputs):
            with standing_in_for(node):
                return apply(node.op, *_leaves(inputs, inner))
        return None

    return graph.map(rewrite) if absorbed else graph


def _absorbed(graph: Graph) -> set[Node]:
    """Flattening nodes whose only reader is an equal operator."""
    returned = {v.node for v in graph.outputs}
    result = set()
    for node in graph.nodes:
        if node.op.flattens and node not in returned:
            readers = graph.uses.get(node.outputs[0], [])
            if len(readers) == 1 and readers[0].op == node.op:
                result.add(node)
    return result


def _leaves(inputs: Sequence[Value], inner: set[Value]) -> list[Value]:
    """The operands of a nest from left to right."""
    leaves = []
    stack = list(reversed(inputs))
    while stack:
        value = stack.pop()
        if value in inner:
            stack.extend(reversed(value.node.inputs))
        else:
            leaves.append(value)
    return leaves
