"""The arena: where in one block of memory each buffer of a step lies.

Two buffers may share bytes when they are not live at the same time. Finding the smallest arena is
NP-hard (dynamic storage allocation), so a portfolio of greedy placements is tried, each one a
ranking of the buffers and a choice of gap, and the best is improved by moving what lies at its top
forward in its ranking. The work is bounded by a count of placements and never by a clock, so equal
input gives equal plans. A plan whose peak equals the largest sum of live bytes is optimal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from graphc.errors import GraphcError

#: Bytes: a cache line, and the widest vector.
ALIGNMENT = 64
#: How many buffers may be placed by all attempts together; the first attempts always run.
PLACEMENTS = 60_000
#: Greedy attempts that run whatever they cost.
CERTAIN_ATTEMPTS = 2
#: Attempts in a row without a smaller peak that end the local search.
PATIENCE = 12


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A buffer of `size` bytes, live in the schedule's steps `first` to `last - 1`."""

    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ArenaPlan:
    """`offsets[k]` is where buffer k begins; `peak` the arena's bytes; `max_live` the largest sum
    of live bytes over the steps, below which no plan can go. Sizes count as rounded to alignment.
    """

    offsets: tuple[int, ...]
    peak: int
    max_live: int

    @property
    def ratio(self) -> float:
        """`peak / max_live`: 1.0 proves that no plan for these lifetimes is smaller."""
        return self.peak / self.max_live if self.max_live else 1.0


def plan(buffers: Sequence[Lifetime], alignment: int = ALIGNMENT) -> ArenaPlan:
    """Offsets, multiples of `alignment`, such that buffers live at one time do not overlap.

    Raises GraphcError for a negative size or a lifetime without a step.
    """
    for number, buffer in enumerate(buffers):
        if buffer.size < 0 or buffer.first >= buffer.last:
            raise GraphcError(f"buffer {number} cannot be planned: {buffer}")
    problem = _Problem(buffers, alignment)
    best = _Attempt(problem, problem.orderings[0], best_fit=False)
    best.run(None)
    _portfolio(problem, best)
    return ArenaPlan(tuple(best.offsets.tolist()), best.peak, problem.max_live)


def check(buffers: Sequence[Lifetime], plan: ArenaPlan, alignment: int = ALIGNMENT) -> None:
    """Replays a plan step by step; raises GraphcError where two live buffers overlap, where an
    offset is not aligned or lies outside the arena, or where a stated figure is not the true one.
    """
    if len(plan.offsets) != len(buffers):
        raise GraphcError(f"{len(plan.offsets)} offsets for {len(buffers)} buffers")
    births: dict[int, list[int]] = {}
    deaths: dict[int, list[int]] = {}
    for number, (buffer, offset) in enumerate(zip(buffers, plan.offsets, strict=True)):
        if offset < 0 or offset % alignment:
            raise GraphcError(f"buffer {number} begins at {offset}, not a multiple of {alignment}")
        if buffer.size:
            births.setdefault(buffer.first, []).append(number)
            deaths.setdefault(buffer.last, []).append(number)
    live: dict[int, int] = {}
    highest = most = 0
    for step in sorted(births.keys() | deaths.keys()):
        for number in deaths.get(step, ()):
            del live[number]
        for number in births.get(step, ()):
            live[number] = plan.offsets[number]
        if step not in births:
            continue
        end, below = 0, -1
        for number in sorted(live, key=live.__getitem__):
            if live[number] < end:
                raise GraphcError(f"buffers {below} and {number} overlap at step {step}")
            end, below = live[number] + _rounded(buffers[number].size, alignment), number
        highest = max(highest, end)
        most = max(most, sum(_rounded(buffers[n].size, alignment) for n in live))
    if (highest, most) != (plan.peak, plan.max_live):
        raise GraphcError(
            f"the plan states a peak of {plan.peak} and {plan.max_live} live bytes, "
            f"true are {highest} and {most}"
        )


def read_csv(lines: Iterable[str]) -> list[Lifetime]:
    """Buffers in the format of MiniMalloc: a header naming `lower`, `upper` and `size`, then a row
    a buffer; lifetimes are half open.
    """
    rows = [line.strip().split(",") for line in lines if line.strip()]
    column = {name.strip(): k for k, name in enumerate(rows[0])}
    return [
        Lifetime(int(r[column["size"]]), int(r[column["lower"]]), int(r[column["upper"]]))
        for r in rows[1:]
    ]


def _rounded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


class _Problem:
    """The buffers as arrays, the rankings of the portfolio and the lower bound."""

    def __init__(self, buffers: Sequence[Lifetime], alignment: int) -> None:
        self.sizes = [_rounded(b.size, alignment) for b in buffers]
        self.first = [b.first for b in buffers]
        self.last = [b.last for b in buffers]
        self.max_live = self._max_live()
        real = [k for k, size in enumerate(self.sizes) if size]
        self.orderings = [sorted(real, key=key) for key in self._rankings()]

    def _max_live(self) -> int:
        change: dict[int, int] = {}
        for size, first, last in zip(self.sizes, self.first, self.last, strict=True):
            change[first] = change.get(first, 0) + size
            change[last] = change.get(last, 0) - size
        live = most = 0
        for step in sorted(change):
            live += change[step]
            most = max(most, live)
        return most

    def _rankings(self) -> list[Callable[[int], tuple[int, ...]]]:
        """Large before small, by four measures; ties by the others, then by number."""
        size, first, last = self.sizes, self.first, self.last
        return [
            lambda k: (-size[k], first[k] - last[k], first[k], k),
            lambda k: (-size[k] * (last[k] - first[k]), -size[k], first[k], k),
            lambda k: (first[k] - last[k], -size[k], first[k], k),
            lambda k: (first[k], -size[k], first[k] - last[k], k),
        ]


class _Attempt:
    """One greedy placement: the buffers of `order` in turn, each in the lowest gap that fits or,
    with `best_fit`, in the smallest one; the space below the lowest buffer is a gap too.
    """

    def __init__(self, problem: _Problem, order: Sequence[int], best_fit: bool) -> None:
        self.problem = problem
        self.order = list(order)
        self.best_fit = best_fit
        self.offsets = np.zeros(len(problem.sizes), np.int64)
        self.peak = 0

    def run(self, limit: int | None) -> bool:
        """Places everything; gives up (False) where the peak would reach `limit`."""
        sizes, firsts, lasts = self.problem.sizes, self.problem.first, self.problem.last
        # Placed buffers by ascending offset; rows: begin, end, first step, last step.
        table = np.empty((4, len(self.order)), np.int64)
        for count, buffer in enumerate(self.order):
            begin, end, first, last = table[:, :count]
            size = sizes[buffer]
            rivals = np.flatnonzero((first < lasts[buffer]) & (last > firsts[buffer]))
            at = self._gap(size, begin[rivals], end[rivals]) if rivals.size else 0
            if limit is not None and at + size >= limit:
                return False
            self.offsets[buffer] = at
            self.peak = max(self.peak, at + size)
            place = int(begin.searchsorted(at))
            table[:, place + 1 : count + 1] = table[:, place:count].copy()
            table[:, place] = (at, at + size, firsts[buffer], lasts[buffer])
        return True

    def _gap(self, size: int, begin: np.ndarray, end: np.ndarray) -> int:
        floor = np.maximum.accumulate(end)
        gaps = begin.copy()
        gaps[1:] -= floor[:-1]
        fitting = np.flatnonzero(gaps >= size)
        if not fitting.size:
            return int(floor[-1])
        chosen = int(fitting[gaps[fitting].argmin()] if self.best_fit else fitting[0])
        return int(floor[chosen - 1]) if chosen else 0

    def take(self, other: _Attempt) -> None:
        self.order, self.best_fit = other.order, other.best_fit
        self.offsets, self.peak = other.offsets, other.peak


def _portfolio(problem: _Problem, best: _Attempt) -> None:
    """Tries the other rankings and gaps, then the local search, and leaves the best in `best`."""
    tries = [(order, best_fit) for best_fit in (False, True) for order in problem.orderings][1:]
    budget = PLACEMENTS // max(len(best.order), 1) - 1
    for number, (order, best_fit) in enumerate(tries):
        if best.peak == problem.max_live or number >= max(budget, CERTAIN_ATTEMPTS):
            return
        attempt = _Attempt(problem, order, best_fit)
        if attempt.run(best.peak):
            best.take(attempt)
    _improve(problem, best, budget - len(tries))


def _improve(problem: _Problem, best: _Attempt, budget: int) -> None:
    """Local search: what lies at the top was placed too late, so it moves forward in the ranking,
    by half of its rank, then by a quarter, …; a smaller peak starts again from there.
    """
    fruitless = 0
    while best.peak > problem.max_live and budget > 0 and fruitless < PATIENCE:
        ends = best.offsets + np.asarray(problem.sizes)
        top = [k for k in best.order if ends[k] == best.peak]
        chosen = top[fruitless % len(top)]
        rank = best.order.index(chosen)
        order = [k for k in best.order if k != chosen]
        order.insert(rank - (rank + 1 >> 1 + fruitless // len(top)), chosen)
        attempt = _Attempt(problem, order, best.best_fit)
        budget -= 1
        if attempt.run(best.peak):
            best.take(attempt)
            fruitless = 0
        else:
            fruitless += 1
