"""Prologues: elementwise work in front of an array of which a kernel copies parts anyway.

A convolution copies the rows that it reads into working memory, and pooling reads each element
once. What is computed from one array of that size (a normalization, an activation) is computed
there, and never stored: the kernel reads what it is computed from. Such a reader behind the forward
pass has nodes of its own for it, so that other readers of the same values decide for themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.autodiff.effort import is_light
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.once import once
from graphc.ir.phases import Phase, phases
from graphc.ir.spec import Convolve, Nest, Scalar, View
from graphc.ir.structure import repeated

#: Simple operations an element that are computed in a copy at most: its rows are copied more than
#: once where blocks meet.
MAX_COST = 24
#: Smaller arrays stay in the cache.
MIN_SIZE = 4096


def prologues(graph: Graph) -> Graph:
    """The graph in which what is computed in front of a copied array belongs to its reader alone,
    if that stands behind the forward pass; itself if everything does. The new nodes are clones:
    nothing merges them with their originals. Those of the forward pass stay, in memory if they are
    kept.
    """
    phase = phases(graph)
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        if phase[node] is Phase.FORWARD:
            continue
        own: dict[Value, Value] = {}
        chain = _chain(node, lambda n: phase[n] is not Phase.FORWARD and not _finishes(n))
        if chain and not all(map(_private(graph, node, chain), chain)):
            for link in chain:
                operands = tuple(own.get(v, new.get(v, v)) for v in link.inputs)
                clone = Node(link.op, operands, link.types, repeated(link.meta))
                own[link.outputs[0]] = clone.outputs[0]
        if own or new:
            k = _copied(node)
            inputs = [new.get(v, v) for v in node.inputs]
            if k is not None:
                inputs[k] = own.get(node.inputs[k], inputs[k])
            new.update(zip(node.outputs, node.with_inputs(tuple(inputs)).outputs, strict=True))
    return graph.replace([new.get(v, v) for v in graph.outputs]).made_from(graph) if new else graph


def _finishes(node: Node) -> bool:
    """Whether a node that is computed again follows a product or the like that is, too. It is
    computed there, and lies in memory for all who read it.
    """
    return bool(node.meta.clone) and any(
        v.node.meta.clone and not is_light(v.node) and v.type.size == node.types[0].size
        for v in node.inputs
    )


@once
def rebuilt(graph: Graph) -> set[Node]:
    """The nodes that are computed while their one reader copies."""
    found: set[Node] = set()
    for node in graph.nodes:
        if _copied(node) is None:
            continue
        inside: list[Node] = []
        found.update(_chain(node, _private(graph, node, inside), inside))
    return found


def _private(graph: Graph, reader: Node, inside: list[Node]) -> Callable[[Node], bool]:
    """Whether a node is needed by the reader's copy, and by the nodes inside of it, alone."""
    outputs = set(graph.outputs)
    k = _copied(reader)
    others = {v for j, v in enumerate(reader.inputs) if j != k}

    def test(node: Node) -> bool:
        value = node.outputs[0]
        readers = {*inside, reader}
        return (
            value not in outputs and value not in others and readers.issuperset(graph.uses[value])
        )

    return test


def _copied(node: Node) -> int | None:
    """Which operand a kernel copies, or reads once."""
    spec = _spec(node)
    if isinstance(spec, Nest):
        return spec.streams
    if not isinstance(spec, Convolve):
        return None
    return "xwy".replace(spec.result, "").index("y" if spec.result == "x" else "x")


def _chain(
    reader: Node, joins: Callable[[Node], bool], found: list[Node] | None = None
) -> list[Node]:
    """The elementwise nodes in front of what a node copies that may join, in order; `found` holds
    them meanwhile, behind their readers. None where they are computed from more than one array of
    that size, or much is to be done.
    """
    k = _copied(reader)
    if k is None or reader.inputs[k].type.size < MIN_SIZE:
        return []
    found = [] if found is None else found
    large: set[Value] = set()
    cost = 0
    waiting = {reader.inputs[k]}
    while waiting:
        value = max(waiting, key=lambda v: v.node.serial)
        waiting.discard(value)
        node, spec = value.node, _spec(value.node)
        if isinstance(spec, Scalar) and node.op.pure and joins(node):
            found.append(node)
            cost += spec.cost
            waiting.update(node.inputs)
        elif _source(value).type.size * 2 > value.type.size:
            large.add(_source(value))
        if cost > MAX_COST or len(large) > 1:
            return []
    return found[::-1]


def _spec(node: Node):
    return None if isinstance(node.op, Input) else node.op.spec(*[v.type for v in node.inputs])


def _source(value: Value) -> Value:
    """What a value is a view of."""
    while isinstance(_spec(value.node), View):
        value = value.node.inputs[0]
    return value
