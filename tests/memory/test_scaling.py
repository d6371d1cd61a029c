"""How planned memory grows with depth: O(1) forward, O(n) training, O(√n) with checkpoints."""

from __future__ import annotations

import pytest

import graphc as gx
from benchmarks.scaling import FAMILIES, exponent, peaks, training

DEPTHS = (16, 64, 196)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("forward", 0.0, 0.05), ("training", 0.95, 1.05), ("checkpointed", 0.45, 0.6)],
)
def test_exponents_of_the_peak(name, least, most):
    found = exponent(DEPTHS, peaks(FAMILIES[name], DEPTHS))
    assert least - 1e-9 <= found <= most


def test_a_budget_finds_what_checkpoints_by_hand_find():
    """√L segments by hand, against the smallest plan of the search."""
    by_hand = peaks(FAMILIES["checkpointed"], (64,))[0]
    assert gx.memory.pareto(training(64), threads=1)[-1].peak_bytes <= by_hand
