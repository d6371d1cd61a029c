"""Compiler processes: started without a shell, several at once, every failure explained."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
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

    The first failure is raised as a `CompilerError`. It ends the other jobs, as an interrupt does.
    """
    crew = _Crew(folder, environment)
    with ThreadPoolExecutor(min(len(jobs), cores())) as threads:
        try:
            pending = {threads.submit(crew.run, job) for job in jobs}
            while pending:
                # Not for ever: an interrupt just before the wait would be seen only after it.
                done, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
        except BaseException:
            crew.stop()
            raise


def capture(job: Job, environment: Mapping[str, str]) -> str:
    """The standard output of one short job; `CompilerError` when it fails."""
    with _start(job, None, environment, subprocess.PIPE) as process:
        output, errors = process.communicate()
    _check(job, process.returncode, errors)
    return output.decode(errors="replace")


class _Crew:
    """The processes of one call. They are started from threads, because an interrupt reaches only
    the main thread: there it could come between a process's start and the first trace of it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.guard = threading.Lock()
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def run(self, job: Job) -> None:
        with self.guard:
            if self.stopped:
                return
            process = _start(job, self.folder, self.environment, subprocess.DEVNULL)
            self.running.add(process)
        with process:
            _, errors = process.communicate()
        with self.guard:
            self.running.remove(process)
        _check(job, process.returncode, errors)

    def stop(self) -> None:
        with self.guard:
            self.stopped = True
            for process in self.running:
                process.kill()


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
