"""The process's one pool of threads, in a library that is never unloaded.

Workers sleep inside the library between regions, so that it may not go away while they live; and
two pools would share the same cores. Generated code gets a pointer to a ``gx_runtime``.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import Any

from graphc.build import cpu
from graphc.build.library import load
from graphc.build.runtime_files import include_closure
from graphc.errors import ArgumentError, GraphcError
from graphc.ir.site import required

__all__ = ["MAX_THREADS", "RuntimePool", "check_status", "check_threads", "runtime"]

#: More threads than any machine has cores; each costs a stack when it is first used.
MAX_THREADS = 1024

_CDEF = """
typedef struct gx_barrier gx_barrier;
typedef struct { int id, count; gx_barrier *barrier; } gx_thread;
typedef void gx_task(void *context, gx_thread thread);
int gx_pool_run(void *pool, gx_task *task, void *context, int threads);
void *gx_pool_create(int threads, int cores);
const void *gx_pool_runtime(void *pool);
int gx_pool_start(void *pool, int threads);
int gx_pool_started(void *pool);
void gx_pool_destroy(void *pool);
"""


class RuntimePool:
    """A pool of at most `MAX_THREADS` threads, which start when a region first needs them.

    `handle` is the ``const gx_runtime *`` for generated code, as a cffi ``void *`` that any cffi
    interface takes. Regions of several Python threads share the `cores`, and a region gets one
    thread while the machine is busy; with 0 cores it gets as many as it asks for, whatever the
    machine has and does. In the child of a fork the pool starts new workers.
    """

    def __init__(self, cores: int) -> None:
        source = include_closure("pool.c")
        text = source.pop("pool.c")
        self._library = load(text, _CDEF, headers=source, flags=("-pthread",), resident=True)
        self.cores = cores
        self._pool = self._library.lib.gx_pool_create(MAX_THREADS, cores)
        if not self._pool:
            raise MemoryError("no memory for a pool of threads")
        self.handle: Any = self._library.lib.gx_pool_runtime(self._pool)

    @property
    def started(self) -> int:
        """How many workers live, the calling threads not among them."""
        return int(self._library.lib.gx_pool_started(self._pool))

    def start(self, threads: int) -> None:
        """Starts the workers that regions of `threads` threads need, ahead of the first one."""
        check_status(self._library.lib.gx_pool_start(self._pool, threads), threads)

    def run(self, task: Any, context: Any, threads: int) -> None:
        """Runs a C function of type ``gx_task`` on at most `threads` threads and waits for them.

        `task` and `context` are cffi pointers. `GraphcError` when the system has no more threads.
        """
        run = self._library.lib.gx_pool_run
        ffi = self._library.ffi
        check_status(run(self._pool, ffi.cast("gx_task *", task), context, threads), threads)


def check_threads(threads: int) -> int:
    """The number itself if a pool can have as many threads, else `ArgumentError`."""
    if not 1 <= required(threads, int, "threads") <= MAX_THREADS:
        raise ArgumentError(f"threads: expected 1 to {MAX_THREADS}, got {threads}")
    return threads


def check_status(status: int, threads: int) -> None:
    """Raises what a status that is not 0, from a region of `threads` threads, means."""
    if status == errno.EINVAL:
        check_threads(threads)
    if status:
        raise GraphcError(
            f"cannot start {threads} threads: {os.strerror(status)}; "
            "raise the limit (ulimit -u), or lower with fewer threads"
        )


def runtime() -> RuntimePool:
    """The process's pool, made at the first call. Raises `CompilerError` and `CacheError`."""
    global _pool
    with _guard:
        if _pool is None:
            _pool = _new_pool()
        return _pool


def _new_pool() -> RuntimePool:
    return RuntimePool(cpu.cores())


def _renew_guard() -> None:
    """A forked child has no thread that could release the guard which another one held."""
    global _guard
    _guard = threading.Lock()


_pool: RuntimePool | None = None
_guard = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_guard)
