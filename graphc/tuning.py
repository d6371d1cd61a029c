"""`tune=True`: the cuts of kernels measured on this machine, and remembered.

What may be chosen (`Kernel.candidates`) changes no bit of a result. All kernels of a step are
measured together: in every round each runs as its next candidate, in its place among the others,
with the caches as they leave them, and the rounds are gone through several times. The winners lie
in the cache of compiled libraries under the processor and the kernel, so another step with such a
kernel measures nothing.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphc.build import cpu
from graphc.build.cache import Cache
from graphc.sample_arguments import as_arguments, random_leaves
from graphc.schedule.kernel import MODEL, Choices, Kernel
from graphc.schedule.program import Program

if TYPE_CHECKING:
    from graphc.stages import Lowered

Identity = tuple[str, ...]
Timed = Callable[["Lowered[Any, Any]", Sequence[Any], int], list[list[int]]]

#: The candidates take turns: a change of the machine's clock, or a neighbour, meets all of them.
_TURNS = 4
#: Nanoseconds for which a turn runs the step, about, and how often at least.
_TURN = 5e7
_RUNS = 3
#: Another candidate than the model's has to be faster by more than clocks and neighbours make out.
_FASTER = 0.97


def measured_choices(planned: Callable[[Choices], Lowered[Any, Any]], timed: Timed) -> Choices:
    """The candidate of every kernel that is fastest, where it is not the first. `planned` lowers
    the step with some choices; `timed` gives the nanoseconds of each kernel in some runs.
    """
    first = planned(MODEL)
    found: dict[Identity, int] = {}
    winners: dict[Identity, int] = {}

    def store(identity: Identity, path: Path) -> None:
        if not winners:
            winners.update(_winners(first, planned, timed))
        path.write_text(str(winners[identity]), encoding="ascii")

    cache = Cache.default()
    for identity in _counts(first.program):
        key = {
            "kind": "tuning",
            "kernel": json.dumps(identity),
            "threads": str(first.threads),
            "target": first.target,
            "processor": cpu.identity(),
        }
        chosen = cache.get_or_build(key, partial(store, identity)).read_text(encoding="ascii")
        if int(chosen):
            found[identity] = int(chosen)
    return found


def _counts(program: Program) -> dict[Identity, int]:
    """How many candidates there are for each kind of kernel that has any."""
    return {
        kernel.identity: len(kernel.candidates)
        for whole in program.nested()
        for kernel in whole.kernels
        if len(kernel.candidates) > 1
    }


def _identities(kernel: Kernel) -> set[Identity]:
    """A kernel's own, and those inside of it: a loop's kernels are chosen by the loop's time."""
    inside = [k for program in kernel.programs for whole in program.nested() for k in whole.kernels]
    return {k.identity for k in (kernel, *inside)}


def _winners(
    first: Lowered[Any, Any], planned: Callable[[Choices], Lowered[Any, Any]], timed: Timed
) -> dict[Identity, int]:
    """The number of the fastest candidate of every kind of kernel."""
    counts = _counts(first.program)
    arguments = as_arguments(first.signature, random_leaves(first.signature, [0], positive=True))
    rounds = [
        {identity: number for identity, count in counts.items() if number < count}
        for number in range(max(counts.values()))
    ]
    steps = [first, *map(planned, rounds[1:])]
    (once,) = timed(first, arguments, 1)
    runs = max(_RUNS, int(_TURN / max(1, sum(once))))
    sums: dict[Identity, list[float]] = {
        identity: [math.inf] * count for identity, count in counts.items()
    }
    for _ in range(_TURNS):
        for number, (step, tried) in enumerate(zip(steps, rounds, strict=True)):
            spent: defaultdict[Identity, int] = defaultdict(int)
            times = zip(*timed(step, arguments, runs), strict=True)
            for kernel, of_kernel in zip(step.program.kernels, times, strict=True):
                for identity in _identities(kernel):
                    spent[identity] += min(of_kernel)
            for identity in tried:
                sums[identity][number] = min(sums[identity][number], spent[identity])
    winners: dict[Identity, int] = {}
    for identity, times_of in sums.items():
        # The first one's time counts as if it were a little less.
        weighed = [times_of[0] * _FASTER, *times_of[1:]]
        winners[identity] = weighed.index(min(weighed))
    return winners
