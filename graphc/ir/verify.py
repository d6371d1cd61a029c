"""Whether a graph is valid: checked after every pass."""

from __future__ import annotations

from graphc.errors import GraphcError
from graphc.ir.graph import Graph, Input, Node, Value


def verify(graph: Graph) -> None:
    """Raises GraphcError where a value is used before it is made, an operator's type rule gives
    another type than the node has, an input is missing from the inputs, or names and donations do
    not fit, in the graph or in a body of an operator of it.
    """
    defined: set[Value] = set()
    given = set(graph.inputs)
    for node in graph.nodes:
        for value in node.inputs:
            if value not in defined:
                raise _fault(node, f"reads {value!r} before it is made")
        for body in node.op.bodies:
            verify(body)
        types = node.op.infer(*[v.type for v in node.inputs])
        if tuple(types) != node.types:
            raise _fault(node, f"has the types {node.types}, its rule gives {types}")
        if len(node.outputs) != len(node.types):
            raise _fault(node, f"has {len(node.outputs)} results and {len(node.types)} types")
        if isinstance(node.op, Input) and node.outputs[0] not in given:
            raise _fault(node, "is an input that the graph does not list")
        defined.update(node.outputs)
    if len(given) != len(graph.inputs):
        raise GraphcError("an input stands twice in the graph's inputs")
    for value in graph.inputs:
        if not isinstance(value.node.op, Input):
            raise _fault(value.node, "stands among the inputs, but is computed")
    if graph.output_names and len(graph.output_names) != len(graph.outputs):
        raise GraphcError(f"{len(graph.outputs)} outputs have {len(graph.output_names)} names")
    _verify_donations(graph)


def _verify_donations(graph: Graph) -> None:
    if len(set(graph.donated.values())) != len(graph.donated):
        raise GraphcError("two inputs are donated to one output")
    for source, target in graph.donated.items():
        given, taken = graph.inputs[source].type, graph.outputs[target].type
        if given != taken:
            raise GraphcError(f"input {source} ({given}) is donated to output {target} ({taken})")


def _fault(node: Node, what: str) -> GraphcError:
    where = f" ({node.meta.site})" if node.meta.site is not None else ""
    return GraphcError(f"invalid graph: {node.op.name}{where} {what}")
