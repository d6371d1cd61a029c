"""Where a forward pass can be cut into segments, with little to keep at the boundaries.

The last segment goes back first, while all boundaries are still held; the first one goes back last,
when nothing else is. So segments that need the same memory become shorter and shorter: n values of
one size need √(2n) of it, where equal segments need 2√n. No schedule that computes each value at
most twice needs less (Griewank and Walther, Revolve, 2000). Equal segments take fewer plans to find
where layers differ much.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
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
#: How exactly the least limit is found.
_PRECISION = 1 / 64


@dataclass(frozen=True)
class Forward:
    """The forward nodes in order, and the values that lie in memory between them.

    `last[v]` is the position of the last forward node that reads v, through views too; `wanted` are
    values that the backward pass reads of a segment.
    """

    nodes: tuple[Node, ...]
    last: dict[Value, int]
    wanted: frozenset[Value]

    @classmethod
    def of(cls, graph: Graph, turn: Turn, wanted: frozenset[Value]) -> Forward:
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
        return cls(nodes, last, wanted)

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
    def filled(self) -> list[int]:
        """Bytes of what is wanted that are computed up to each position."""
        sizes = (sum(v.type.nbytes for v in n.outputs if v in self.wanted) for n in self.nodes)
        return list(accumulate(sizes))

    @cached_property
    def smallest(self) -> int:
        """About the least limit, in bytes, with which `within` finds segments."""
        low, high = 0, self.filled[-1] if self.filled else 0
        while high - low > max(1, high * _PRECISION):
            middle = (low + high) // 2
            if self.within(middle) is None:
                low = middle
            else:
                high = middle
        return high

    def within(self, limit: int) -> list[int] | None:
        """The positions behind which segments end, the last one not among them, such that what is
        wanted of each takes at most `limit` bytes with the boundaries before it; None where no
        such are found. A segment ends as late as it can where little has to be kept.
        """
        found: list[int] = []
        start = held = 0
        while self.filled and self.filled[-1] - start > limit - held:
            low = bisect_left(self.filled, start + (limit - held) / 2)
            high = bisect_right(self.filled, start + limit - held)
            places = [i for i in range(low, high) if self.crossing[i] and self.filled[i] > start]
            least = min((self.crossing[i] for i in places), default=0)
            narrow = [i for i in places if self.crossing[i] <= _NARROW * least]
            if not narrow:
                return None
            # Behind the last of what is wanted there, before anything else is computed.
            end = max(narrow, key=lambda i: (self.filled[i], -i))
            found.append(end)
            start = self.filled[end]
            held += self.crossing[end]
        return found

    @cached_property
    def computed(self) -> list[int]:
        """Bytes computed up to each position."""
        return list(
            accumulate(sum(v.type.nbytes for v in n.outputs if v in self.last) for n in self.nodes)
        )

    def equal(self, count: int) -> list[int]:
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
