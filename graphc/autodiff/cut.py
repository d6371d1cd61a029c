"""The cheapest set of values to keep, as a minimum cut.

Every value is an edge of as many units as keeping it costs, every node one of as many as computing
it again costs. On the one side of the cut stands what is there without being asked for, on the
other what the backward pass demands: a node there is computed again, which demands its operands; a
demanded value whose node stands on the first side is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import networkx as nx

from graphc.ir.graph import Node, Value

#: Larger regions are cut window by window: a cut takes more than linear time.
MAX_REGION = 1000


@dataclass(frozen=True)
class Prices:
    """`again(node)`: the cost of computing a node again, None where that cannot be done.
    `keep(value)`: the cost of keeping a value, None where that cannot be done.
    """

    again: Callable[[Node], float | None]
    keep: Callable[[Value], float | None]


@dataclass(frozen=True)
class Cut:
    """The nodes to compute again, and the values to keep for that and for who wants them."""

    again: set[Node]
    kept: set[Value]


def smallest(wanted: Sequence[Value], prices: Prices) -> Cut:
    """The cheapest way to have all that is wanted."""
    # What is wanted and cannot be computed again is kept whatever is chosen.
    certain = {v for v in wanted if prices.again(v.node) is None}
    open_ = Prices(prices.again, lambda v: 0.0 if v in certain else prices.keep(v))
    again: set[Node] = set()
    for region, needs in _regions(wanted, open_):
        again |= _cut(region, needs, open_)
    kept = {v for v in wanted if v.node not in again}
    kept.update(v for node in again for v in node.inputs if v.node not in again)
    return Cut(again, kept)


def _regions(wanted: Sequence[Value], prices: Prices) -> Iterator[tuple[set[Node], list[Value]]]:
    """Connected regions of repeatable nodes behind what is wanted, each with the wanted values
    that lie in it: cuts of different regions do not interact. What is free to keep separates, what
    is kept for both connects.
    """
    parent: dict[Node, Node] = {}

    def find(node: Node) -> Node:
        while parent[node] is not node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def is_inside(value: Value) -> bool:
        return prices.keep(value) != 0.0 and prices.again(value.node) is not None

    starts = [v for v in wanted if is_inside(v)]
    stack = [v.node for v in starts]
    parent.update((node, node) for node in stack)
    seen = set(stack)
    #: A node that reads each value from outside.
    reader: dict[Value, Node] = {}
    while stack:
        node = stack.pop()
        for value in node.inputs:
            if is_inside(value):
                source = value.node
                parent.setdefault(source, source)
                parent[find(source)] = find(node)
                if source not in seen:
                    seen.add(source)
                    stack.append(source)
            elif prices.keep(value) != 0.0:
                parent[find(reader.setdefault(value, node))] = find(node)
    regions: dict[Node, tuple[set[Node], list[Value]]] = {}
    for node in sorted(seen, key=lambda n: n.serial):
        regions.setdefault(find(node), (set(), []))[0].add(node)
    for value in starts:
        regions[find(value.node)][1].append(value)
    for nodes, needs in regions.values():
        ordered = sorted(nodes, key=lambda n: n.serial)
        for start in range(0, len(ordered), MAX_REGION):
            window = set(ordered[start : start + MAX_REGION])
            within = [v for v in needs if v.node in window]
            if within:
                yield window, within


def _cut(region: set[Node], needs: Sequence[Value], prices: Prices) -> set[Node]:
    """The nodes of a region to compute again."""
    number: dict[Node | Value, int] = {}

    def at(item: Node | Value) -> int:
        return number.setdefault(item, len(number) + _SINK + 1)

    edges: list[_Edge] = []
    demands: dict[Value, None] = dict.fromkeys(needs)
    for node in sorted(region, key=lambda n: n.serial):
        demands.update(dict.fromkeys(node.inputs))
        cost = prices.again(node)
        if cost:
            edges.append((_SOURCE, at(node), cost))
        edges += [(at(value), at(node), None) for value in node.inputs]
    for value in demands:
        keep = prices.keep(value)
        inside = value.node in region
        start = at(value.node) if inside else _SOURCE
        if keep is None:
            # Outside of the region it is there, as far as this region can tell.
            if inside:
                edges.append((start, at(value), None))
        elif keep > 0 or inside:
            edges.append((start, at(value), keep))
    edges += [(at(value), _SINK, None) for value in needs]
    demanded = _sink_side(tuple(edges))
    again: set[Node] = set()
    stack = [v.node for v in needs]
    while stack:
        node = stack.pop()
        if node in region and node not in again and number.get(node) in demanded:
            again.add(node)
            stack.extend(v.node for v in node.inputs if prices.keep(v) != 0.0)
    return again


_SOURCE, _SINK = 0, 1
#: From, to, and the capacity; None for one without limit.
_Edge = tuple[int, int, float | None]


@lru_cache(maxsize=128)
def _sink_side(edges: tuple[_Edge, ...]) -> frozenset[int]:
    """What a minimum cut leaves on the side of the sink: the least that can, which is the same for
    every maximum flow. The layers of a network, and plans that differ elsewhere, have equal ones.
    """
    network = nx.DiGraph()
    network.add_node(_SOURCE)
    for start, end, capacity in edges:
        network.add_edge(start, end, **({} if capacity is None else {"capacity": capacity}))
    _, (_, rest) = nx.minimum_cut(
        network, _SOURCE, _SINK, flow_func=nx.algorithms.flow.boykov_kolmogorov
    )
    return frozenset(rest)
