"""Greedy placement: buffers by rank, each in a gap between those that were placed before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


class Buffers:
    """What is placed: sizes, lifetimes by rank of their steps, and the lower bound of any plan."""

    def __init__(self, sizes: Sequence[int], first: Sequence[int], last: Sequence[int]) -> None:
        ranks = {step: rank for rank, step in enumerate(sorted({*first, *last}))}
        self.sizes = list(sizes)
        self.first = [ranks[t] for t in first]
        self.last = [ranks[t] for t in last]
        self.duration = [b - a for a, b in zip(first, last, strict=True)]
        self.max_live = self._max_live(len(ranks))

    def __len__(self) -> int:
        return len(self.sizes)

    def _max_live(self, steps: int) -> int:
        change = np.zeros(steps + 1, np.int64)
        np.add.at(change, self.first, self.sizes)
        np.subtract.at(change, self.last, self.sizes)
        return int(np.cumsum(change).max())

    def orderings(self) -> list[list[int]]:
        """Large before small by size, duration and area, and early before late."""
        size, first, duration = self.sizes, self.first, self.duration
        rankings: list[Callable[[int], tuple[int, ...]]] = [
            lambda k: (-size[k], -duration[k], first[k]),
            lambda k: (-duration[k], -size[k], first[k]),
            lambda k: (first[k], -size[k], -duration[k]),
            lambda k: (-size[k] * duration[k], -size[k], first[k]),
        ]
        return [sorted(range(len(self)), key=ranking) for ranking in rankings]


class Placement:
    """The buffers of `order` in turn, each in the lowest gap that fits or, with `best_fit`, in the
    smallest one; the space below the lowest buffer is a gap too.
    """

    def __init__(self, buffers: Buffers, order: Sequence[int], best_fit: bool) -> None:
        self.buffers = buffers
        self.order = list(order)
        self.best_fit = best_fit
        self.offsets = np.zeros(len(buffers), np.int64)
        self.peak = 0

    def run(self, limit: int | None = None) -> bool:
        """Places everything; gives up (False) where the peak would reach `limit`."""
        b = self.buffers
        count = len(self.order)
        # Placed buffers by ascending offset. Slices of memory views move without a copy.
        begin, end = np.empty(count, np.int64), np.empty(count, np.int64)
        first, last = np.empty(count, np.int32), np.empty(count, np.int32)
        columns = [c.data for c in (begin, end, first, last)]
        for n, k in enumerate(self.order):
            size, born, dead = b.sizes[k], b.first[k], b.last[k]
            rivals = np.flatnonzero((first[:n] < dead) & (last[:n] > born))
            at = self._gap(size, begin[rivals], end[rivals]) if rivals.size else 0
            if limit is not None and at + size >= limit:
                return False
            self.offsets[k] = at
            self.peak = max(self.peak, at + size)
            place = int(begin[:n].searchsorted(at))
            for column, entry in zip(columns, (at, at + size, born, dead), strict=True):
                column[place + 1 : n + 1] = column[place:n]
                column[place] = entry
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


def place(buffers: Buffers, placements: int, certain: int, patience: int) -> Placement:
    """The best of a portfolio of rankings and gaps, and of a local search from there, until the
    peak is the lower bound. At most `placements` buffers are placed in all, but by no fewer than
    `certain` attempts; `patience` attempts in a row without success end the local search.
    """
    orderings = buffers.orderings()
    tries = [(order, best_fit) for best_fit in (False, True) for order in orderings]
    best = Placement(buffers, *tries[0])
    best.run()
    budget = placements // max(len(buffers), 1)
    for number, (order, best_fit) in enumerate(tries[1:], 1):
        if best.peak == buffers.max_live or number >= max(budget, certain):
            return best
        attempt = Placement(buffers, order, best_fit)
        if attempt.run(best.peak):
            best = attempt
    return _improved(best, budget - len(tries), patience)


def _improved(best: Placement, budget: int, patience: int) -> Placement:
    """Local search: what lies at the top was placed too late, so it moves forward in the ranking,
    by half of its rank, then by a quarter, …; a smaller peak starts again from there.
    """
    sizes = np.asarray(best.buffers.sizes)
    fruitless = 0
    while best.peak > best.buffers.max_live and budget > 0 and fruitless < patience:
        ends = best.offsets + sizes
        top = [k for k in best.order if ends[k] == best.peak]
        chosen = top[fruitless % len(top)]
        rank = best.order.index(chosen)
        order = [k for k in best.order if k != chosen]
        order.insert(rank - (rank + 1 >> 1 + fruitless // len(top)), chosen)
        attempt = Placement(best.buffers, order, best.best_fit)
        budget -= 1
        if attempt.run(best.peak):
            best, fruitless = attempt, 0
        else:
            fruitless += 1
    return best
