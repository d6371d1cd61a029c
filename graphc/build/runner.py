"""Compiler processes: started without a shell, several at once, every failure explained."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphc.build.cpu import cores
from graphc.errors import CompilerError

__all__ = ["Job", "capture", "run_all"]


@dataclass(frozen=True)
class Job:
    """A command line, and the file to look at when it fails."""

    command: tuple[str, ...]
    source: Path | None = None


def run_all(jobs: Sequence[Job], folder: Path, environment: Mapping[str, str]) -> None:
    """Runs jobs in `folder`, as many at a time as there are cores.

    The first failure ends the others and is raised as a `CompilerError`; so does an interrupt.
    """
    running: deque[tuple[Job, subprocess.Popen[bytes]]] = deque()
    limit = cores()
    try:
        for job in jobs:
            if len(running) >= limit:
                _finish(*running[0])
                running.popleft()
            running.append((job, _start(job, folder, environment, subprocess.DEVNULL)))
        while running:
            _finish(*running[0])
            running.popleft()
    finally:
        for _, process in running:
            with process:
                process.kill()


def capture(job: Job, environment: Mapping[str, str]) -> str:
    """The standard output of one short job; `CompilerError` when it fails."""
    with _start(job, None, environment, subprocess.PIPE) as process:
        return _finish(job, process).decode(errors="replace")


def _start(
    job: Job, folder: Path | None, environment: Mapping[str, str], stdout: int
) -> subprocess.Popen[bytes]:
    # What it says comes through a pipe: a file could not be written on a full disk.
    try:
        return subprocess.Popen(
            job.command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise CompilerError(
            f"{job.command[0]} could not be started: {error.strerror}",
            command=job.command,
            source=job.source,
            hint="graphc doctor; or set CC to a C compiler that works",
        ) from error


def _finish(job: Job, process: subprocess.Popen[bytes]) -> bytes:
    output, errors = process.communicate()
    _check(job, process.returncode, errors)
    return output


def _check(job: Job, code: int, stderr: bytes) -> None:
    """Raises what a process's exit status means; compilers pass on how their own parts ended."""
    if code == 0:
        return
    text = stderr.decode(errors="replace")
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        problem = f"the C compiler was ended by signal {name}"
    else:
        problem = f"the C compiler failed with status {code}"
    if "No space left" in text:
        hint = "free space on the disk, or set GRAPHC_CACHE_DIR to a folder on another one"
    elif code == -signal.SIGKILL or "Killed" in text or "out of memory" in text:
        hint = "free memory: the system ends processes when it has none left"
    elif code < 0 or "internal compiler error" in text or "PLEASE submit a bug report" in text:
        hint = "another compiler: set CC, or pip install 'graphc[cc]'"
    else:
        hint = "graphc doctor; another compiler: set CC"
    raise CompilerError(problem, command=job.command, stderr=text, source=job.source, hint=hint)
