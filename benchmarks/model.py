"""`python -m benchmarks --model`: the cost model's prediction of every kernel beside its time.

For each workload, as it is compiled for so many threads: its kernels, what they take together, what
the model says of them, and the median over the kernels of how far it is off, as a part of the time.
The last line has the median over all kernels.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.heldout import ALL
from benchmarks.systems import graphc_steps
from benchmarks.workloads import WORKLOADS
from graphc.build.machine import limits
from graphc.profile import Profile


def profiles(names: list[str], threads: int, seconds: float) -> Iterator[tuple[str, Profile]]:
    """Every workload's kernels, timed for about so long."""
    machine = limits(threads)
    for name in names:
        step, state, batch = graphc_steps.compile_step(ALL[name], ALL[name].arrays(), threads)
        trial = step.profile(state, batch, runs=2, limits=machine)
        runs = max(3, min(1000, int(seconds / (trial.total / 1e9))))
        yield name, step.profile(state, batch, runs=runs, limits=machine)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks --model", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(ALL))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each workload")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args()
    for name in parsed.workloads:
        if name not in ALL:
            parser.error(f"no {name!r}; there are {', '.join(ALL)}")
    names = parsed.workloads or list(WORKLOADS)
    found = dict(profiles(names, parsed.threads, parsed.seconds))
    errors = [row.error for profile in found.values() for row in profile.rows]
    if parsed.json:
        record = {name: profile.to_dict() for name, profile in found.items()}
        print(json.dumps(record | {"median_error": median(errors)}, indent=1))
        return
    table = Table("workload", "kernels", "measured ms", "predicted ms", "median error")
    for name, profile in found.items():
        times = f"{profile.total / 1e6:.3f}", f"{profile.predicted / 1e6:.3f}"
        table.add_row(name, str(len(profile.rows)), *times, f"{profile.error:.0%}")
    table.add_row("all", str(len(errors)), "", "", f"{median(errors):.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
