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
    running: deque[tuple[Job, subprocess.Popen[bytes], Path]] = deque()
    limit = cores()
    try:
        for i, job in enumerate(jobs):
            if len(running) >= limit:
                _finish(*running[0])
                running.popleft()
            log = folder / f"{i}.log"
            with log.open("wb") as output:
                running.append((job, _start(job, folder, environment, output.fileno()), log))
        while running:
            _finish(*running[0])
            running.popleft()
    finally:
        for _, process, _ in running:
            process.kill()
            process.wait()


def capture(job: Job, environment: Mapping[str, str]) -> str:
    """The standard output of one short job; `CompilerError` when it fails."""
    process = _start(job, None, environment, subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        output, errors = process.communicate()
    _check(job, process.returncode, errors)
    return output.decode(errors="replace")


def _start(
    job: Job,
    folder: Path | None,
    environment: Mapping[str, str],
    stderr: int,
    stdout: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            job.command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    except OSError as error:
        raise CompilerError(
            f"{job.command[0]} could not be started: {error.strerror}",
            command=job.command,
            source=job.source,
            hint="graphc doctor; or set CC to a C compiler that works",
        ) from error


def _finish(job: Job, process: subprocess.Popen[bytes], log: Path) -> None:
    code = process.wait()
    _check(job, code, log.read_bytes())


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
