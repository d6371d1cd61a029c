"""What this machine can do at most, measured: the ceilings to which kernels are compared."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.build import cpu
from graphc.build.library import Library, load
from graphc.build.pool import check_status, check_threads, runtime
from graphc.build.runtime_files import include_closure
from graphc.schedule.cost import Machine
from graphc.schedule.tiles import vector_bytes

__all__ = ["Limits", "limits", "meeting", "model"]

_CDEF = """
int gx_probe_chains(const void *runtime, int threads, int64_t rounds, float *sink);
int gx_probe_meetings(const void *runtime, int threads, int64_t rounds);
int gx_probe_triad(const void *runtime, int threads, int64_t n, float *a, float *b, float *c);
"""

_RUN_SECONDS = 0.01
_RUNS = 20
_ARRAY_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Limits:
    """The most that `threads` threads reach together.

    `gflops` counts a float32 multiply-add as two operations; `gbytes_per_s` counts what a triad
    ``a = b + s*c`` reads and writes, not what a cache reads before it writes. Both are decimal.
    """

    threads: int
    gflops: float
    gbytes_per_s: float

    @classmethod
    def best(cls, found: Sequence[Limits]) -> Limits:
        """The most of some measurements with the same threads."""
        most = max(one.gflops for one in found), max(one.gbytes_per_s for one in found)
        return cls(found[0].threads, *most)


def limits(threads: int, target: str = "native") -> Limits:
    """Measures the limits of this machine now, the best of some runs, in about a second; what code
    for a target can reach, whose vectors may be narrower than this processor's.

    Nothing is remembered: what else the machine does changes the answer. Raises `ArgumentError`,
    `CompilerError`, `CacheError`, and `GraphcError` when the threads cannot be started.
    """
    check_threads(threads)
    probe = _probe(target)
    return Limits(threads, _chains(probe, threads) / 1e9, _triad(probe, threads) / 1e9)


def meeting(threads: int) -> float:
    """Seconds in which threads, no more than there are cores, meet at a barrier to which all come
    at once, the best of some runs. Raises as `limits` does.
    """
    check_threads(threads)
    probe, rounds = _probe("native"), 1_000
    handle = runtime().handle

    found: dict[int, float] = {}
    for _ in range(_RUNS):
        start = time.perf_counter()
        count = int(probe.lib.gx_probe_meetings(handle, threads, rounds))
        seconds = time.perf_counter() - start
        check_status(max(0, -count), threads)
        # Where others keep the cores busy, some runs have one thread.
        found[count] = min(seconds, found.get(count, seconds))
    return found[max(found)] / rounds


def _probe(target: str) -> Library:
    headers = include_closure("probe.c")
    return load(headers.pop("probe.c"), _CDEF, target=target, headers=headers)


def model(limits: Limits, threads: int) -> Machine:
    """The machine of the cost model, for a step of so many threads: its clock is that of cores that
    start two vectors of multiply-adds a cycle.
    """
    lanes = vector_bytes(cpu.isa()) // 4
    clock = limits.gflops / limits.threads / (4 * lanes)
    caches = {
        name: size
        for name, size in (("second_cache", _cache_bytes(2)), ("last_cache", _cache_bytes(3)))
        if size
    }
    return Machine(threads, clock, limits.gbytes_per_s, **caches)


def _chains(probe: Library, threads: int) -> float:
    """Operations per second of multiply-adds between registers."""
    handle = runtime().handle
    sink = probe.ffi.new("float[]", threads)
    rounds = 1 << 12

    def run() -> int:
        status = int(probe.lib.gx_probe_chains(handle, threads, rounds, sink))
        check_status(max(0, -status), threads)
        return status

    operations = run() * threads
    while _seconds(run) < _RUN_SECONDS:
        rounds *= 2
    return operations * rounds / min(_seconds(run) for _ in range(_RUNS))


def _triad(probe: Library, threads: int) -> float:
    """Bytes per second of a triad over three arrays that together exceed the last cache."""
    handle = runtime().handle
    n = max(_ARRAY_BYTES, _cache_bytes(3)) // 4
    a, b, c = (
        probe.ffi.from_buffer("float[]", np.empty(n, np.float32), require_writable=True)
        for _ in range(3)
    )

    def run(out: Any, left: Any, right: Any) -> None:
        check_status(-probe.lib.gx_probe_triad(handle, threads, n, out, left, right), threads)

    # Memory that nobody has written is one page of zeros; and it lies near the first who writes.
    run(b, a, a)
    run(c, a, a)
    run(a, b, c)
    return 12 * n / min(_seconds(lambda: run(a, b, c)) for _ in range(_RUNS))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _cache_bytes(level: int) -> int:
    """The size of the cache of a level where the system tells it, else 0."""
    name = f"SC_LEVEL{level}_CACHE_SIZE"
    return os.sysconf(name) if name in getattr(os, "sysconf_names", ()) else 0
