"""Graphs as text: the only printer."""

from __future__ import annotations

import difflib
import re

from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.names import value_names
from graphc.ir.site import required

_GENERATED = re.compile(r"v[0-9]+")


def graph_text(graph: Graph) -> str:
    """One aligned line per node, in order, with the user's names and lines:

        h: float32[32,128] = add(v5, b1)    # model.py:12

    Nodes that a derivative rule made say of which node: `# d tanh, model.py:12`. The body of an
    operator that has one stands below it, indented. Outputs and donations stand at the end.
    """
    names = value_names(graph)
    rows = [_row(node, names) for node in graph.nodes]
    width = max((len(definition) for definition, _, _ in rows), default=0)
    wide = min(max((len(right) for _, right, _ in rows), default=0), 60)
    lines = []
    for node, (definition, right, origin) in zip(graph.nodes, rows, strict=True):
        line = f"{definition:<{width}} = {right}"
        lines.append(f"{line:<{width + 3 + wide}}   # {origin}" if origin else line)
        for body in node.op.bodies:
            lines.extend(f"    {inner}" for inner in ["{", *graph_text(body).split("\n"), "}"])
    donated = {target: graph.inputs[source] for source, target in graph.donated.items()}
    for k, value in enumerate(graph.outputs):
        label = graph.output_names[k] if graph.output_names else f"output {k}"
        note = f"   # in the memory of {names[donated[k]]}" if k in donated else ""
        lines.append(f"return {names[value]}   as {label}{note}")
    return "\n".join(lines)


def diff_text(before: Graph, after: Graph) -> str:
    """The lines of the printed graphs that are only in one of them, `-` before and `+` after; empty
    when there are none. Lines are compared by operator, type, user's name and origin: in a graph
    that was traced anew values have other numbers.
    """
    required(after, Graph, "diff")
    old, new = _lines(before), _lines(after)
    matcher = difflib.SequenceMatcher(None, [key for key, _ in old], [key for key, _ in new])
    changes: list[str] = []
    for tag, i0, i1, j0, j1 in matcher.get_opcodes():
        if tag != "equal":
            changes.extend(f"- {text}" for _, text in old[i0:i1])
            changes.extend(f"+ {text}" for _, text in new[j0:j1])
    if not changes:
        return ""
    return "\n".join([f"{len(before)} nodes -> {len(after)} nodes", *changes])


def _lines(graph: Graph) -> list[tuple[tuple, str]]:
    """Every node's line with what identifies it across passes."""
    names = value_names(graph)
    result = []
    for node in graph.nodes:
        definition, right, origin = _row(node, names)
        named = tuple(names[v] for v in node.outputs if not _GENERATED.fullmatch(names[v]))
        key = (node.op.name, node.op.attributes(), node.types, named, origin)
        result.append((key, f"{definition} = {right}   # {origin}"))
        for body in node.op.bodies:
            result.extend((("in", *inner), f"    {text}") for inner, text in _lines(body))
    return result


def node_text(node: Node, names: dict[Value, str]) -> str:
    """The right-hand side of a node: `sum(h; axes=(0,))`."""
    operands = ", ".join(names[v] for v in node.inputs)
    attributes = node.op.attributes()
    if isinstance(node.op, Input):
        return f"input {node.op.label}"
    if not attributes:
        return f"{node.op.name}({operands})"
    return (
        f"{node.op.name}({operands}; {attributes})"
        if operands
        else (f"{node.op.name}({attributes})")
    )


def _row(node: Node, names: dict[Value, str]) -> tuple[str, str, str]:
    results = ", ".join(f"{names[v]}: {v.type}" for v in node.outputs)
    return results, node_text(node, names), origin_text(node)


def origin_text(node: Node) -> str:
    """Where a node comes from: `model.py:12`, or `d tanh, model.py:12` for a derivative."""
    parts: list[str] = []
    if node.meta.rule is not None:
        parts.append(f"d {node.meta.rule.op.name}")
    if node.meta.clone:
        parts.append("recomputed")
    if node.meta.site is not None:
        parts.append(str(node.meta.site))
    return ", ".join(parts)
