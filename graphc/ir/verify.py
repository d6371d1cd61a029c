"""Whether a graph is valid: every value is made before it is read, with the type it claims."""

from __future__ import annotations

from graphc.errors import GraphcError
from graphc.ir.graph import Graph, Input, Value
from graphc.ir.site import located


def verify(graph: Graph) -> None:
    """Raises GraphcError where a node reads what is not there yet, where re-inference gives other
    types than it carries, or where inputs and donation do not fit.
    """
    made: set[Value] = set()
    for node in graph.nodes:
        for value in node.inputs:
            if value not in made:
                raise GraphcError(
                    located(f"{node.op.name} reads a value that is not made before it", node.meta.site)
                )
        inferred = node.op.infer(*[v.type for v in node.inputs])
        if inferred != node.types:
            raise GraphcError(
                located(f"{node.op.name}: has types {node.types}, not {inferred}", node.meta.site)
            )
        made.update(node.outputs)
    given = set(graph.inputs)
    for node in graph.nodes:
        if isinstance(node.op, Input) and node.outputs[0] not in given:
            raise GraphcError(f"input {node.op.label!r} is not among the graph's inputs")
    for source, target in graph.donated.items():
        if graph.inputs[source].type != graph.outputs[target].type:
            raise GraphcError(f"input {source} is donated to result {target} of another type")
