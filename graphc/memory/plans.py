"""The choice between bytes and work: plans of a step, from the fastest to the smallest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from graphc.autodiff.effort import is_pure
from graphc.errors import ArgumentError, MemoryBudgetError
from graphc.ir.graph import Graph
from graphc.ir.site import required
from graphc.memory import ledger
from graphc.schedule.budget import Plan, Search
from graphc.schedule.remat import Policy, checkpointed, turn_of
from graphc.trace import Traced


class Choice(NamedTuple):
    """The arena of a plan in bytes, the flops of what it computes again, and the plan."""

    peak_bytes: int
    recompute_flops: int
    plan: Plan


def pareto(traced: Traced[Any, Any], **options: Any) -> list[Choice]:
    """The plans of a traced step that no other one beats: each needs more work and fewer bytes than
    the one before. The first is what `lower()` gives; `lower(memory_budget=b)` gives the first that
    fits into b. Options are those of `lower`, but for the budget.
    """
    search = required(traced, Traced, "pareto").lower(**options).search
    return [Choice(p.peak_bytes, p.recompute_flops, p) for p in search.pareto]


def wishes(graph: Graph, keep: Sequence[Any], recompute: Sequence[Any]) -> Policy:
    """What the user has decided: checkpointed calls, and rows of the ledger."""
    policy = checkpointed(graph, turn_of(graph))
    kept = ledger.find(keep, graph, "keep")
    again = ledger.find(recompute, graph, "recompute")
    for value in again:
        if value in kept:
            raise ArgumentError(f"{ledger.name(value)!r} is in keep and in recompute")
        if not is_pure(value.node):
            raise ArgumentError(f"recompute: {ledger.name(value)!r} cannot be computed again")
    nodes = policy.repeatable.union(v.node for v in again)
    return Policy(policy.weight, nodes, policy.keep - again | kept, policy.again - kept | again)


def within(search: Search, budget: int, name: str) -> Plan:
    """The fastest plan whose arena is no larger than a budget; raises MemoryBudgetError."""
    first = search.plan(search.base)
    if first.peak_bytes <= budget:
        return first
    for plan in search.pareto:
        if plan.peak_bytes <= budget:
            return plan
    least = search.pareto[-1].peak_bytes
    raise MemoryBudgetError(
        f"memory_budget: {budget} bytes are given, the smallest arena found for {name} has {least}",
        budget_bytes=budget,
        smallest_bytes=least,
    )
