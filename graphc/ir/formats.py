"""Graphs for other tools: NetworkX, Graphviz, HTML."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from graphc.ir.graph import Graph, Input, Node
from graphc.ir.names import value_names
from graphc.ir.printer import graph_text, node_text, origin_text

if TYPE_CHECKING:
    import networkx


def to_networkx(graph: Graph) -> networkx.MultiDiGraph:
    """A MultiDiGraph with a node per graph node, numbered in order, with the attributes `op`,
    `name`, `type`, `site` and `kind` (input, forward, backward), and an edge per operand, with the
    attributes `operand` and `result`. The graph's attributes `inputs` and `outputs` list nodes.
    """
    import networkx

    result = networkx.MultiDiGraph()
    names = value_names(graph)
    number = {node: k for k, node in enumerate(graph.nodes)}
    for node, k in number.items():
        result.add_node(
            k,
            op=node.op.name,
            attributes=node.op.attributes(),
            name=", ".join(names[v] for v in node.outputs),
            type=", ".join(str(t) for t in node.types),
            site="" if node.meta.site is None else str(node.meta.site),
            kind=_kind(node),
        )
        for operand, value in enumerate(node.inputs):
            result.add_edge(number[value.node], k, operand=operand, result=value.index)
    result.graph["inputs"] = [number[v.node] for v in graph.inputs]
    result.graph["outputs"] = [number[v.node] for v in graph.outputs]
    return result


def to_dot(graph: Graph) -> str:
    """The graph in Graphviz's language; derivatives are grey, inputs and outputs are boxes."""
    names = value_names(graph)
    number = {node: k for k, node in enumerate(graph.nodes)}
    lines = ["digraph graphc {", '  node [fontname="monospace", shape=ellipse];']
    for node, k in number.items():
        text = f"{node_text(node, names)}\n{', '.join(str(t) for t in node.types)}"
        if isinstance(node.op, Input):
            text = f"{names[node.outputs[0]]}\n{node.types[0]}"
        style = {"input": ", shape=box", "backward": ", color=gray, fontcolor=gray40"}
        kind = style.get(_kind(node), "")
        lines.append(f"  n{k} [label={_quoted(text)}, tooltip={_quoted(origin_text(node))}{kind}];")
        lines.extend(f"  n{number[v.node]} -> n{k};" for v in node.inputs)
    for k, value in enumerate(graph.outputs):
        label = graph.output_names[k] if graph.output_names else f"output {k}"
        lines.append(f"  out{k} [label={_quoted(label)}, shape=box];")
        lines.append(f"  n{number[value.node]} -> out{k};")
    return "\n".join([*lines, "}"])


#: Longer graphs are cut in a notebook.
_LINES = 400


def to_html(graph: Graph) -> str:
    """The printed graph for notebooks: its beginning, if it is long."""
    lines = graph_text(graph).splitlines()
    rest = len(lines) - _LINES
    note = f"<p>and {rest} lines more: print(graph)</p>" if rest > 0 else ""
    return f"<p>{len(graph)} nodes</p>{preformatted(chr(10).join(lines[:_LINES]))}{note}"


def preformatted(text: str) -> str:
    """Lines for a notebook, which scroll where they are many or long."""
    style = "max-height: 32em; overflow: auto; white-space: pre; font-family: monospace"
    return f'<pre style="{style}">{html.escape(text)}</pre>'


def _kind(node: Node) -> str:
    if isinstance(node.op, Input):
        return "input"
    return "forward" if node.meta.rule is None else "backward"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
