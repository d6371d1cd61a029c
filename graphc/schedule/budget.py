"""Plans under a memory budget: which of them are worth having, from the fastest to the smallest.

What a choice of kept values does to the arena can only be told by planning it: fusion, the order of
kernels and the packing all have their say. So candidates of several kinds are each scheduled and
planned in full. They are made without regard to any budget, and of all that were planned those stay
that no other one beats in both bytes and work: a larger budget never gives a slower plan.

Candidates: minimum cuts in which work weighs less and less, so that the products that are cheapest
for their bytes are repeated first (selective recomputation, Korthikanti et al. 2022); segments of
which the boundaries are kept (√n of them need O(√n) memory, Chen et al. 2016), for all of the
forward pass or for its first part; and from the best of these, repeatedly, what lies in
the arena at its peak and is large and long-lived for the work of computing it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from graphc.autodiff.effort import is_pure, work
from graphc.ir.garbage import garbage_kept
from graphc.ir.graph import Graph, Node, Value
from graphc.schedule.program import Memory, Program
from graphc.schedule.remat import Policy, choose, cloned, kept, turn_of
from graphc.schedule.segments import Forward

#: Weights of cuts, each with a quarter of the bytes for an operation of the one before.
WEIGHTS = tuple(4.0**-k for k in range(2, 6))
#: The weight within segments: next to nothing but statistics is kept between boundaries.
LIGHTEST = 1 / 8192
#: Numbers of equal segments, while each has this many nodes.
SEGMENTS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
SEGMENT_NODES = 5
#: Bytes for segments that become shorter, in parts of the least that they can do with.
LIMITS = (1.0, 1.25, 1.75)
#: Parts of the forward pass, from its beginning, in which segments are computed again.
PARTS = (0.25, 0.5, 0.75)
#: Steps of the search from each of the best candidates, and how much of the arena's peak one step
#: tries to be rid of.
DESCENT = 8
SHARE = 1 / 12


@dataclass(frozen=True, eq=False)
class Plan:
    """A program, the policy that it follows, and the flops of what it computes again."""

    program: Program
    policy: Policy
    recompute_flops: int

    @property
    def peak_bytes(self) -> int:
        return self.program.plan.peak


class Search:
    """All plans of an optimized graph that a budget may choose from. `base` holds what the user
    has decided; `schedule` gives the program of a graph.
    """

    def __init__(self, graph: Graph, base: Policy, schedule: Callable[[Graph], Program]):
        self.graph = graph
        self.base = base
        self.schedule = schedule
        self.turn = turn_of(graph)
        self._planned: dict[frozenset[Node], Plan] = {}

    @cached_property
    def forward(self) -> Forward:
        wanted = kept(self.graph, self.turn, self.base)
        return Forward.of(self.graph, self.turn, wanted)

    @garbage_kept()
    def plan(self, policy: Policy) -> Plan:
        """The plan of a policy; one for all policies that repeat the same nodes."""
        again = choose(self.graph, self.turn, policy)
        if again not in self._planned:
            program = self.schedule(cloned(self.graph, self.turn, again))
            flops = sum(n.op.flops(*[v.type for v in n.inputs]) for n in again)
            self._planned[again] = Plan(program, policy, flops)
        return self._planned[again]

    @cached_property
    @garbage_kept()
    def pareto(self) -> list[Plan]:
        """The plans that none beats, fastest first: each needs less memory than the one before. The
        first is that of `base`, of which the work is not counted.
        """
        first = self.plan(self.base)
        list(self.cuts())
        segments = [(ends, self.plan(self._segments(ends))) for ends in self._divisions()]
        for ends, _ in sorted(segments, key=lambda s: s[1].peak_bytes)[:2]:
            for part in PARTS:
                self.plan(self._segments(ends, part))
        self._descend(first)
        self._descend(min(self._planned.values(), key=lambda p: p.peak_bytes))
        best = undominated(first, list(self._planned.values()))
        # A plan is as large as the step's graph: only those that may be chosen stay.
        self._planned = {k: p for k, p in self._planned.items() if p in best}
        return best

    def _divisions(self) -> Iterator[list[int]]:
        """Where segments end that are worth a plan."""
        for count in SEGMENTS:
            if count * SEGMENT_NODES <= len(self.forward.nodes):
                yield self.forward.equal(count)
        for part in LIMITS:
            yield self.forward.within(round(part * self.forward.smallest)) or []

    def _policy(self, weight: float, nodes: Sequence[Node], keep: frozenset[Value]) -> Policy:
        """The user's wishes, and beyond them these nodes may be repeated and these values stay."""
        repeatable = self.base.repeatable.union(n for n in nodes if is_pure(n))
        kept = self.base.keep | (keep - self.base.again)
        return Policy(weight, repeatable, kept, self.base.again)

    def cuts(self) -> Iterator[Plan]:
        """The plans of cuts through the whole forward pass, the least work first."""
        for weight in WEIGHTS:
            yield self.plan(self._policy(weight, self.forward.nodes, frozenset()))

    def _segments(self, boundaries: Sequence[int], part: float = 1.0) -> Policy:
        """Segments whose boundaries are kept. The last one is used as soon as it is computed."""
        used = boundaries[: max(1, round(part * len(boundaries)))]
        nodes = self.forward.nodes[: used[-1] + 1] if used else ()
        return self._policy(LIGHTEST, nodes, self.forward.kept(used))

    def _descend(self, plan: Plan) -> None:
        """From a plan down: what weighs most at the peak for its work is computed again as well."""
        for _ in range(DESCENT):
            chosen = self._heaviest(plan)
            after = self.plan(plan.policy.without(*chosen))
            if not chosen or after is plan:
                return
            plan = after

    def _heaviest(self, plan: Plan) -> frozenset[Value]:
        """Forward values that lie in the arena at its peak for the backward pass: the first by
        bytes × lifetime / work, up to a share of the peak.
        """
        program = plan.program
        step = program.peak_step
        held = []
        for value in self.forward.last:
            buffer = program.buffers.get(value)
            if buffer is None or buffer.memory is not Memory.ARENA or value in self.base.keep:
                continue
            if buffer.first <= step < buffer.last and buffer.values[-1] is value:
                lifetime = buffer.last - buffer.first
                held.append((buffer.nbytes * lifetime / max(1, work(value.node)), value))
        held = [(score, v) for score, v in held if is_pure(v.node) and v not in plan.policy.again]
        chosen: list[Value] = []
        total = 0
        for _, value in sorted(held, key=lambda h: -h[0]):
            if total >= SHARE * plan.peak_bytes:
                break
            chosen.append(value)
            total += value.type.nbytes
        return frozenset(chosen)


def undominated(first: Plan, plans: Sequence[Plan]) -> list[Plan]:
    """`first`, and of the smaller ones those that no other beats, by ascending work. Less work than
    that of `first` counts as equal: what is light is done again there because it costs nothing.
    """
    best = [first]
    for plan in sorted(
        plans, key=lambda p: (max(p.recompute_flops, first.recompute_flops), p.peak_bytes)
    ):
        if plan.peak_bytes < best[-1].peak_bytes:
            best.append(plan)
    return best
