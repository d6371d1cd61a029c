"""The memory of a running step: its arena, and the tables of addresses that the C code reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import tree
from graphc.arguments import Arguments, require_in_place
from graphc.arrays import PAGE, device_put, empty
from graphc.build.library import Library
from graphc.build.pool import check_status, runtime
from graphc.stepcode import StepCode
from graphc.trace import Signature, dynamic_arguments
from graphc.transforms.tapping import Tapped, named
from graphc.treecode import unflattener


class Frame:
    """Memory for one running step: the arena and the tables of addresses."""

    def __init__(self, signature: Signature, code: StepCode, library: Library):
        self.signature = signature
        self.library = library
        self.ffi = library.ffi
        self.arena, self.arena_address = _aligned(self.ffi, code.arena_bytes)
        given = [*signature.hidden, *code.constants]
        count = len(signature.arguments)
        self.inputs = self.ffi.new("void *[]", max(1, count + len(given)))
        self.outputs = self.ffi.new("void *[]", len(signature.results) + 1)
        self.threads = code.threads
        self.runtime = runtime().handle if code.threads > 1 else self.ffi.NULL
        self.arguments = Arguments(signature, self.ffi, self.inputs)
        donors = {j: i for i, j in signature.donated}
        self.fresh = [
            (
                j,
                leaf.type.shape,
                leaf.type.dtype.numpy,
                np.empty if leaf.type.nbytes < 4 * PAGE else empty,
            )
            for j, leaf in enumerate(signature.results)
            if j not in donors
        ]
        kept = {j: (0, i) for j, i in donors.items()}
        made = {j: (1, k) for k, (j, *_) in enumerate(self.fresh)}
        sources = kept | made
        self.result = unflattener(signature.out_tree, [sources[j] for j in sorted(sources)])
        self.tapped = np.full((len(signature.taps), len(Tapped._fields)), np.nan)
        if signature.taps:
            self.outputs[len(signature.results)] = self.ffi.from_buffer(self.tapped)
        for k, array in enumerate(given, count):
            self.inputs[k] = self.ffi.from_buffer(array)
        self._alive = given

    def _prepare(self, args: Sequence[Any]) -> tuple[Any, Any]:
        """Fills the tables; gives the result as it will be, and what must stay alive until then."""
        leaves, arrays = self.arguments.take(args)
        address, outputs = self.ffi.from_buffer, self.outputs
        fresh = []
        for j, shape, dtype, make in self.fresh:
            array = make(shape, dtype)
            outputs[j] = address(array)
            fresh.append(array)
        bound = self.signature.bound
        if bound is not None:
            size = int(leaves[-1])
            parts = zip(self.fresh, fresh, strict=True)
            fresh = [bound.rows(x, bound.results.get(j, ()), size) for (j, *_), x in parts]
        return self.result(leaves, fresh), (leaves, arrays)

    def call(self, args: Sequence[Any]) -> Any:
        result, _alive = self._prepare(args)
        status = self.library.lib.graphc_step(
            self.inputs, self.outputs, self.arena_address, self.runtime
        )
        if status:
            check_status(status, self.threads)
        return result

    def bound(self, args: Sequence[Any]) -> Callable[[], Any]:
        result, alive = self._prepare(args)
        require_in_place(self.signature, alive[0])
        step, inputs, outputs = self.library.lib.graphc_step, self.inputs, self.outputs
        arena, pool, threads = self.arena_address, self.runtime, self.threads
        lock = threading.Lock()
        copies = self._copies(args, alive[0])

        def bound_step() -> Any:
            with lock:
                for part, source in copies:
                    part[...] = source
                status = step(inputs, outputs, arena, pool)
            if status:
                check_status(status, threads)
            return result

        bound_step.keeps = (self, alive)  # type: ignore[attr-defined]
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
        _result, _alive = self._prepare(device_put(list(args)))
        found = []
        for _ in range(runs + 1):
            times = self.ffi.new("int64_t[]", max(1, count))
            step = self.library.lib.graphc_profile
            status = step(self.inputs, self.outputs, self.arena_address, self.runtime, times)
            if status:
                check_status(status, self.threads)
            found.append(list(times)[:count])
        return found[1:]


def _maker(size: int) -> Callable[..., np.ndarray]:
    """What makes an array of a result: a good place costs a microsecond, as much as a small one."""
    return empty if size >= 4 * PAGE else np.empty


def _aligned(ffi: Any, size: int) -> tuple[Any, Any]:
    """Memory aligned to 64 bytes, and its address; it lives as long as the first of the two."""
    memory = np.empty(size + 64, np.uint8)
    start = -memory.__array_interface__["data"][0] % 64
    return memory, ffi.from_buffer(memory[start:])
