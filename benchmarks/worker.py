"""One system on one workload: a process that reads commands and writes replies, one JSON a line.

    hello                         versions of its packages, or the first that is absent
    build                         compiles and takes the first steps: seconds and losses
    time {"seconds": s}           a block of samples, each in seconds a step; processor seconds
    memory                        peak resident bytes of the process

It ends with its input. An error ends it with a traceback on stderr, and no reply.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.heldout import ALL
from benchmarks.systems import SYSTEMS, Program, System
from benchmarks.workloads import Workload

FIRST_STEPS = 5
SAMPLE_SECONDS = 1e-3
"""Steps shorter than this are timed several at a time, so that an asynchronous system may run
ahead as it does in use, and the clock's own cost does not count."""


def version(package: str) -> str:
    module = importlib.import_module(package)
    return getattr(module, "__version__", None) or metadata.version(package)


class Session:
    """The commands of a worker. `build` comes before `time`."""

    program: Program

    def __init__(self, system: System, workload: Workload, threads: int) -> None:
        self.system, self.workload, self.threads = system, workload, threads
        self.repeat = 1

    def hello(self) -> dict[str, Any]:
        for package in self.system.packages:
            if find_spec(package) is None:
                return {"absent": package}
        return {"versions": {package: version(package) for package in self.system.packages}}

    def build(self) -> dict[str, Any]:
        """Import of the framework and making of the arrays are not counted."""
        module, function = self.system.entry.split(":")
        start = getattr(importlib.import_module(f"benchmarks.systems.{module}"), function)
        arrays = self.workload.arrays()
        began = time.perf_counter()
        self.program = start(self.workload, arrays, self.threads)
        losses = [self.program.wait(self.program.step()) for _ in range(FIRST_STEPS)]
        seconds = time.perf_counter() - began
        while self.repeat * self.sample() < SAMPLE_SECONDS:
            self.repeat *= 2
        return {"seconds": seconds, "losses": losses}

    def sample(self) -> float:
        """Seconds a step, over `repeat` steps."""
        began = time.perf_counter()
        for _ in range(self.repeat):
            loss = self.program.step()
        self.program.wait(loss)
        return (time.perf_counter() - began) / self.repeat

    def time(self, seconds: float) -> dict[str, Any]:
        """The first sample refills the caches that other processes used, and is dropped."""
        processor = time.process_time()
        self.sample()
        end = time.perf_counter() + seconds
        samples = [self.sample()]
        while time.perf_counter() < end:
            samples.append(self.sample())
        processor = time.process_time() - processor
        return {"samples": samples, "repeat": self.repeat, "processor": processor}

    def memory(self) -> dict[str, Any]:
        """`VmHWM`: unlike `ru_maxrss` it does not remember the process that started this one."""
        status = Path("/proc/self/status").read_text(encoding="ascii")
        kibibytes = status.partition("VmHWM:")[2].split()[0]
        return {"peak_rss": int(kibibytes) * 1024}


def main(system: str, workload: str, threads: str) -> None:
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a framework prints is no reply
    session = Session(SYSTEMS[system], ALL[workload], int(threads))
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        f.__name__: f for f in (session.hello, session.build, session.time, session.memory)
    }
    for line in sys.stdin:
        command, arguments = json.loads(line)
        print(json.dumps(commands[command](**arguments)), file=replies)


if __name__ == "__main__":
    main(*sys.argv[1:])
