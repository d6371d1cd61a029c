"""Which memory a program has besides that of its values' lifetimes: working memory of kernels,
tables, constants that are passed as inputs, and the empty arrays that nothing writes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.schedule import program
from graphc.schedule.program import LARGEST_TABLE, Memory
from tests.replay import replay
from tests.schedule.test_replay import cell, programs


def test_kernels_work_in_memory_of_their_own() -> None:
    """As much as they need on the threads that they run on, while they run."""
    needed = 0
    for outermost in (*programs(), cell().lower(threads=3).program):
        for found in outermost.nested():
            assert found.threads == max(k.workers(found.threads) for k in found.kernels)
            sizes = [k.workspace.total(k.workers(found.threads)) for k in found.kernels]
            held = {k: (b.nbytes, b.first, b.last) for k, b in found.workspaces.items()}
            pairs = enumerate(zip(found.kernels, sizes, strict=True))
            assert held == {k: (size, n, n + 1) for n, (k, size) in pairs if size}
            needed += len(held)
    assert needed


def test_rows_are_shared_alike_in_loops_and_between_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []
    monkeypatch.setattr(program, "share_rows", lambda kernels, threads: given.append(threads))
    cell().lower(threads=1)
    assert given == []
    cell().lower(threads=2)
    assert given == [2, 2]


def test_nothing_runs_on_one_thread() -> None:
    found = gx.trace(lambda x: gx.exp(x), gx.spec((0, 4))).lower(threads=3).program
    assert (found.kernels, found.threads, found.plan.peak) == ([], 1, 0)


def test_large_constants_are_inputs_behind_those_of_the_graph() -> None:
    rng = np.random.default_rng(0)
    n = LARGEST_TABLE // 4
    arrays = [rng.standard_normal(m, np.float32) for m in (n, n + 4, 3 * n, 8)]
    arrays[2] = arrays[2].reshape(3, n)

    def step(x: Any, y: Any) -> Any:
        return [gx.sum(x) * a for a in map(gx.asarray, arrays)] + [y + 1]

    found = gx.trace(step, gx.spec((3,)), gx.spec((5,))).lower(threads=1).program
    sizes = {(b.memory, b.index): b.nbytes for b in found.buffers.values()}
    inputs = {k: size for (memory, k), size in sizes.items() if memory is Memory.INPUT}
    kept = {k: size for (memory, k), size in sizes.items() if memory is Memory.TABLE}
    assert inputs == {0: 12, 1: 20, 2: arrays[1].nbytes, 3: arrays[2].nbytes}
    assert kept == {0: 4 * n, 1: 32}
    for have, want in zip(found.constants, arrays[1:3], strict=True):
        assert have.dtype == want.dtype and have.tobytes() == want.tobytes()


def test_constants_in_loops_are_tables_numbered_through() -> None:
    """However large: the body of a loop has no inputs of its own."""
    rng = np.random.default_rng(0)
    first, second = (rng.standard_normal((3, 2000), np.float32) for _ in range(2))

    def step(x: Any, xs: Any) -> Any:
        def body(x: Any, y: Any) -> Any:
            return gx.sin(x * gx.asarray(first) + y), gx.sum(x)

        def other(x: Any, y: Any) -> Any:
            return gx.cos(x + gx.asarray(second) * y), gx.max(x)

        (x, sums), small = gx.scan(body, x, xs), gx.asarray(np.arange(6, dtype=np.float32))
        return gx.scan(other, x, xs), sums, small * sums

    found = gx.trace(step, gx.spec((3, 2000)), gx.spec((6,))).lower(threads=1).program
    held = [b for p in found.nested() for b in p.buffers.values() if b.memory is Memory.TABLE]
    assert not found.constants
    assert sorted(b.nbytes for b in held) == [24, first.nbytes, first.nbytes]
    assert sorted(b.index for b in held) == [0, 1, 2]


def test_what_has_no_elements_takes_no_memory() -> None:
    """No kernel writes it; the one that reads it knows where it would lie."""

    def step(x: Any, y: Any) -> Any:
        return gx.sum(gx.exp(x) @ gx.exp(y)) + gx.sum(gx.sin(x), axis=1)

    found = gx.trace(step, gx.spec((3, 0)), gx.spec((0, 4))).lower(threads=1).program
    assert replay(found) == found.plan.peak
    empty = {v: b for v, b in found.buffers.items() if not v.type.size}
    read = {v for k in found.kernels for v in k.reads}
    written = {v for k in found.kernels for v in k.writes}
    assert read & empty.keys() - written - set(found.graph.inputs)
    assert not any(b.nbytes for b in empty.values())
    alone = gx.trace(lambda x: gx.sum(gx.exp(x), axis=1), gx.spec((3, 0))).lower(threads=1)
    assert len(alone.program.kernels) == 1 and alone.program.plan.peak == 0


def test_a_result_waits_where_its_donor_is_read_elsewhere() -> None:
    """A product reads whole rows of what it would overwrite: its result is copied at the end. A sum
    beside it reads and writes the same place.
    """
    specs = [gx.spec((16, 16)) for _ in range(3)]

    def step(w: Any, b: Any, x: Any) -> Any:
        return w @ w, b + 1, gx.exp(x)

    found = gx.trace(step, *specs, donate_argnums=(0, 1)).lower(threads=1).program
    (product, _, _), (w, b, _) = found.graph.outputs, found.graph.inputs
    (copy,) = found.copies
    assert (copy.source, copy.target) == (found.buffers[product], found.buffers[w])
    assert (copy.source.memory, copy.source.last) == (Memory.ARENA, len(found.kernels) + 1)
    assert found.buffers[b] is found.buffers[found.graph.outputs[1]]
    assert replay(found) == found.plan.peak == 16 * 16 * 4
