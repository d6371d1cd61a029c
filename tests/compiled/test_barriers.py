"""Where threads wait for one another, from what kernels touch: a race need not show in a run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import graphc as gx
from graphc.codegen.hazards import Access, barriers
from graphc.schedule.program import Buffer, Memory
from graphc.schedule.share import RowShare

A, B = (Buffer(Memory.ARENA, 0, 64, offset=at) for at in (0, 64))
OVER_BOTH = Buffer(Memory.WORKSPACE, 0, 64, offset=32)
INPUT, OUTPUT = Buffer(Memory.INPUT, 0, 64), Buffer(Memory.OUTPUT, 0, 64)
ROWS, OTHER_ROWS = RowShare(8, 1), RowShare(4, 1)


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [
        (Access([], [A]), Access([A], [B]), True),
        (Access([A], [B]), Access([], [A]), True),
        (Access([], [A]), Access([], [A]), True),
        (Access([A], [B]), Access([A], [OUTPUT]), False),
        (Access([INPUT], [A]), Access([INPUT], [OUTPUT]), False),
        (Access([], [A]), Access([OVER_BOTH], [OUTPUT]), True),
        (Access([OVER_BOTH], [OUTPUT]), Access([], [B]), True),
        (Access([], [OUTPUT]), Access([A], [B]), False),
        (Access([], [A], share=ROWS), Access([A], [B], share=ROWS), False),
        (Access([], [A], share=ROWS), Access([A], [B], share=OTHER_ROWS), True),
        (Access([], [A], share=ROWS), Access([A], [B]), True),
        (Access([], [A], share=ROWS), Access([A], [B], False, ROWS, frozenset({A})), True),
        (Access([], [A], meets=True), Access([A], [B]), True),
    ],
)
def test_two_steps(first: Access, second: Access, waits: bool) -> None:
    assert barriers([first, second]) == [False, waits]


def _race(one: Access, other: Access) -> bool:
    """Whether two threads may touch one byte in two steps, of which one writes it."""

    def spans(step: Access, buffers: list[Buffer]) -> list[tuple[int, int, RowShare | None]]:
        return [
            (b.offset, b.offset + b.nbytes, None if b in step.astray else step.share)
            for b in buffers
        ]

    pairs = [
        *itertools.product(spans(one, one.writes), spans(other, [*other.reads, *other.writes])),
        *itertools.product(spans(one, one.reads), spans(other, other.writes)),
    ]
    return any(a[0] < b[1] and b[0] < a[1] and not (a == b and a[2] is not None) for a, b in pairs)


@pytest.mark.parametrize("again", [False, True])
def test_between_any_two_steps_that_race_all_threads_meet(again: bool) -> None:
    rng = np.random.default_rng(0)
    places = [Buffer(Memory.ARENA, 0, 64 * n, offset=64 * k) for k in range(6) for n in (1, 2)]

    def drawn(most: int) -> list[Buffer]:
        return [places[k] for k in rng.integers(0, len(places), rng.integers(0, most + 1))]

    for _ in range(300):
        steps = []
        for _ in range(int(rng.integers(2, 9))):
            reads, writes = drawn(2), drawn(1) or drawn(1)
            share = [None, ROWS, OTHER_ROWS][int(rng.integers(3))]
            astray = frozenset(b for b in (*reads, *writes) if rng.random() < 0.3)
            steps.append(Access(reads, writes, bool(rng.random() < 0.2), share, astray))
        waits = barriers(steps, again)
        # Twice around the loop, if it is one: every pair of steps with what lies between them.
        rounds, met = (2 if again else 1) * len(steps), waits * (2 if again else 1)
        for k in range(rounds):
            for j in range(k):
                one, other = steps[j % len(steps)], steps[k % len(steps)]
                between = any(met[j + 1 : k + 1])
                # A step inside of which all threads meet ends what came before it.
                between |= any(steps[i % len(steps)].meets for i in range(j + 1, k))
                assert between or not _race(one, other), (steps, waits, j, k)


def test_blocks_of_columns_are_there_before_they_are_added() -> None:
    """Tall columns are summed in blocks; all threads meet before the blocks' sums are added."""
    x = np.ones((4000, 24), np.float32)
    lowered = gx.trace(lambda x: gx.sum(x * 2.0, axis=0), x).lower(threads=2)
    (kernel,) = lowered.kernels
    blocks, added = kernel.c_text.split("gx_barrier_wait(", 1)
    assert "for (" in blocks and "for (" in added
