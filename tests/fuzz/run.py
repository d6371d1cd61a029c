"""The loop of a run: batches of cases from consecutive seeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.fuzz import knobs
from tests.fuzz.generate import generate
from tests.fuzz.shrink import shrunk, write
from tests.fuzz.verdict import Failure, Plan, failures

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
    flag = str(rng.choice(["", "-O0", "-O1"], p=[0.08, 0.84, 0.08]))
    threads = (int(rng.integers(1, 4)),) if rng.random() < 0.7 else (1, int(rng.integers(2, 5)))
    budget = float(rng.random()) if rng.random() < 0.3 else 0.0
    return Plan(threads, knobs.draw(rng), flag, budget)


def run_batch(seed: int, count: int = BATCH) -> tuple[int, list[Failure]]:
    """Lines of code, and the failures, of `count` cases from a seed on."""
    cases = [generate(seed + k) for k in range(count)]
    return sum(len(c.lines) for c in cases), failures(cases, plan_of(seed))


def run(seconds: float, seed: int, folder: Path, say: Callable[[str], None] = print) -> Tally:
    """Batches until the time is over; failures are shrunk and written to `folder`."""
    tally, begin, shown = Tally(), time.monotonic(), 0.0
    while time.monotonic() - begin < seconds:
        lines, found = run_batch(seed)
        tally.graphs += BATCH
        tally.lines += lines
        for failure in found:
            smaller = shrunk(failure)
            tally.found.append(smaller)
            write(smaller, folder, say)
        seed += BATCH
        passed = time.monotonic() - begin
        if passed - shown > 20:
            shown = passed
            say(f"{passed:.0f} s: {tally.graphs} graphs, {len(tally.found)} failures, seed {seed}")
    return tally
