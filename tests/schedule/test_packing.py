"""The complete search: sound, complete, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.packing import files, row
from graphc.schedule.arena import ArenaPlan, Lifetime, check
from graphc.schedule.packing import Sections, fit, pack, smallest

from .buffers import perfect_packing, random_buffers, smallest_peak


def sections_of(buffers: list[Lifetime]) -> Sections:
    return Sections(
        [b.size for b in buffers], [b.first for b in buffers], [b.last for b in buffers]
    )


def ranked(sections: Sections) -> np.ndarray:
    return np.argsort(np.argsort(-sections.sizes, kind="stable"))


def replay(buffers: list[Lifetime], offsets: np.ndarray) -> int:
    """The peak of checked offsets."""
    peak = int((offsets + [b.size for b in buffers]).max())
    sections = sections_of(buffers)
    check(buffers, ArenaPlan(tuple(offsets.tolist()), peak, int(sections.load.max())), alignment=1)
    return peak


def positive(seed: int, count: int, steps: int, largest: int) -> list[Lifetime]:
    return [
        Lifetime(b.size + 1, b.first, b.last) for b in random_buffers(seed, count, steps, largest)
    ]


def test_sections_are_the_maximal_sets_of_live_buffers() -> None:
    """b begins while a is live, c begins when a has ended, d when all others have."""
    sections = sections_of(
        [Lifetime(1, 0, 4), Lifetime(2, 1, 9), Lifetime(4, 4, 6), Lifetime(8, 9, 10)]
    )
    assert sections.count == 3
    assert list(zip(sections.left.tolist(), sections.right.tolist(), strict=True)) == [
        (0, 1), (0, 2), (1, 2), (2, 3),
    ]  # fmt: skip
    assert sections.load.tolist() == [3, 6, 8]


@pytest.mark.parametrize("seed", range(20))
def test_buffers_share_a_section_when_they_share_a_step(seed: int) -> None:
    buffers = positive(seed, 12, 15, 9)
    s = sections_of(buffers)
    for i, a in enumerate(buffers):
        for j, b in enumerate(buffers):
            steps = a.first < b.last and b.first < a.last
            assert steps == bool(s.left[i] < s.right[j] and s.left[j] < s.right[i])


@pytest.mark.parametrize("seed", range(80))
def test_it_finds_the_optimum_and_proves_that_less_is_impossible(seed: int) -> None:
    buffers = positive(seed, 6, 3 + seed % 5, 9)
    best = smallest_peak(buffers)
    sections = sections_of(buffers)
    found = pack(sections, best, ranked(sections), 10_000)
    assert found.offsets is not None
    assert replay(buffers, found.offsets) <= best
    less = pack(sections, best - 1, ranked(sections), 10_000)
    assert (less.offsets, less.complete) == (None, True)


@pytest.mark.parametrize("seed", range(20))
def test_perfect_packings_are_found(seed: int) -> None:
    buffers = perfect_packing(seed, 50)
    outcome = fit(sections_of(buffers), 1 << 16, 20_000)
    assert outcome.offsets is not None
    assert replay(buffers, outcome.offsets) == 1 << 16


def test_the_limit_of_choices_is_kept() -> None:
    buffers = perfect_packing(3, 60)
    sections = sections_of(buffers)
    for limit in (0, 1, 30, 59):
        outcome = pack(sections, 1 << 16, ranked(sections), limit)
        assert (outcome.offsets, outcome.complete, outcome.nodes) == (None, False, limit)


def test_it_is_a_function_of_its_input() -> None:
    buffers = random_buffers(7, 80, 30, 5000)
    sections = sections_of([b for b in buffers if b.size])
    low = int(sections.load.max())
    first, second = (smallest(sections, low, 2 * low, 5000, 0.0) for _ in range(2))
    assert first is not None
    assert np.array_equal(first, second)


def test_nothing_is_packed_into_nothing() -> None:
    assert fit(sections_of([Lifetime(5, 0, 1)]), 4, 100).complete
    alone = fit(sections_of([Lifetime(5, 0, 1)]), 5, 100)
    assert alone.offsets is not None
    assert alone.offsets.tolist() == [0]


def test_a_dead_end_does_not_search_parts_that_it_does_not_touch() -> None:
    """Two problems one after the other in time: an impossible second one is not tried again for
    every way of packing the first."""
    easy = [Lifetime(1, k, k + 3) for k in range(40)]
    impossible = [Lifetime(b.size, b.first + 100, b.last + 100) for b in positive(5, 6, 4, 9)]
    best = smallest_peak(impossible)
    alone = sections_of(impossible)
    both = sections_of([*easy, *impossible])
    nodes = pack(alone, best - 1, ranked(alone), 10_000).nodes
    together = pack(both, best - 1, ranked(both), 10_000)
    assert (together.offsets, together.complete) == (None, True)
    assert together.nodes <= nodes + 2 * len(easy)


def test_the_benchmark_reads_instances_and_says_whether_they_fit(tmp_path):
    rows = ["id,lower,upper,size", "0,0,2,4", "1,1,3,4", "2,2,4,8"]
    for capacity in (12, 11):
        (tmp_path / f"small.{capacity}.csv").write_text("\n".join(rows))
    found = [row(path, 1, 1.0, 0.0) for path in files([tmp_path])]
    assert [(r[0], r[1], r[2], r[5]) for r in found] == [
        ("3", "12", "1.00000", "no"),
        ("3", "12", "1.00000", "yes"),
    ]
