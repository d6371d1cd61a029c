"""From a traced step to its plan: optimized, with what is kept for the backward pass chosen."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from graphc.memory import Saved, plans
from graphc.passes.pipeline import Stage
from graphc.schedule.budget import Plan, Search
from graphc.schedule.kernel import MODEL, Choices
from graphc.schedule.program import schedule
from graphc.trace import Traced

#: What happens to a graph while it is planned.
_REBUILD = (
    "What is cheaper to compute again than to keep is computed again for the backward pass;"
    " predicates that wait for it are packed; what is computed row by row may become a loop over"
    " strips of rows."
)


@dataclass(frozen=True, eq=False)
class Planning:
    """The graph as written, after each pass and as it is scheduled; its plan, and the search for
    others; and how long all that took.
    """

    stages: tuple[Stage, ...]
    plan: Plan
    search: Search
    seconds: float = 0.0


@dataclass(frozen=True)
class Planner:
    """Plans a step for an instruction set and a number of threads. `keep` and `recompute` are what
    the user has decided; `budget` limits the arena, in bytes.
    """

    isa: str
    threads: int
    keep: tuple[Saved, ...] = ()
    recompute: tuple[Saved, ...] = ()
    budget: int | None = None

    def plan(self, traced: Traced[Any, Any], choices: Choices = MODEL) -> Planning:
        """The plan with these choices for kernels. Raises ArgumentError, and MemoryBudgetError."""
        begin = time.perf_counter()
        optimized = traced.stages[-1].graph
        settled = time.perf_counter()
        wishes = plans.wishes(optimized, self.keep, self.recompute)
        key = (wishes, self.isa, self.threads, tuple(sorted(choices.items())))
        search = traced.searches.get(key)
        if search is None:
            scheduled = partial(schedule, isa=self.isa, threads=self.threads, choices=choices)
            search = traced.searches[key] = Search(optimized, wishes, scheduled)
        if self.budget is None:
            plan = search.plan(wishes)
        else:
            plan = plans.within(search, self.budget, traced.signature.name)
        end = time.perf_counter()
        stages = (*traced.stages, Stage("rebuild", plan.program.graph, end - settled, _REBUILD))
        return Planning(stages, plan, search, end - begin)
