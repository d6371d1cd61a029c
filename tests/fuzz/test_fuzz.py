"""A short run with a fixed seed; `python -m tests.fuzz` goes on from other seeds."""

from __future__ import annotations

import pytest

from tests.fuzz.run import run_batch, smith_cases


@pytest.mark.parametrize("seed", range(0, 50, 25))
def test_random_graphs(seed):
    _, found = run_batch(seed)
    assert not found, "\n\n".join(f"{f.case}\n{f.plan}\n{f.what}" for f in found)


def test_graphs_of_nnsmith():
    pytest.importorskip("nnsmith")
    pytest.importorskip("torch")
    _, found = run_batch(0, source=smith_cases)
    assert not found, "\n\n".join(f"{f.case}\n{f.plan}\n{f.what}" for f in found)
