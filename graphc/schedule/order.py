"""Orders in which the nodes of a graph can be computed.

The written order is the user's, with the derivatives latest first: good in general, and the order
that fusion knows best. It computes a value where its operands are ready, which may be long before
anybody reads it: the gradient of a weight that is used again earlier in the model waits for the
other part of its sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.phases import phases
from graphc.schedule.storage import Role, Storage

#: Values of fewer bytes are not worth another order.
_LARGE = 1 << 14
#: A reader that stands so many places behind is near.
_NEAR = 32


def written(graph: Graph) -> list[Node]:
    """The nodes in order, but single numbers that depend on single numbers alone (step counters,
    learning-rate schedules) come first, so that no large kernel has to wait for them, and what is
    computed early comes where its operands are.
    """
    scalar: set[Node] = set()
    for node in graph.nodes:
        if all(t.size == 1 for t in node.types) and all(v.node in scalar for v in node.inputs):
            scalar.add(node)
    first = [n for n in graph.nodes if n in scalar]
    return first + _ahead([n for n in graph.nodes if n not in scalar])


def _ahead(nodes: Sequence[Node]) -> list[Node]:
    """What is computed early comes right behind the last of its operands."""
    place = {node: k for k, node in enumerate(nodes)}
    key = {node: (k, 0) for k, node in enumerate(nodes)}
    for k, node in enumerate(nodes):
        if node.meta.early is not None:
            operands = [key[v.node] for v in node.inputs if v.node in key]
            key[node] = (max(operands, default=(k, 0))[0], 1)
    return sorted(nodes, key=lambda n: (*key[n], place[n]))


def delayed(graph: Graph, storage: Storage, moved: Mapping[Node, Node]) -> list[Node]:
    """The written order, but each of the nodes that are moved, right before its reader."""
    nodes = written(graph)
    ahead: dict[Node, list[Node]] = {}
    views: dict[Node, list[Node]] = {}
    for node in nodes:
        if node in moved:
            ahead.setdefault(moved[node], []).append(node)
        elif storage.role[node] is Role.VIEW and storage.places[node.outputs[0]].root.node in moved:
            views.setdefault(storage.places[node.outputs[0]].root.node, []).append(node)
    behind = {view for group in views.values() for view in group}
    order: list[Node] = []
    for node in nodes:
        if node in moved or node in behind:
            continue
        # What is moved to this node, what is moved to that, and so on; each before its reader.
        stack, found = [node], []
        while stack:
            reader = stack.pop()
            found.append(reader)
            stack.extend(ahead.get(reader, ()))
        for reader in reversed(found):
            order.append(reader)
            order.extend(views.get(reader, ()))
    return order


def late(graph: Graph, storage: Storage) -> dict[Node, Node]:
    """What takes more bytes than the operands that it would keep alive, and is read much later: the
    nodes to compute later, with the reader before which each goes.
    """
    nodes = written(graph)
    outside = set(graph.outputs)
    phase = phases(graph)
    place = {node: float(k) for k, node in enumerate(nodes)}
    readers: dict[Value, list[Node]] = {}
    for node in nodes:
        if storage.role[node] is Role.COMPUTED:
            for root in _roots(node, storage):
                readers.setdefault(root, []).append(node)
    moved: dict[Node, Node] = {}
    for k in reversed(range(len(nodes))):
        node = nodes[k]
        size = sum(v.type.nbytes for v in node.outputs)
        if storage.role[node] is not Role.COMPUTED or size < _LARGE or not node.op.pure:
            continue
        using = [u for v in node.outputs for u in readers.get(v, ())]
        if not using or outside.intersection(node.outputs):
            continue
        first = min(using, key=place.__getitem__)
        # Updates come to the gradients that they read: fusion sees to that.
        waits = place[first] > k + _NEAR and phase[first] is phase[node]
        if waits and size > _held(node, place[first], place, readers, storage):
            moved[node] = first
            place[node] = place[first]
    return moved


def _held(
    node: Node,
    until: float,
    place: dict[Node, float],
    readers: dict[Value, list[Node]],
    storage: Storage,
) -> int:
    """Bytes of operands that would live longer if a node were computed at a later place."""
    return sum(
        root.type.nbytes
        for root in _roots(node, storage)
        if storage.role[root.node] is Role.COMPUTED
        and all(place[u] < until for u in readers[root] if u is not node)
    )


def _roots(node: Node, storage: Storage) -> set[Value]:
    return set(storage.roots(node))
