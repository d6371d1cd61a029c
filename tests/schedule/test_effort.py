"""Effort is counted in attempts and choices: how much goes where, and in which order what is tried.
The plans that are found hardly show that; so what does the work stands aside here, or is counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from graphc.schedule import arena, packing
from graphc.schedule.arena import Lifetime
from graphc.schedule.packing import Outcome, Sections
from graphc.schedule.placement import Buffers, Placement, _improved, place
from tests.schedule.buffers import perfect_packing

MANY = 1 << 40


def hard(count: int) -> Buffers:
    """What no greedy placement places without waste."""
    found = perfect_packing(1, count)
    return Buffers([b.size for b in found], [b.first for b in found], [b.last for b in found])


@contextmanager
def attempts() -> Iterator[list[tuple[list[int], bool]]]:
    """The order of each attempt to place buffers, and its success."""
    made: list[tuple[list[int], bool]] = []
    run = Placement.run

    def counted(self: Placement, limit: int | None = None) -> bool:
        made.append((self.order, run(self, limit)))
        return made[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Placement, "run", counted)
        yield made


def test_attempts_are_as_many_as_their_buffers_allow() -> None:
    problem = hard(80)
    for allowed, certain, expected in ((20, 1, 20), (9, 1, 9), (8, 1, 8), (5, 1, 5), (0, 3, 3)):
        with attempts() as made:
            place(problem, allowed * len(problem), certain, MANY)
        assert len(made) == expected, (allowed, certain)


def test_attempts_in_vain_end_the_local_search() -> None:
    problem = hard(60)
    for patience in (1, 4, 7):
        with attempts() as made:
            place(problem, MANY, 1, patience)
        in_vain = list(itertools.takewhile(lambda a: not a[1], reversed(made[8:])))
        assert len(in_vain) == patience


def test_what_lies_at_the_top_moves_by_halves_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of eight buffers lie at the top; every attempt fails."""
    tried: list[list[int]] = []

    def fails(self: Placement, limit: int | None = None) -> bool:
        tried.append(self.order)
        return False

    monkeypatch.setattr(Placement, "run", fails)
    best = Placement(Buffers([1] * 8, [0] * 8, [1] * 8), range(8), best_fit=False)
    best.offsets[[3, 6]], best.peak = 8, 9
    assert _improved(best, 5, 100) is best
    assert tried == [
        [0, 3, 1, 2, 4, 5, 6, 7],
        [0, 1, 2, 6, 3, 4, 5, 7],
        [0, 1, 3, 2, 4, 5, 6, 7],
        [0, 1, 2, 3, 4, 6, 5, 7],
        [0, 1, 2, 3, 4, 5, 6, 7],
    ]


def test_nothing_is_tried_where_nothing_can_be_better(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = [Lifetime(64, k, 20 - k) for k in range(10)]
    monkeypatch.setattr(packing, "smallest", lambda *_: pytest.fail("the bound is reached"))
    assert arena.plan(buffers).ratio == 1.0
    best = Placement(Buffers([1] * 8, [0] * 8, [1] * 8), range(8), best_fit=False)
    assert best.run()
    monkeypatch.setattr(Placement, "run", lambda *_: pytest.fail("the bound is reached"))
    assert _improved(best, 5, 5) is best


def test_choices_of_the_search_are_paid_by_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """A choice costs the more the more sections buffers are in; `smallest` gets what is paid."""
    given: list[tuple[Any, ...]] = []
    monkeypatch.setattr(packing, "smallest", lambda *parts: given.append(parts))
    for effort in (1.0, 0.1):
        plan = arena.plan(perfect_packing(1, 80), effort=effort)
        sections, low, high, choices, tolerance = given.pop()
        cost = arena.CHOICE_STEPS + sections.pairs
        assert choices * cost <= effort * arena.SEARCH_STEPS < (choices + 1) * cost
        assert (low, high, tolerance) == (plan.max_live, plan.peak, arena.TOLERANCE)


def halved(least: int, low: int, high: int, nodes: int, tolerance: float, cost: int) -> list[Any]:
    """The capacities that are tried, with how many choices, where `least` and more can be packed
    at a `cost`; and the peak that is found.
    """
    tried: list[Any] = []

    def stands_in(sections: Sections, capacity: int, share: int) -> Outcome:
        tried.append((capacity, share))
        found = np.array([capacity - 10]) if capacity >= least else None
        return Outcome(found, True, cost)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "fit", stands_in)
        best = packing.smallest(Sections([10], [0], [1]), low, high, nodes, tolerance)
    return [*tried, None if best is None else int(best[0]) + 10]


def test_the_distance_to_the_bound_is_halved() -> None:
    assert halved(130, 100, 200, 1000, 0.0, 100) == [
        (100, 500), (150, 450), (125, 400), (138, 350), (132, 300), (129, 250), (131, 200),
        (130, 150), 130,
    ]  # fmt: skip
    assert halved(100, 100, 200, 1000, 0.0, 100) == [(100, 500), 100]


def test_a_distance_within_tolerance_ends_the_search() -> None:
    # From 150, which is still possible, to 200 it is a quarter of 200.
    assert halved(160, 149, 200, 1000, 0.25, 100) == [(149, 500), None]
    assert halved(160, 148, 200, 1000, 0.25, 100) == [(148, 500), (174, 450), 174]


def test_few_choices_end_the_search() -> None:
    """Less than one for each buffer finds nothing."""
    assert halved(130, 100, 200, 2, 0.0, 1) == [(100, 1), None]
    assert halved(130, 100, 200, 1, 0.0, 1) == [None]
    assert halved(130, 130, 130, 1000, 0.0, 1) == [None]


def test_each_ranking_gets_little_and_each_round_twice_as_much() -> None:
    sections = Sections([5, 4, 3, 2, 1], [0, 1, 2, 3, 4], [3, 4, 5, 6, 7])
    tried: list[tuple[list[int], int]] = []

    def stands_in(sections: Sections, capacity: int, rank: np.ndarray, nodes: int) -> Outcome:
        tried.append((rank.tolist(), nodes))
        return Outcome(None, len(tried) == ends, nodes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "pack", stands_in)
        ends = 0
        assert packing.fit(sections, 9, 100) == Outcome(None, False, 100)
        assert [nodes for _, nodes in tried] == [10, 10, 10, 20, 20, 20, 10]
        assert [r for r, _ in tried] == [packing._rank(sections, k).tolist() for k in range(7)]
        tried.clear()
        ends = 4
        assert packing.fit(sections, 9, 100) == Outcome(None, True, 50)
