"""Rematerialization: what is kept from the forward pass, and what is computed again.

A value that the backward pass reads may be kept, or computed again from others that are. Products,
reductions and whatever else has a loop nest of its own are never repeated here: only elementwise
work and views, which fuse into their readers. The cheapest set to keep is a minimum cut: every
value is an edge of as many units as it has bytes, between what cannot be computed again and what
the backward pass reads. Results of the cut are clones, marked, so that nothing merges them with
their originals; they compute the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from graphc.ir.graph import Graph, Input, Meta, Node, Value
from graphc.ir.spec import Pointwise, Scalar, Table, View
from graphc.schedule.phases import Phase, phases

#: Larger regions are cut window by window: a cut takes more than linear time.
MAX_REGION = 1000
#: An elementwise operation on one element costs as much as moving this many bytes, per simple
#: operation: what tips the scales between two cuts of about equal size.
_BYTES_PER_OPERATION = 1 / 32


def rebuild(graph: Graph) -> Graph:
    """The same graph, with the fewest bytes kept for the backward pass that need no product or
    reduction to be repeated.
    """
    phase = phases(graph)
    forward = {n for n, p in phase.items() if p is Phase.FORWARD}
    wanted = [
        v for node in graph.nodes if node not in forward for v in node.inputs if v.node in forward
    ]
    kept = {v for v in wanted if not _is_repeatable(v.node)}
    recomputed: set[Node] = set()
    for region, needs in _regions(wanted, forward):
        recomputed |= _cut(region, needs, kept)
    return _cloned(graph, forward, recomputed) if recomputed else graph


def _is_repeatable(node: Node) -> bool:
    if isinstance(node.op, Input) or not node.op.pure:
        return False
    return isinstance(_spec(node), (Scalar, View, Pointwise))


def _spec(node: Node):
    return node.op.spec(*[v.type for v in node.inputs])


def _regions(wanted: list[Value], forward: set[Node]) -> Iterator[tuple[set[Node], list[Value]]]:
    """Connected regions of repeatable nodes behind what is wanted, each with the wanted values
    that lie in it: cuts of different regions do not interact.
    """
    parent: dict[Node, Node] = {}

    def find(node: Node) -> Node:
        while parent[node] is not node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    stack = [v.node for v in wanted if _is_repeatable(v.node)]
    for node in stack:
        parent.setdefault(node, node)
    seen = set(stack)
    while stack:
        node = stack.pop()
        for value in node.inputs:
            source = value.node
            if source in forward and _is_repeatable(source):
                parent.setdefault(source, source)
                parent[find(source)] = find(node)
                if source not in seen:
                    seen.add(source)
                    stack.append(source)
    regions: dict[Node, tuple[set[Node], list[Value]]] = {}
    for node in sorted(seen, key=lambda n: n.serial):
        regions.setdefault(find(node), (set(), []))[0].add(node)
    for value in dict.fromkeys(wanted):
        if value.node in seen:
            regions[find(value.node)][1].append(value)
    for nodes, needs in regions.values():
        if len(nodes) <= MAX_REGION:
            yield nodes, needs
            continue
        ordered = sorted(nodes, key=lambda n: n.serial)
        for start in range(0, len(ordered), MAX_REGION):
            window = set(ordered[start : start + MAX_REGION])
            within = [v for v in needs if v.node in window]
            if within:
                yield window, within


def _cut(region: set[Node], needs: list[Value], kept: set[Value]) -> set[Node]:
    """The nodes of a region to compute again; `kept` are values that are there in any case."""
    network = nx.DiGraph()
    for node in sorted(region, key=lambda n: n.serial):
        value = node.outputs[0]
        spec = _spec(node)
        free = isinstance(spec, View) or value.type.size <= 1
        keep = 0 if value.type.size <= 1 else value.type.nbytes
        again = 0.0
        if not free:
            cost = spec.cost if isinstance(spec, (Scalar, Pointwise)) else 1
            again = value.type.size * cost * _BYTES_PER_OPERATION
        network.add_edge((node, "in"), (node, "out"), capacity=keep)
        for source in node.inputs:
            if source.node in region:
                # Computing a node again costs something even where its operands are kept.
                network.add_edge((source.node, "out"), (node, "in"))
            else:
                network.add_edge("source", source)
                network.add_edge(source, (source, "kept"), capacity=_keep(source, kept))
                network.add_edge((source, "kept"), (node, "in"))
        if not node.inputs:
            continue
        if again:
            network.add_edge("source", (node, "in"), capacity=again)
    for value in needs:
        network.add_edge((value.node, "out"), "sink")
    if "source" not in network:
        return set(region)
    _, (reached, _rest) = nx.minimum_cut(
        network, "source", "sink", flow_func=nx.algorithms.flow.boykov_kolmogorov
    )
    again_nodes: set[Node] = set()
    stack = [v.node for v in needs]
    while stack:
        node = stack.pop()
        if node in again_nodes or node not in region:
            continue
        # Above the cut: kept. A view of what is kept costs nothing.
        if (node, "in") in reached and not isinstance(_spec(node), View):
            continue
        again_nodes.add(node)
        stack.extend(v.node for v in node.inputs)
    return again_nodes


def _keep(value: Value, kept: set[Value]) -> float:
    """The cost of keeping what cannot be computed again: nothing if it is there anyway."""
    node = value.node
    given = isinstance(node.op, Input) or isinstance(_spec(node), Table)
    return 0.0 if given or value in kept else float(value.type.nbytes)


def _cloned(graph: Graph, forward: set[Node], recomputed: set[Node]) -> Graph:
    """Backward nodes read clones of recomputed values, forward nodes still the originals."""
    clones: dict[Node, Node] = {}
    for node in graph.nodes:
        if node in recomputed:
            inputs = tuple(
                clones[v.node].outputs[v.index] if v.node in clones else v for v in node.inputs
            )
            meta = Meta(node.meta.site, node.meta.rule, node.meta.name, node.meta.clone + 1)
            clones[node] = Node(node.op, inputs, node.types, meta)
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        if node in forward:
            for value in node.outputs:
                new[value] = value
            continue
        inputs = tuple(
            clones[v.node].outputs[v.index] if v.node in clones else new[v] for v in node.inputs
        )
        rebuilt = node.with_inputs(inputs)
        new.update(zip(node.outputs, rebuilt.outputs, strict=True))
    return graph.replace([new[v] for v in graph.outputs])
