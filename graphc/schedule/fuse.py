"""Fusion: which nodes are computed in one loop nest.

Nodes are taken in order. A node joins the group of its latest producer if it runs over the same
elements in the same order, otherwise it begins a group. Groups are numbered as they begin; a node
joins only the latest of its producers' groups, so every edge between groups goes from a lower to a
higher number: the numbering is a schedule, and no cycle can arise.

A node that reads nothing but what is in memory from the beginning (the decayed momentum of an
optimizer, a comparison of labels) can be computed at any time: it waits until its first reader is
placed, and joins that, so that it need not be written. So does a node of the backward pass that
reads nothing but what the forward pass left, or what is computed again in the place of that, and
one that makes much of little, as a choice of rows does from few of them.

Within a group elements are numbered in row-major order. Two shapes of equal size number them
alike, so a reshape does not end a group; a transposed or shifted read does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.phases import Phase, phases
from graphc.ir.spec import (
    Attend,
    Branch,
    Contract,
    Convolve,
    Loop,
    Pointwise,
    Reduce,
    Scalar,
    Strided,
    row_major,
)
from graphc.schedule.cuts import merged_cuts, shape_cuts
from graphc.schedule.group import Group, Kind, Level
from graphc.schedule.leaving import Leaving
from graphc.schedule.matching import is_canonical, is_split_row, level_cuts, matches
from graphc.schedule.storage import Role, Storage

#: Simple operations of one fused body: larger ones make the C compiler slow (about quadratic).
MAX_BODY = 256
#: Distinct arrays that one kernel may read and write.
MAX_ARRAYS = 40
#: A longer chain of nodes that wait for a reader begins a group.
MAX_WAITING = 32
#: Elements that make it worth while to look for a loop over as many.
LARGE = 4096
#: A backward node may join a forward group that so few groups have followed.
RECENT = 4
#: Times that a result is larger than all it is made of which is better made where it is read.
EXPANDED = 16


#: What nodes that begin a group are, by their declarations; all others are ALONE.
_KINDS = {
    Attend: Kind.ATTENTION,
    Contract: Kind.CONTRACT,
    Convolve: Kind.CORRELATE,
    Loop: Kind.REPEAT,
    Branch: Kind.CHOOSE,
}
#: Groups of which a tile of results is in registers.
_TILED = (Kind.CONTRACT, Kind.CORRELATE, Kind.WEIGHTS)
#: Groups that nothing joins.
_CLOSED = (Kind.ALONE, Kind.ATTENTION, Kind.REPEAT, Kind.CHOOSE)


def fuse(graph: Graph, storage: Storage, order: Sequence[Node], large: int = LARGE) -> list[Group]:
    """The groups of a graph's computed nodes, which come in `order`, in schedule order."""
    phase = phases(graph)
    return _Fusion(storage, phase, Leaving(graph, storage, phase), large).run(order)


class _Fusion:
    def __init__(self, storage: Storage, phase: Mapping[Node, Phase], leaving: Leaving, large: int):
        self.storage = storage
        self.leaving = leaving
        self.large = large
        self.phase = phase
        self.groups: list[Group] = []
        self.of: dict[Node, Group] = {}
        #: Nodes that no group has yet, in order, with the length of the chain behind each.
        self.waiting: dict[Node, int] = {}
        #: The last group of the update that reads a value.
        self.updates: dict[Value, Group] = {}

    def run(self, nodes: Sequence[Node]) -> list[Group]:
        for node in nodes:
            if self.storage.role[node] is Role.COMPUTED:
                self._place(node)
        for node in list(self.waiting):
            self._settle(node)
        return self.groups

    def _place(self, node: Node) -> None:
        """Puts a node into a group, after those of its producers that wait; or lets it wait."""
        waiting = self._waiting_for(node)
        latest = self._latest(node, waiting)
        if (latest is None or self._expands(node)) and self._may_wait(node):
            self.waiting[node] = 1 + max((self.waiting[n] for n in waiting), default=0)
            if self.waiting[node] <= MAX_WAITING:
                return
        near = [latest] if latest is not None else []
        if near and self._is_pointwise(node) and self._joins(node, near[0]) is None:
            # The node begins a group, in which what waits for it is computed without being written.
            near = []
        for producer in waiting:
            self._settle(producer, near, node)
            near.append(self.of[producer])
        self._settle(node)

    def _may_wait(self, node: Node) -> bool:
        """Single numbers do not wait: they are ready before everything that needs them."""
        return self._is_pointwise(node) and node.types[0].size > 1

    def _expands(self, node: Node) -> bool:
        """Whether a node's result is many times as large as all that it is made of."""
        read = sum(root.type.nbytes for root in self._roots(node))
        return node.types[0].size >= self.large and EXPANDED * read <= node.types[0].nbytes

    def _is_pointwise(self, node: Node) -> bool:
        return isinstance(self.storage.spec[node], (Scalar, Pointwise))

    def _waiting_for(self, node: Node) -> list[Node]:
        """The producers of a node that wait, theirs included, in order."""
        found: set[Node] = set()
        stack = [node]
        while stack:
            for root in self._roots(stack.pop()):
                if root.node in self.waiting and root.node not in found:
                    found.add(root.node)
                    stack.append(root.node)
        return sorted(found, key=lambda n: n.serial)

    def _settle(self, node: Node, near: Sequence[Group] = (), reader: Node | None = None) -> None:
        """Puts a node, that waited for `reader`, into a group of `near` if it fits there, else
        where its producers are.
        """
        self.waiting.pop(node, None)
        spec = self.storage.spec[node]
        if isinstance(spec, Reduce):
            self._place_reduce(node, spec, self._latest(node))
            return
        pointwise = self._is_pointwise(node)
        cost = spec.cost if isinstance(spec, (Scalar, Pointwise)) else 1
        for candidate in self._candidates(node, near, reader) if pointwise else ():
            if candidate.kind in _CLOSED or self._leaves(node, candidate):
                continue
            if any(self.of[r.node].order > candidate.order for r in self._made(node)):
                continue
            level = self._joins(node, candidate)
            if level is not None and self._fits(node, candidate, cost):
                cuts = level_cuts(candidate, node.types[0].shape, level)
                assert cuts is not None
                self._add(candidate, node, level, cuts, cost)
                return
        kind = Kind.LOOPS if pointwise else _KINDS.get(type(spec), Kind.ALONE)
        if isinstance(spec, Convolve) and spec.result == "w":
            kind = Kind.WEIGHTS
        self._begin(node, kind, node.types[0].shape, cost)

    def _leaves(self, node: Node, group: Group) -> bool:
        """Whether a node is better computed behind a product than on its tiles."""
        own = [root.node for root in self._made(node) if root.node in group.level]
        folded = group.kind in _TILED and node in self.leaving.folded
        return folded and bool(own) and all(n in self.leaving.stored for n in own)

    def _begin(self, node: Node, kind: Kind, shape: tuple[int, ...], cost: int) -> Group:
        group = Group(len(self.groups), kind, shape, math.prod(shape), shape_cuts(shape))
        self.groups.append(group)
        self._add(group, node, Level.FULL, group.cuts, cost)
        return group

    def _add(self, group: Group, node: Node, level: Level, cuts: frozenset[int], cost: int) -> None:
        group.add(node, level, cuts, cost)
        group.arrays.update(self._roots(node))
        group.arrays.update(node.outputs)
        self.of[node] = group
        if self.phase[node] is Phase.UPDATE:
            self.updates.update((root, group) for root in self._roots(node))

    def _is_kept(self, source: Node, node: Node) -> bool:
        """Whether a node behind the turn from forward to backward reads one before it, or what a
        product, a reduction or the like computes again in its place.
        """
        if self.phase[node] is Phase.FORWARD or self.phase[source] is Phase.FORWARD:
            return self.phase[node] is not self.phase[source]
        again = [n for n in self.of[source].members if n.meta.clone] if source.meta.clone else []
        return not node.meta.clone and not all(map(self._is_pointwise, again))

    def _recent(self, node: Node) -> Group | None:
        """The group of the forward values that a backward node reads, at the turn itself: there the
        last forward and the first backward kernel are one.
        """
        made = [self.of[root.node] for root in self._made(node)]
        last = max(made, key=lambda g: g.order, default=None)
        return last if last is not None and len(self.groups) - last.order <= RECENT else None

    def _candidates(self, node: Node, near: Sequence[Group], reader: Node | None) -> list[Group]:
        """The groups that a node may join, best first. One that reads only memory is as well off
        in any group at hand that goes over the same elements, or over the same number, unless it
        can begin that of its reader. If the reader could join that group too, and it goes over an
        array that the node reads, both do: the moments of an optimizer are one loop over a
        gradient that is given. One that reads a part of what others read other parts of (the gates
        of a recurrent layer) joins them. An update reads a gradient once.
        """
        latest = self._latest(node)
        found = [*near, *(g for g in (latest, self._recent(node)) if g is not None)]
        if self.phase[node] is Phase.UPDATE:
            found += [self.updates[root] for root in self._made(node) if root in self.updates]
        at_hand = list(reversed(self.groups[-RECENT:]))
        if latest is None:
            size = node.types[0].size
            fuses = (Scalar, Pointwise, Reduce)
            begins = reader is not None and isinstance(self.storage.spec[reader], fuses)
            if size == 1 or (size >= self.large and not begins):
                found += at_hand
            elif reader is not None and self.phase[node] is not Phase.BACKWARD:
                whole = {r for r in self._roots(node) if r.type.size == size >= self.large}
                first = self._latest(reader)
                ready = [g for g in at_hand if first is None or first.order < g.order]
                found += [g for g in ready if whole & g.arrays]
        else:
            parts = {r for r in self._made(node) if r.type.size > node.types[0].size}
            found += [g for g in at_hand if g.order > latest.order and parts & g.arrays]
        return found

    def _made(self, node: Node) -> list[Value]:
        """The roots of what a node reads that are computed by a group."""
        return [root for root in self._roots(node) if root.node in self.of]

    def _roots(self, node: Node) -> tuple[Value, ...]:
        return self.storage.roots(node)

    def _latest(self, node: Node, others: Sequence[Node] = ()) -> Group | None:
        """The last of the groups of what a node (and some others) reads. What the backward pass
        reads of the forward pass is in memory by then: it does not count.
        """
        groups = [
            self.of[root.node]
            for n in (node, *others)
            for root in self._roots(n)
            if root.node in self.of and not self._is_kept(root.node, n)
        ]
        return max(groups, key=lambda g: g.order, default=None)

    def _fits(self, node: Node, group: Group, cost: int) -> bool:
        if group.cost + cost > MAX_BODY:
            return False
        extra = [r for r in (*self._roots(node), *node.outputs) if r not in group.arrays]
        return len(group.arrays) + len(extra) <= MAX_ARRAYS

    def _joins(self, node: Node, group: Group) -> Level | None:
        """At which level a pointwise node can be computed within a group, or None."""
        shape = node.types[0].shape
        size = math.prod(shape)
        if size == 0 or group.size == 0:
            return None
        if size == group.size:
            wanted = Level.FULL
        elif group.row is not None and size * group.row == group.size:
            wanted = Level.ROW
        else:
            return None
        if level_cuts(group, shape, wanted) is None:
            return None
        within = [v for v in node.inputs if self._base(v) in group.level]
        placed = not isinstance(self.storage.spec[node], Scalar)
        if placed and (within or group.columns):
            return None
        levels = [group.level[self._base(v)] for v in within]
        if group.columns and Level.ROW in levels:
            return None
        if wanted is Level.ROW and Level.FULL in levels:
            # An element of each row, at its beginning: there is no such point outside the row.
            return None
        for value in within:
            have = self._access(value, group)
            if have is None or not matches(shape, have, wanted, group.row):
                return None
            after_reduction = wanted is Level.FULL and group.level[self._base(value)] is Level.ROW
            if after_reduction and is_split_row(group):
                return None
        return wanted

    def _base(self, value: Value) -> Node:
        place = self.storage.places.get(value)
        return place.root.node if place is not None else value.node

    def _access(self, value: Value, group: Group) -> Strided | None:
        """Which element of the group each element of a value is, as strides over the numbering;
        the value is a member's result or a view of one.
        """
        chain = []
        while self.storage.role[value.node] is Role.VIEW:
            chain.append(value.node)
            value = value.node.inputs[0]
        spread = 1 if group.level[value.node] is Level.FULL else group.row
        assert spread is not None
        strided: Strided | None = Strided(
            value.shape, tuple(s * spread for s in row_major(value.shape))
        )
        for node in reversed(chain):
            view = node.op.spec(*[v.type for v in node.inputs])
            strided = view.strided(strided) if strided is not None else None  # type: ignore[attr-defined]
        return strided

    def _place_reduce(self, node: Node, spec: Reduce, latest: Group | None) -> None:
        value = node.inputs[0]
        outer, reduced, inner = spec.extents(value.shape)
        within = latest is not None and self._base(value) in latest.level
        if latest is not None and within and latest.size == value.type.size and latest.size:
            canonical = is_canonical(spec, value.shape)
            whole = latest.level[self._base(value)] is Level.FULL
            access = self._access(value, latest) if whole else None
            joins = (
                canonical
                and access is not None
                and matches(value.shape, access, Level.FULL, latest.row)
                and latest.kind in (Kind.LOOPS, Kind.COLUMNS)
                and self._fits(node, latest, 1)
            )
            cuts = merged_cuts(latest.cuts, shape_cuts(value.shape))
            if joins and cuts is not None:
                row_like = inner == 1
                free = latest.row is None and latest.columns is None
                alike = latest.row == reduced and latest.whole == spec.whole
                if row_like and latest.kind is Kind.LOOPS and (free or alike):
                    latest.row, latest.rows, latest.whole = reduced, outer, spec.whole
                    self._add(latest, node, Level.ROW, cuts | {reduced}, 1)
                    return
                extents = (outer, reduced, inner)
                # What depends on its position has a loop for every axis, sums of columns have two.
                positional = any(
                    isinstance(self.storage.spec[n], Pointwise) for n in latest.members
                )
                if not row_like and not positional and (free or latest.columns == extents):
                    latest.kind, latest.columns = Kind.COLUMNS, extents
                    self._add(latest, node, Level.ROW, cuts, 1)
                    return
        kind = Kind.LOOPS if inner == 1 else Kind.COLUMNS
        shape = tuple(value.shape[a] for a in spec.order(value.type.ndim))
        group = Group(len(self.groups), kind, shape, math.prod(shape), shape_cuts(shape))
        if inner == 1:
            group.row, group.rows, group.whole = reduced, outer, spec.whole
        else:
            group.columns = (outer, reduced, inner)
        self.groups.append(group)
        self._add(group, node, Level.ROW, group.cuts, 1)
