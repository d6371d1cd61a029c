"""The graph as nested boxes: groups of nodes by the user's calls and lines, each laid out by
itself, so that a picture never holds more than some dozens of boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphc.inspect.layout import layered
from graphc.inspect.origins import Origins
from graphc.ir.graph import Graph, Node
from graphc.ir.phases import phases

#: Boxes in one picture at most; lines with few nodes show them without being opened.
_MOST = 36
_FEW = 8


@dataclass(eq=False)
class Group:
    label: str
    members: list[Group | Node] = field(default_factory=list)
    #: The label stays when the one group inside takes this one's place: the whole, and phases.
    fixed: bool = False
    index: int = -1

    @property
    def groups(self) -> list[Group]:
        return [m for m in self.members if isinstance(m, Group)]


class Layouts:
    """Positions and edges that many groups share: the blocks of a network look alike."""

    def __init__(self) -> None:
        self.table: list[dict[str, list[int]]] = []
        self._known: dict[tuple[Any, ...], int] = {}

    def add(self, count: int, edges: Sequence[tuple[int, int]]) -> int:
        key = (count, tuple(edges))
        if key not in self._known:
            # Calls may depend on one another in a circle; their boxes stand in the order written.
            down = tuple((a, b) for a, b in edges if a < b)
            corners = layered(count, down)
            self._known[key] = len(self.table)
            xy = [c for corner in corners for c in corner]
            self.table.append({"xy": xy, "edges": [k for edge in edges for k in edge]})
        return self._known[key]


def picture(
    graph: Graph, origins: Origins, number: Callable[[Node], int], layouts: Layouts
) -> list[dict[str, Any]]:
    """The groups of a graph, the whole first. Members are nodes (their numbers) and groups
    (-1 minus their place in the list), in the order written.
    """
    root = _tree(graph, origins)
    groups: list[Group] = []
    stack = [root]
    while stack:
        group = stack.pop()
        group.index = len(groups)
        groups.append(group)
        stack.extend(reversed(group.groups))
    edges = _edges(graph, groups)
    sizes = [0] * len(groups)
    for group in reversed(groups):
        sizes[group.index] = sum(
            sizes[m.index] if isinstance(m, Group) else 1 for m in group.members
        )
    return [
        {
            "label": group.label,
            "size": sizes[group.index],
            "members": [-1 - m.index if isinstance(m, Group) else number(m) for m in group.members],
            "layout": layouts.add(len(group.members), sorted(edges[group.index])),
        }
        for group in groups
    ]


def _tree(graph: Graph, origins: Origins) -> Group:
    phase = phases(graph)
    root = Group("all", fixed=True)
    known: dict[tuple[object, ...], Group] = {}
    for node in graph.nodes:
        parent = root
        key: tuple[object, ...] = ()
        for place in origins.path(node, phase):
            key = (*key, place.key)
            found = known.get(key)
            if found is None:
                found = known[key] = Group(place.label, fixed=parent is root)
                parent.members.append(found)
            parent = found
        parent.members.append(node)
    _simplify(root)
    return root


def _simplify(group: Group) -> None:
    """Groups of one group become that one, small lines their nodes, large groups parts."""
    for child in group.groups:
        _simplify(child)
    members: list[Group | Node] = []
    for member in group.members:
        if isinstance(member, Group) and not member.groups and len(member.members) <= _FEW:
            members.extend(member.members)
        else:
            members.append(member)
    if len(members) <= _MOST:
        group.members = members
    while len(group.members) == 1 and group.groups:
        only = group.groups[0]
        group.members = only.members
        if only.groups and not group.fixed:
            group.label = only.label
    group.members = _parts(group.members)


def _parts(members: list[Group | Node]) -> list[Group | Node]:
    """At most `_MOST` members: neighbours in the written order are put together."""
    while len(members) > _MOST:
        size = max(2, min(_MOST, -(-len(members) // _MOST)))
        pieces = [members[k : k + size] for k in range(0, len(members), size)]
        members = [Group(f"part {k} of {len(pieces)}", piece) for k, piece in enumerate(pieces, 1)]
    return members


def _edges(graph: Graph, groups: Sequence[Group]) -> list[set[tuple[int, int]]]:
    """For every group the edges between its members, by their places: an edge between two nodes is
    one between those two members of the smallest group around both in which they lie.
    """
    above: dict[Node, list[tuple[int, int]]] = {}
    lines: list[list[tuple[int, int]]] = [[] for _ in groups]
    for group in groups:
        for place, member in enumerate(group.members):
            line = [*lines[group.index], (group.index, place)]
            if isinstance(member, Group):
                lines[member.index] = line
            else:
                above[member] = line
    edges: list[set[tuple[int, int]]] = [set() for _ in groups]
    for node in graph.nodes:
        target = above[node]
        for value in node.inputs:
            for (at, a), (_, b) in zip(above[value.node], target, strict=False):
                if a != b:
                    edges[at].add((a, b))
                    break
    return edges
