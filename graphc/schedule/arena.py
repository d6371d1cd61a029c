"""The arena: where in one block of memory each buffer of a step lies.

Two buffers may share bytes when they are not live at the same time. Finding the smallest arena is
NP-hard (dynamic storage allocation). First greedy placements are tried (`placement.py`); where they
do not reach the largest sum of live bytes, below which no plan can go, a complete search tries to
(`packing.py`). All effort is counted in steps and never in seconds, so equal input gives equal
plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from graphc.errors import GraphcError
from graphc.schedule import packing, placement

#: Bytes: a cache line, and the widest vector.
ALIGNMENT = 64
#: How many buffers greedy attempts may place in all (about 50 000 a second).
PLACEMENTS = 40_000
#: Greedy attempts that are made whatever they cost.
CERTAIN_ATTEMPTS = 2
#: Greedy attempts in a row without a smaller peak that end the local search.
PATIENCE = 12
#: Steps of the complete search for an effort of 1, and those of one choice beside one for every
#: buffer of every section.
SEARCH_STEPS = 12_000_000
CHOICE_STEPS = 4_000
#: The search ends when the arena is within this part of what could not be reached.
TOLERANCE = 1 / 2048


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


def plan(buffers: Sequence[Lifetime], alignment: int = ALIGNMENT, effort: float = 1.0) -> ArenaPlan:
    """Offsets, multiples of `alignment`, such that buffers live at one time do not overlap.

    `effort` scales the complete search: 1 adds at most about a quarter of a second, and nothing
    for problems that are too large to be searched in that time; 0 does without it.
    Raises GraphcError for a negative size or a lifetime without a step.
    """
    for number, buffer in enumerate(buffers):
        if buffer.size < 0 or buffer.first >= buffer.last:
            raise GraphcError(f"buffer {number} cannot be planned: {buffer}")
    real = [k for k, buffer in enumerate(buffers) if buffer.size]
    offsets = np.zeros(len(buffers), np.int64)
    if not real:
        return ArenaPlan(tuple(offsets.tolist()), 0, 0)
    problem = placement.Buffers(
        [_rounded(buffers[k].size, alignment) for k in real],
        [buffers[k].first for k in real],
        [buffers[k].last for k in real],
    )
    greedy = placement.place(problem, PLACEMENTS, CERTAIN_ATTEMPTS, PATIENCE)
    offsets[real], peak = greedy.offsets, greedy.peak
    if peak > problem.max_live:
        sections = packing.Sections(problem.sizes, problem.first, problem.last)
        choices = int(effort * SEARCH_STEPS) // (CHOICE_STEPS + sections.pairs)
        found = packing.smallest(sections, problem.max_live, peak, choices, TOLERANCE)
        if found is not None:
            offsets[real], peak = found, int((found + problem.sizes).max())
    return ArenaPlan(tuple(offsets.tolist()), peak, problem.max_live)


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
