"""Runs the systems against each other: one process each, one of them awake at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Self

from benchmarks.systems import System
from benchmarks.worker import FIRST_STEPS
from benchmarks.workloads import Workload

Reply = dict[str, Any]

TOLERANCE = 1e-4
"""How far, relatively, a system's first losses may lie from the median of all systems."""


class WorkerError(Exception):
    """A worker ended without a reply; carries what it wrote to stderr."""

    def __init__(self, status: int, log: str) -> None:
        super().__init__(log.strip().rpartition("\n")[2] or f"exit status {status}")
        self.log = log


class Worker:
    """A worker process that runs only while it is asked.

    Between two questions its whole process group is stopped by a signal: threads that spin while
    they wait for work, as those of OpenMP do, take nothing from the system that is being timed, and
    every system keeps its own wait policy. The group stays in this session, so the kernel ends it
    if this process dies.
    """

    def __init__(self, system: System, workload: Workload, threads: int, cache: Path) -> None:
        environment = {k: v.format(cache=cache) for k, v in system.environment.items()}
        self._log = open(cache / "stderr", "a+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", system.name, workload.name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | environment | {"OMP_NUM_THREADS": str(threads)},
            text=True,
            process_group=0,
        )

    def ask(self, command: str, **arguments: float) -> Reply:
        """Wakes the worker, waits for its reply, stops it. Raises `WorkerError`."""
        commands, replies = self._process.stdin, self._process.stdout
        assert commands is not None and replies is not None
        self._signal(signal.SIGCONT)
        with suppress(BrokenPipeError):  # it has ended: the empty reply says so
            commands.write(json.dumps([command, arguments]) + "\n")
            commands.flush()
        reply = replies.readline()
        if not reply:
            status = self._process.wait()
            self._log.seek(0)
            raise WorkerError(status, self._log.read())
        self._signal(signal.SIGSTOP)
        return json.loads(reply)

    def _signal(self, number: signal.Signals) -> None:
        os.killpg(self._process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)
        self._process.communicate()
        self._log.close()


@dataclass
class Result:
    """What a system did on a workload. Seconds and bytes; `samples` are seconds a step.

    `status` is `ok`, or why there is no rank: `absent`, `unsupported`, `failed`, `disagrees`.
    A compile time is what the first steps took beyond the median of as many later ones.
    """

    system: str
    status: str = "ok"
    detail: str = ""
    log: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    loss_difference: float | None = None
    samples: list[float] = field(default_factory=list)
    steps: int = 0
    first_cold: float = 0.0
    first_warm: float = 0.0
    peak_rss: int = 0

    @property
    def minimum(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def compile_cold(self) -> float:
        return max(0.0, self.first_cold - FIRST_STEPS * self.median)

    @property
    def compile_warm(self) -> float:
        return max(0.0, self.first_warm - FIRST_STEPS * self.median)


class Race:
    """One workload on several systems; `run` fills `results`, in the order of `systems`.

    `foreign` becomes the number of processors that other processes kept busy during the timing.
    """

    foreign = 0.0

    def __init__(
        self,
        workload: Workload,
        systems: Sequence[System],
        threads: int,
        say: Callable[[str], None],
    ) -> None:
        self.workload, self.threads, self.say = workload, threads, say
        self.systems = {system.name: system for system in systems}
        self.results = {
            name: Result(name, "ok" if system.supports(workload.name) else "unsupported")
            for name, system in self.systems.items()
        }

    def run(self, seconds: float, block: float) -> list[Result]:
        """Builds with empty caches, times in alternating blocks, builds again with full caches."""
        with TemporaryDirectory(prefix="benchmark-") as caches:
            with ExitStack() as stack:
                workers = self.start(caches, stack)
                self.time(workers, seconds, block)
            self.restart(caches)
        judge([result for _, result in self._running()])
        return list(self.results.values())

    def start(self, caches: str, stack: ExitStack) -> dict[str, Worker]:
        """Every system that can, built with an empty cache below `caches`, and stopped."""
        workers = {}
        for name, result in self._running():
            Path(caches, name).mkdir()
            workers[name] = stack.enter_context(self._worker(name, caches))
            built = self._build(workers[name], result)
            if built is not None:
                result.losses, result.first_cold = built["losses"], built["seconds"]
        return workers

    def restart(self, caches: str) -> None:
        """Builds again, in new processes, with the caches that are left."""
        for name, result in self._running():
            with self._worker(name, caches) as worker:
                built = self._build(worker, result)
                if built is not None:
                    result.first_warm = built["seconds"]

    def _running(self) -> list[tuple[str, Result]]:
        return [item for item in self.results.items() if item[1].status == "ok"]

    def _worker(self, name: str, caches: str) -> Worker:
        return Worker(self.systems[name], self.workload, self.threads, Path(caches, name))

    def _ask(
        self, worker: Worker, result: Result, command: str, **arguments: float
    ) -> Reply | None:
        """The reply, or None and the reason in the result."""
        try:
            return worker.ask(command, **arguments)
        except WorkerError as error:
            result.status, result.detail, result.log = "failed", str(error), error.log
            return None

    def _build(self, worker: Worker, result: Result) -> Reply | None:
        self.say(f"{self.workload.name}: building {result.system}")
        hello = self._ask(worker, result, "hello")
        if hello is None:
            return None
        if "absent" in hello:
            result.status, result.detail = "absent", f"{hello['absent']} is not installed"
            return None
        result.versions = hello["versions"]
        return self._ask(worker, result, "build")

    def time(self, workers: dict[str, Worker], seconds: float, block: float) -> None:
        """Turns of `block` seconds until each has had `seconds`."""
        began, busy, spent = time.perf_counter(), busy_seconds(), 0.0
        while spent < seconds:
            for name, result in self._running():
                self.say(f"{self.workload.name}: timing {name}, {spent:.1f} of {seconds:g} s")
                timed = self._ask(workers[name], result, "time", seconds=block)
                if timed is not None:
                    result.samples += timed["samples"]
                    result.steps += len(timed["samples"]) * timed["repeat"]
                    busy += timed["processor"]
            spent += block
        self.foreign = (busy_seconds() - busy) / (time.perf_counter() - began)
        for name, result in self._running():
            memory = self._ask(workers[name], result, "memory")
            if memory is not None:
                result.peak_rss = memory["peak_rss"]


def busy_seconds() -> float:
    """Processor seconds that this machine has spent on anything since it started."""
    ticks = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)[1:9]
    user, nice, system, _idle, _iowait, *interrupts = map(int, ticks)
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def judge(results: Sequence[Result]) -> None:
    """Compares the first losses with the median over frameworks; too far, or NaN, `disagrees`.

    A framework has one vote, whatever the number of its systems.
    """
    votes = {r.system.partition(".")[0]: r.losses for r in reversed(results)}
    middle = [median(losses) for losses in zip(*votes.values(), strict=True)]
    for result in results:
        distances = [abs(a - b) / abs(b) for a, b in zip(result.losses, middle, strict=True)]
        result.loss_difference = max(distances)
        if not all(distance <= TOLERANCE for distance in distances):
            result.status = "disagrees"
            result.detail = f"first losses {result.losses}, where the median is {middle}"
