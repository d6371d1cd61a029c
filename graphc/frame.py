"""The memory of a running step: its arena, and the tables of addresses that the C code reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from graphc import tree
from graphc.arguments import Arguments, require_in_place
from graphc.arrays import device_put
from graphc.build.library import Library
from graphc.build.pool import check_status, runtime
from graphc.results import Results
from graphc.stepcode import StepCode
from graphc.trace import Signature, dynamic_arguments
from graphc.transforms.tapping import Tapped, named


class Frame:
    """Memory for one running step: the arena and the tables of addresses."""

    def __init__(
        self, signature: Signature, code: StepCode, library: Library, entry: str = "graphc_step"
    ):
        self.signature = signature
        self.library = library
        self.ffi = library.ffi
        self.arena, self.arena_address = _aligned(self.ffi, code.arena_bytes)
        given = [*signature.hidden, *code.constants]
        count = len(signature.arguments)
        self.inputs = self.ffi.new("void *[]", max(1, count + len(given)))
        self.outputs = self.ffi.new("void *[]", len(signature.results) + 1)
        self.threads = code.threads
        self.arguments = Arguments(signature, self.ffi, self.inputs)
        self.results = Results(signature, self.ffi, self.outputs)
        self.tapped = np.full((len(signature.taps), len(Tapped._fields)), np.nan)
        if signature.taps:
            self.outputs[len(signature.results)] = self.ffi.from_buffer(self.tapped)
        for k, array in enumerate(given, count):
            self.inputs[k] = self.ffi.from_buffer(array)
        self._alive = given
        #: The library's function with its first arguments; it gives a status.
        self.run = partial(
            getattr(library.lib, entry),
            self.inputs,
            self.outputs,
            self.arena_address,
            runtime().handle if code.threads > 1 else self.ffi.NULL,
        )

    def call(self, args: Sequence[Any]) -> Any:
        leaves, _alive = self.arguments.take(args)
        large = self.results.place()
        status = self.run()
        if status:
            check_status(status, self.threads)
        return self.results.copied(leaves, large)

    def bound(self, args: Sequence[Any]) -> Callable[[], Any]:
        leaves, alive = self.arguments.take(args)
        require_in_place(self.signature, leaves)
        result = self.results.in_place(leaves, self.results.place())
        run, threads = self.run, self.threads
        lock = threading.Lock()
        copies = self._copies(args, leaves)

        def bound_step() -> Any:
            with lock:
                for part, source in copies:
                    part[...] = source
                status = run()
            if status:
                check_status(status, threads)
            return result

        bound_step.keeps = (self, leaves, alive)  # type: ignore[attr-defined]
        bound_step.taps = self.taps  # type: ignore[attr-defined]
        return bound_step

    def _copies(
        self, args: Sequence[Any], fitted: Sequence[Any]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """The arrays of a smaller size than the largest, each behind the part of the array that is
        read in its place.
        """
        bound = self.signature.bound
        if bound is None or int(fitted[-1]) == bound.largest:
            return []
        given = tree.leaves(dynamic_arguments(self.signature, args))
        return [
            (bound.rows(fitted[k], kind.axes, int(fitted[-1])), given[k])
            for k, kind in bound.arguments.items()
        ]

    def taps(self) -> dict[str, Tapped]:
        return named(self.signature.taps, self.tapped)

    def timed(self, args: Sequence[Any], count: int, runs: int) -> list[list[int]]:
        """So many times, in nanoseconds, of each of some runs of a profiled library, after one that
        does not count. Donated arrays are copied first.
        """
        _taken = self.arguments.take(device_put(list(args)))
        _large = self.results.place()
        found = []
        for _ in range(runs + 1):
            times = self.ffi.new("int64_t[]", max(1, count))
            status = self.run(times)
            if status:
                check_status(status, self.threads)
            found.append(list(times)[:count])
        return found[1:]


def _aligned(ffi: Any, size: int) -> tuple[Any, Any]:
    """Memory aligned to 64 bytes, and its address; it lives as long as the first of the two."""
    memory = np.empty(size + 64, np.uint8)
    start = -memory.__array_interface__["data"][0] % 64
    return memory, ffi.from_buffer(memory[start:])
