"""The memory of a running step: its arena, and the tables of addresses that the C code reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import arguments, tree
from graphc.build.library import Library
from graphc.build.pool import check_status, runtime
from graphc.schedule.program import Program
from graphc.trace import Signature


class Frame:
    """Memory for one running step: the arena and the tables of addresses."""

    def __init__(self, program: Program, signature: Signature, library: Library):
        self.signature = signature
        self.library = library
        self.ffi = library.ffi
        graph = program.graph
        self.arena, self.arena_address = _aligned(self.ffi, program.plan.peak)
        self.inputs = self.ffi.new("void *[]", max(1, len(graph.inputs)))
        self.outputs = self.ffi.new("void *[]", max(1, len(graph.outputs)))
        self.threads = program.threads
        self.runtime = runtime().handle if program.threads > 1 else self.ffi.NULL
        self.donor = {j: i for i, j in self.signature.donated}
        self.fresh = [
            (j, leaf.type.shape, leaf.type.dtype.numpy)
            for j, leaf in enumerate(self.signature.results)
            if j not in self.donor
        ]
        count = len(self.signature.arguments)
        for k, array in enumerate(self.signature.hidden):
            self.inputs[count + k] = self._address(array)

    def _address(self, array: np.ndarray) -> Any:
        return self.ffi.from_buffer(array)

    def _prepare(self, args: Sequence[Any]) -> tuple[list[np.ndarray], list[Any]]:
        """Fills the tables; gives what must stay alive, and the results as they will be."""
        arrays = arguments.check_arguments(self.signature, args)
        results: list[Any] = [None] * len(self.signature.results)
        if self.donor:
            given = arguments.given_leaves(self.signature, args)
            for j, i in self.donor.items():
                results[j] = given[i]
        for i, array in enumerate(arrays):
            self.inputs[i] = self._address(array)
        for j, shape, dtype in self.fresh:
            results[j] = array = np.empty(shape, dtype)
            self.outputs[j] = self._address(array)
        return arrays, results

    def _run(self) -> None:
        step = self.library.lib.graphc_step
        status = step(self.inputs, self.outputs, self.arena_address, self.runtime)
        if status:
            check_status(status, self.threads)

    def call(self, args: Sequence[Any]) -> Any:
        _alive, results = self._prepare(args)
        self._run()
        return tree.unflatten(self.signature.out_tree, results)

    def bound(self, args: Sequence[Any]) -> Callable[[], Any]:
        alive, results = self._prepare(args)
        result = tree.unflatten(self.signature.out_tree, results)
        step, inputs, outputs = self.library.lib.graphc_step, self.inputs, self.outputs
        arena, pool, threads = self.arena_address, self.runtime, self.threads
        lock = threading.Lock()

        def bound_step() -> Any:
            with lock:
                status = step(inputs, outputs, arena, pool)
            if status:
                check_status(status, threads)
            return result

        bound_step.keeps = (self, alive)  # type: ignore[attr-defined]
        return bound_step

    def timed(self, args: Sequence[Any], kernels: int, runs: int) -> list[list[int]]:
        """Nanoseconds of every kernel in each of some runs of a profiled library, after one that
        does not count. Donated arrays are copied first.
        """
        _alive, _results = self._prepare(tree.map(np.array, list(args)))
        times = self.ffi.new("int64_t[]", max(1, kernels))
        found = []
        for _ in range(runs + 1):
            step = self.library.lib.graphc_profile
            status = step(self.inputs, self.outputs, self.arena_address, self.runtime, times)
            if status:
                check_status(status, self.threads)
            found.append(list(times)[:kernels])
        return found[1:]


def _aligned(ffi: Any, size: int) -> tuple[Any, Any]:
    """Memory aligned to 64 bytes, and its address; it lives as long as the first of the two."""
    memory = np.empty(size + 64, np.uint8)
    start = -memory.__array_interface__["data"][0] % 64
    return memory, ffi.from_buffer(memory[start:])
