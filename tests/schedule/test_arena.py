"""The arena planner: every plan replayed, optimal where brute force can tell, public instances."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from graphc.errors import GraphcError
from graphc.schedule.arena import ArenaPlan, Lifetime, check, plan, read_csv

from .buffers import perfect_packing, random_buffers, smallest_peak, training_like

INSTANCES = os.environ.get("GRAPHC_DSA_DATA")
needs_instances = pytest.mark.skipif(
    not INSTANCES, reason="GRAPHC_DSA_DATA names no folder with public instances"
)


def instance(name: str) -> list[Lifetime]:
    assert INSTANCES is not None
    return read_csv((Path(INSTANCES) / name).read_text().splitlines())


@pytest.mark.parametrize("seed", range(60))
def test_random_plans_replay(seed: int) -> None:
    buffers = random_buffers(seed, 3 * seed, 2 + seed, 5000)
    result = plan(buffers)
    check(buffers, result)
    assert result.peak <= sum(-(-b.size // 64) * 64 for b in buffers)


@pytest.mark.parametrize("seed", range(40))
def test_small_problems_are_solved_exactly(seed: int) -> None:
    buffers = random_buffers(seed, 6, 6, 9)
    result = plan(buffers, alignment=1)
    check(buffers, result, alignment=1)
    assert result.peak == smallest_peak(buffers)


@pytest.mark.parametrize("seed", range(10))
def test_more_effort_is_never_worse(seed: int) -> None:
    buffers = random_buffers(seed, 60, 40, 5000)
    peaks = [plan(buffers, effort=effort).peak for effort in (0, 0.3, 1)]
    assert peaks == sorted(peaks, reverse=True)


def test_the_search_finds_what_greedy_placement_does_not() -> None:
    buffers = perfect_packing(seed=1, count=80)
    greedy, searched = plan(buffers, effort=0), plan(buffers)
    check(buffers, greedy)
    check(buffers, searched)
    assert greedy.ratio > 1.1
    assert searched.ratio == 1.0


def test_what_is_not_live_together_shares_bytes() -> None:
    result = plan([Lifetime(100, 0, 2), Lifetime(100, 2, 4), Lifetime(60, 1, 3)])
    assert result.offsets[0] == result.offsets[1]
    assert (result.peak, result.max_live, result.ratio) == (192, 192, 1.0)


def test_the_gap_below_the_lowest_buffer_is_used() -> None:
    """Placed by size: 4 at the bottom, 3 above it, then 2 below the 3 where the 4 is gone."""
    buffers = [Lifetime(4, 0, 2), Lifetime(3, 1, 4), Lifetime(2, 2, 4)]
    result = plan(buffers, alignment=1)
    check(buffers, result, alignment=1)
    assert result.peak == 7
    assert result.offsets[2] < result.offsets[1]


def test_nothing_and_empty_buffers_take_no_space() -> None:
    assert plan([]) == ArenaPlan((), 0, 0)
    assert plan([]).ratio == 1.0
    buffers = [Lifetime(0, 0, 5), Lifetime(0, 2, 3), Lifetime(1, 0, 5)]
    result = plan(buffers)
    check(buffers, result)
    assert result.peak == 64


@pytest.mark.parametrize("bad", [Lifetime(-1, 0, 1), Lifetime(8, 3, 3), Lifetime(8, 3, 2)])
def test_impossible_buffers_are_refused(bad: Lifetime) -> None:
    with pytest.raises(GraphcError, match="buffer 1 cannot be planned"):
        plan([Lifetime(8, 0, 1), bad])


def test_training_graphs_are_planned_without_waste() -> None:
    for layers in (5, 50, 500):
        buffers = training_like(layers)
        result = plan(buffers)
        check(buffers, result)
        assert result.ratio <= 1.01


def test_equal_input_gives_equal_plans() -> None:
    buffers = random_buffers(5, 200, 50, 10_000)
    assert plan(buffers) == plan(buffers)


def test_twenty_thousand_buffers() -> None:
    buffers = training_like(10_000)
    result = plan(buffers)
    assert result.ratio <= 1.01
    # The whole is replayed at every fiftieth step only: the checker is quadratic in what is live.
    for step in range(0, 20_000, 997):
        live = [k for k, b in enumerate(buffers) if b.first <= step < b.last]
        spans = sorted((result.offsets[k], buffers[k].size) for k in live)
        assert all(a + n <= b for (a, n), (b, _) in itertools.pairwise(spans))


class TestTheChecker:
    """It must find every kind of fault, or the replays above prove nothing."""

    buffers = (Lifetime(64, 0, 3), Lifetime(64, 2, 5), Lifetime(64, 3, 4))

    def test_accepts_the_plan(self) -> None:
        check(self.buffers, ArenaPlan((0, 64, 0), 128, 128))

    @pytest.mark.parametrize(
        ("offsets", "message"),
        [
            ((0, 0, 64), "buffers 0 and 1 overlap at step 2"),
            ((0, 64, 64), "overlap at step 3"),
            ((0, 32, 128), "not a multiple of 64"),
            ((0, -64, 64), "not a multiple of 64"),
            ((0, 64, 128), "true are 192"),
            ((0, 64), "2 offsets for 3 buffers"),
        ],
    )
    def test_finds_faults(self, offsets: tuple[int, ...], message: str) -> None:
        with pytest.raises(GraphcError, match=message):
            check(self.buffers, ArenaPlan(offsets, 128, 128))

    def test_finds_a_wrong_bound(self) -> None:
        with pytest.raises(GraphcError, match="live bytes"):
            check(self.buffers, ArenaPlan((0, 64, 0), 128, 64))

    def test_finds_a_moved_buffer_in_a_real_plan(self) -> None:
        buffers = training_like(30)
        good = plan(buffers)
        moved = list(good.offsets)
        moved[10] = moved[12]
        with pytest.raises(GraphcError):
            check(buffers, replace(good, offsets=tuple(moved)))


def test_reads_the_columns_by_name() -> None:
    rows = ["size,id,upper,lower", "7,a,3,1", "", "9,b,4,2"]
    assert read_csv(rows) == [Lifetime(7, 1, 3), Lifetime(9, 2, 4)]


@needs_instances
def test_the_example_of_minimalloc_is_planned_perfectly() -> None:
    buffers = instance("minimalloc-example.12.csv")
    result = plan(buffers, alignment=1)
    check(buffers, result, alignment=1)
    assert result.peak == 12


@needs_instances
def test_resnet50() -> None:
    buffers = instance("idealloc-resnet50.csv")
    result = plan(buffers, alignment=1)
    check(buffers, result, alignment=1)
    assert result.ratio <= 1.005


@needs_instances
@pytest.mark.parametrize("name", ["A", "C", "F"])
def test_challenging_instances_are_packed_perfectly(name: str) -> None:
    buffers = instance(f"minimalloc-{name}.1048576.csv")
    result = plan(buffers, alignment=1)
    check(buffers, result, alignment=1)
    assert result.ratio == 1.0
