"""The loop of a run: batches of cases from consecutive seeds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from tests.fuzz import knobs
from tests.fuzz.case import Case
from tests.fuzz.generate import generate
from tests.fuzz.shrink import shrunk, write
from tests.fuzz.verdict import Failure, Plan, failures

Source: TypeAlias = Callable[[Iterable[int]], tuple[list[Case], list[Failure]]]

#: Cases of one compile.
BATCH = 25


@dataclass
class Tally:
    graphs: int = 0
    lines: int = 0
    found: list[Failure] = field(default_factory=list)


def plan_of(seed: int) -> Plan:
    """How the batch that begins with a seed is compiled."""
    rng = np.random.default_rng((seed, 1))
    flag = str(rng.choice(["", "-O0", "-O1"], p=[0.06, 0.88, 0.06]))
    threads = (int(rng.integers(1, 4)),) if rng.random() < 0.7 else (1, int(rng.integers(2, 5)))
    budget = float(rng.random()) if rng.random() < 0.2 else 0.0
    # clang is the faster one, gcc the usual one.
    compiler = "clang" if flag and rng.random() < 0.8 else ""
    return Plan(threads, knobs.draw(rng), flag, budget, compiler)


def own_cases(seeds: Iterable[int]) -> tuple[list[Case], list[Failure]]:
    return [generate(seed) for seed in seeds], []


def smith_cases(seeds: Iterable[int]) -> tuple[list[Case], list[Failure]]:
    """Cases of NNSmith's, and those in which PyTorch contradicts the reference."""
    from tests.fuzz.nnsmith import smith_case

    found = [pair for pair in map(smith_case, seeds) if pair is not None]
    wrong = [Failure(case, Plan((), {}), what) for case, lines in found for what in lines]
    return [case for case, _ in found], wrong


def run_batch(
    seed: int, count: int = BATCH, source: Source = own_cases
) -> tuple[list[Case], list[Failure]]:
    """`count` cases from a seed on, and their failures."""
    cases, wrong = source(range(seed, seed + count))
    return cases, [*wrong, *failures(cases, plan_of(seed))]


def run(
    seconds: float,
    seed: int,
    folder: Path,
    say: Callable[[str], None] = print,
    source: Source = own_cases,
    graphs: float = math.inf,
) -> Tally:
    """Batches until the time is over, or so many graphs have been run; failures are shrunk and
    written to `folder`.
    """
    tally, begin, shown = Tally(), time.monotonic(), 0.0
    while time.monotonic() - begin < seconds and tally.graphs < graphs:
        cases, found = run_batch(seed, source=source)
        tally.graphs += len(cases)
        tally.lines += sum(len(c.lines) for c in cases)
        for failure in found:
            smaller = shrunk(failure) if failure.plan.threads else failure
            tally.found.append(smaller)
            write(smaller, folder, say)
        seed += BATCH
        passed = time.monotonic() - begin
        if passed - shown > 20:
            shown = passed
            say(f"{passed:.0f} s: {tally.graphs} graphs, {len(tally.found)} failures, seed {seed}")
    return tally
