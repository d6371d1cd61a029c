"""Steps for another processor."""

from __future__ import annotations

from functools import partial
from typing import Any

from graphc.build import cpu
from graphc.passes.pipeline import Stage
from graphc.planning import Planning
from graphc.schedule.budget import Search
from graphc.schedule.program import schedule
from graphc.stages import Lowered


def retargeted(step: Lowered[Any, Any], target: str, threads: int) -> Lowered[Any, Any]:
    """The step planned as it was, but for a processor and a number of threads."""
    if (step.target, step.threads) == (target, threads):
        return step
    planned = partial(schedule, isa=cpu.isa(target), threads=threads)
    search = Search(step.search.graph, step.search.base, planned)
    plan = search.plan(step.plan.policy)
    stages = (*step.traced.stages, Stage("rebuild", plan.program.graph, 0.0))
    planning = Planning(stages, plan, search)
    return Lowered(step.traced, target, lambda: planning)
