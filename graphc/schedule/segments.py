"""Where a forward pass can be cut into segments, with little to keep at the boundaries."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from graphc.autodiff.effort import spec_of
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.spec import View
from graphc.schedule.remat import Turn

#: Places that need so many times the bytes of the best one count as equally good.
_NARROW = 1.1


@dataclass(frozen=True)
class Forward:
    """The forward nodes in order, and the values that lie in memory between them.

    `last[v]` is the position of the last forward node that reads v, through views too.
    """

    nodes: tuple[Node, ...]
    last: dict[Value, int]

    @classmethod
    def of(cls, graph: Graph, turn: Turn) -> Forward:
        nodes = tuple(n for n in graph.nodes if n in turn.forward)
        last: dict[Value, int] = {}
        root: dict[Value, Value] = {}
        for position, node in enumerate(nodes):
            for value in node.inputs:
                if value in root:
                    last[root[value]] = position
            if isinstance(node.op, Input) or not (node.inputs or node.op.literal is None):
                continue
            if isinstance(spec_of(node), View):
                source = root.get(node.inputs[0])
                if source is not None:
                    root[node.outputs[0]] = source
            elif any(v in root or isinstance(v.node.op, Input) for v in node.inputs):
                # What depends on no argument is computed wherever it is read.
                root.update((v, v) for v in node.outputs if v.type.size > 1)
        return cls(nodes, last)

    @cached_property
    def crossing(self) -> list[int]:
        """Bytes computed up to each position and read behind it."""
        change = [0] * (len(self.nodes) + 1)
        place = {v: k for k, n in enumerate(self.nodes) for v in n.outputs}
        for value, last in self.last.items():
            change[place[value]] += value.type.nbytes
            change[last] -= value.type.nbytes
        return list(accumulate(change))

    @cached_property
    def computed(self) -> list[int]:
        """Bytes computed up to each position."""
        return list(
            accumulate(sum(v.type.nbytes for v in n.outputs if v in self.last) for n in self.nodes)
        )

    def boundaries(self, count: int) -> list[int]:
        """The positions behind which about equal segments end, the last one not among them: for
        each the nearest of the places that have the least to keep within a segment's length.
        """
        share = (self.computed[-1] if self.computed else 0) / count
        found: set[int] = set()
        for k in range(1, count):
            low = bisect_left(self.computed, max(k - 1, 0.5) * share)
            high = bisect_left(self.computed, min(k + 1, count - 0.5) * share)
            places = [i for i in range(low, high) if self.crossing[i]]
            least = min((self.crossing[i] for i in places), default=0)
            narrow = [i for i in places if self.crossing[i] <= _NARROW * least]
            if narrow:
                found.add(min(narrow, key=lambda i: abs(self.computed[i] - k * share)))
        return sorted(found)

    def kept(self, boundaries: Sequence[int]) -> frozenset[Value]:
        """What crosses any of some boundaries."""
        place = {n: k for k, n in enumerate(self.nodes)}
        return frozenset(
            value
            for value, last in self.last.items()
            if any(place[value.node] <= b < last for b in boundaries)
        )
