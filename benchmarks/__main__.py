"""`python -m benchmarks`: times whole training steps against other systems."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.driver import Race
from benchmarks.heldout import ALL, HELD_OUT
from benchmarks.report import Comparison, plot, print_summary
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from graphc.build.machine import Limits


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="WORKLOAD",
        help=f"{', '.join(ALL)}; heldout: the last {len(HELD_OUT)}",
    )
    parser.add_argument("--systems", help=f"{', '.join(SYSTEMS)}; by default all that can")
    parser.add_argument("--threads", type=int, default=2, help="processors for each system")
    parser.add_argument("--seconds", type=float, default=3, help="timing of each system, at least")
    parser.add_argument("--block", type=float, default=0.3, help="seconds before the next's turn")
    parser.add_argument("--json", type=Path, metavar="OUT", help="writes every figure")
    parser.add_argument("--memory", action="store_true", help="bytes instead (see --memory --help)")
    parser.add_argument("--model", action="store_true", help="kernels' times and predictions")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draws the ratios (matplotlib)")
    parsed = parser.parse_args()
    given = parsed.workloads or WORKLOADS
    parsed.workloads = [n for name in given for n in (HELD_OUT if name == "heldout" else [name])]
    chosen = parsed.systems.split(",") if parsed.systems else []
    parsed.systems = chosen
    for given, known in ((parsed.workloads, ALL), (parsed.systems, SYSTEMS)):
        for name in given:
            if name not in known:
                parser.error(f"no {name!r}; there are {', '.join(known)}")
    if parsed.threads > len(os.sched_getaffinity(0)):
        parser.error(f"this process may use {len(os.sched_getaffinity(0))} processors")
    return parsed


def machine() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    pairs = [line.partition(":") for line in cpuinfo.splitlines()]
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    return {
        "cpu": fields.get("model name", platform.machine()),
        "cpu_family": fields.get("cpu family"),
        "cpu_model": fields.get("model"),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def measured_limits(threads: int) -> list[Limits]:
    """What one thread and all of them reach, measured in a process of its own; none without
    graphc.
    """
    if find_spec("graphc") is None:
        return []
    from graphc.build.machine import limits

    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return list(pool.map(limits, sorted({1, threads})))


def better(limits: list[Limits], again: list[Limits]) -> list[Limits]:
    """The most of two measurements."""
    return [type(both[0]).best(both) for both in zip(limits, again, strict=True)]


def compare(
    options: argparse.Namespace, limits: list[Limits], console: Console
) -> Iterator[Comparison]:
    """Every workload; beside the most that the machine was seen to do until then."""
    for name in options.workloads:
        able = [s.name for s in SYSTEMS.values() if s.supports(name)]
        systems = [SYSTEMS[system] for system in options.systems or able]
        with console.status("") as status:
            race = Race(ALL[name], systems, options.threads, status.update)
            results = race.run(options.seconds, options.block)
        limits[:] = better(limits, measured_limits(options.threads))
        yield Comparison(ALL[name], results, race.foreign, limits[-1] if limits else None)


def main() -> None:
    for name in ("memory", "model"):
        if f"--{name}" in sys.argv[1:]:
            # They need graphc, which the timing of other systems does not.
            sys.argv.remove(f"--{name}")
            import_module(f"benchmarks.{name}").main()
            return
    options = arguments()
    # Workers inherit the affinity; most systems take their number of threads from it.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    console, host = Console(), machine()
    console.print(f"{host['cpu']}, {options.threads} threads, load {host['load']:.2f} at the start")
    limits = measured_limits(options.threads)
    for each in limits:
        figures = f"{each.gflops:.0f} GFLOP/s, {each.gbytes_per_s:.0f} GB/s"
        console.print(f"limits of {each.threads} threads: {figures}")
    comparisons = []
    for comparison in compare(options, limits, console):
        comparisons.append(comparison)
        console.print(comparison.table(), *comparison.notes(), sep="\n")
    print_summary(console, comparisons)
    if options.json:
        record = {
            "machine": host,
            "limits": [asdict(each) for each in limits],
            "threads": options.threads,
            "seconds": options.seconds,
            "workloads": [comparison.record() for comparison in comparisons],
        }
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    if options.plot:
        plot(comparisons, options.plot)


if __name__ == "__main__":
    main()
