"""`gx.testing.assert_memory`."""

from __future__ import annotations

import pytest

import graphc as gx
from tests.memory.steps import chain


def test_it_passes_at_the_limit_and_fails_below():
    traced = chain(4)
    memory = traced.lower(threads=1).memory
    limits = {n: getattr(memory, f"{n}_bytes") for n in ("peak", "kept", "total")}
    gx.testing.assert_memory(traced, threads=1, **limits)
    gx.testing.assert_memory(traced, peak="1GB")
    for name, limit in limits.items():
        with pytest.raises(AssertionError, match=f"{name}: .* bytes, at most") as caught:
            gx.testing.assert_memory(traced, threads=1, **{name: limit - 1})
        assert "steps.py" in str(caught.value)


def test_a_budget_is_an_option():
    traced = chain(12)
    smallest = gx.memory.pareto(traced, threads=1)[-1].peak_bytes
    with pytest.raises(AssertionError):
        gx.testing.assert_memory(traced, peak=smallest, threads=1)
    gx.testing.assert_memory(traced, peak=smallest, threads=1, memory_budget=smallest)


def test_a_limit_that_cannot_be_read_is_refused():
    with pytest.raises(gx.ArgumentError, match="plenty"):
        gx.testing.assert_memory(chain(2), peak="plenty")
