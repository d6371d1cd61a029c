"""What identifies a graph: its operators and how they are connected."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from graphc.ir.graph import Graph, Input, Meta, Node, Value, toposort


def structure(graph: Graph) -> Hashable:
    """Equal for graphs that compute the same from inputs of the same types, operator by operator,
    in the same order; names and lines do not count.
    """
    number: dict[Value, int] = {v: k for k, v in enumerate(graph.inputs)}
    rows: list[Hashable] = [v.type for v in graph.inputs]
    for node in graph.nodes:
        if isinstance(node.op, Input):
            continue
        rows.append(
            (type(node.op), node.op, tuple(number[v] for v in node.inputs), node.meta.clone)
        )
        for value in node.outputs:
            number[value] = len(number)
    return (tuple(rows), tuple(number[v] for v in graph.outputs))


def rebuilt(
    outputs: Sequence[Value], given: Mapping[Value, Value], clones: AbstractSet[Node] = frozenset()
) -> list[Value]:
    """Values computed again by nodes of their own, from `given` in the place of some values. Nodes
    of `clones` are marked, so that they do not count as what they repeat.
    """
    new: dict[Value, Value] = dict(given)
    for node in needed(outputs, given):
        if isinstance(node.op, Input):
            continue
        meta = node.meta
        if node in clones:
            meta = Meta(meta.site, meta.rule, meta.name, meta.clone + 1)
        made = Node(node.op, tuple(new.get(v, v) for v in node.inputs), node.types, meta)
        new.update(zip(node.outputs, made.outputs, strict=True))
    return [new.get(v, v) for v in outputs]


def needed(outputs: Sequence[Value], given: Mapping[Value, object]) -> list[Node]:
    """The nodes that compute values, in order, if some are given."""
    found: set[Node] = set()
    stack = [v for v in outputs if v not in given]
    while stack:
        node = stack.pop().node
        if node not in found:
            found.add(node)
            stack.extend([v for v in node.inputs if v not in given])
    return [n for n in toposort(outputs) if n in found]


def repeated(meta: Meta) -> Meta:
    """The origin of a copy of a node that is computed once more."""
    copy = meta.part()
    copy.clone += 1
    copy.stands_for = meta.stands_for
    return copy
