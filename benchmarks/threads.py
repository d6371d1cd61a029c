"""`python -m benchmarks.threads`: one step with more threads than the machine has cores, and beside
processes that keep the cores busy. Nowhere may it take much longer than on one thread.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.systems.graphc_steps import compile_step
from benchmarks.workloads import WORKLOADS

Call = Callable[[], Any]


def busy() -> None:
    """Takes all the time that it gets."""
    while True:
        pass


def times(call: Call, seconds: float) -> list[float]:
    """Milliseconds of the calls that fit into some seconds, in order of size."""
    found = []
    end = time.perf_counter() + seconds
    call()
    while time.perf_counter() < end or not found:
        begin = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - begin))
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", nargs="?", default="lstm", choices=sorted(WORKLOADS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2], help="other processes")
    parser.add_argument("--seconds", type=float, default=1, help="for each of the measurements")
    given = parser.parse_args()
    calls: dict[int, tuple[Call, Call]] = {}
    for threads in given.threads:
        step, state, batch = compile_step(
            WORKLOADS[given.workload], WORKLOADS[given.workload].arrays(), threads
        )
        second = WORKLOADS[given.workload].arrays()
        other = compile_step(WORKLOADS[given.workload], second, threads)
        calls[threads] = step.bind(state, batch), other[0].bind(*other[1:])
    print(f"{given.workload}: least, median and largest milliseconds of a step")
    print(f"{'busy':>4} {'threads':>7} {'least':>9} {'median':>9} {'largest':>9}  of two callers")
    context = multiprocessing.get_context("spawn")
    for count in given.busy:
        others = [context.Process(target=busy, daemon=True) for _ in range(count)]
        for process in others:
            process.start()
        time.sleep(0.5 if others else 0)
        for threads, (call, other_call) in calls.items():
            found = times(call, given.seconds)
            with ThreadPoolExecutor(2) as both:
                pair = list(both.map(lambda c: times(c, given.seconds), (call, other_call)))
            line = [found[0], statistics.median(found), found[-1]]
            medians = "  ".join(f"{statistics.median(p):9.2f}" for p in pair)
            print(
                f"{count:>4} {threads:>7} " + " ".join(f"{t:>9.2f}" for t in line),
                f" {medians}",
                flush=True,
            )
        for process in others:
            process.kill()
            process.join()


if __name__ == "__main__":
    main()
