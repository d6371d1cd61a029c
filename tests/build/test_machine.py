from __future__ import annotations

import numpy as np
import pytest

from graphc.build import machine
from graphc.build.library import Library, load
from graphc.build.pool import runtime
from graphc.build.runtime_files import include_closure
from graphc.errors import ArgumentError

VECTOR_LANES = (4, 8, 16)


@pytest.fixture
def probe() -> Library:
    headers = include_closure("probe.c")
    return load(headers.pop("probe.c"), machine._CDEF, headers=headers)


def test_limits_are_measured() -> None:
    measured = machine.limits(1)
    assert measured.threads == 1
    # Slower than this is nothing that runs Python; a faster core than this does not exist.
    assert 0.05 < measured.gflops < 5000
    assert 0.05 < measured.gbytes_per_s < 5000


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_counted(monkeypatch: pytest.MonkeyPatch, probe: Library, threads: int) -> None:
    # With a clock by which every run takes a second, the rates are the counts.
    monkeypatch.setattr(machine, "_seconds", lambda run: 1.0)
    monkeypatch.setattr(machine, "_ARRAY_BYTES", 1 << 20)
    monkeypatch.setattr(machine, "_cache_bytes", lambda level: 3 << 20)
    measured = machine.limits(threads)
    assert measured.gflops * 1e9 in {2 * 12 * n * 4096 * threads for n in VECTOR_LANES}
    assert round(measured.gbytes_per_s * 1e9) == 3 * (3 << 20)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_chains_are_computed_by_every_thread(probe: Library, threads: int) -> None:
    sink = np.zeros(threads, np.float32)
    pointer = probe.ffi.from_buffer("float[]", sink)
    operations = probe.lib.gx_probe_chains(runtime().handle, threads, 100, pointer)
    # x = x/2 + 1/4 tends to 1/2 in each of 12 chains of as many lanes as there are.
    assert sink.tolist() == [operations / 2 / 2] * threads


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_triad_is_computed(probe: Library, threads: int) -> None:
    a, b, c = (np.arange(10_000, dtype=np.float32) + i for i in range(3))
    pointers = [probe.ffi.from_buffer("float[]", array) for array in (a, b, c)]
    assert probe.lib.gx_probe_triad(runtime().handle, threads, a.size, *pointers) == 0
    assert np.array_equal(a, b + np.float32(0.5) * c)


@pytest.mark.parametrize("threads", [1, 2])
def test_meetings_end(probe: Library, threads: int) -> None:
    assert probe.lib.gx_probe_meetings(runtime().handle, threads, 1000) == 0
    assert 0 < machine.meeting(threads) < 1


def test_threads_are_checked() -> None:
    with pytest.raises(ArgumentError, match="threads: expected 1 to 1024, got 0"):
        machine.limits(0)
