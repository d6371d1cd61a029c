"""Reshapes of arrays that lie scattered: their elements are copied along the axes that they have.

Law: a reshape of x is a reshape of a copy of x. A reshape that has no strided form (of a transposed
array, say) has to move elements. As one node it would have to find each of them by divisions; the
copy goes over the axes of x, and the reshape behind it is a view.
"""

from __future__ import annotations

from graphc import ops
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.spec import Strided, View
from graphc.schedule.layouts import choose_layouts, stored


def gathered(graph: Graph) -> Graph:
    """The graph in which reshapes move nothing; itself if none does."""
    layouts = choose_layouts(graph)
    lies: dict[Value, Strided] = {}
    moving: set[Node] = set()
    for node in graph.nodes:
        if isinstance(node.op, Input):
            continue
        spec = node.op.spec(*[v.type for v in node.inputs])
        if not isinstance(spec, View):
            continue
        source = node.inputs[0]
        strided = spec.strided(lies.get(source) or stored(source, layouts.get(source)))
        if strided is not None:
            lies[node.outputs[0]] = strided
        elif _keeps_order(spec, source):
            moving.add(node)
    if not moving:
        return graph

    def change(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node not in moving:
            return None
        # Both have the origin of the reshape.
        copy = ops.copy(inputs[0]).node
        return node.with_inputs(Node(copy.op, inputs, copy.types, node.meta).outputs).outputs

    return graph.map(change).made_from(graph)


def _keeps_order(view: View, source: Value) -> bool:
    """Whether a view of a row-major array is that array under another shape."""
    strided = view.strided(Strided.contiguous(source.shape))
    return strided is not None and strided.is_contiguous
