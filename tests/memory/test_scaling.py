"""How planned memory grows with depth: O(1) forward, O(n) training, O(√n) with checkpoints."""

from __future__ import annotations

from functools import cache
from math import comb

import pytest

import graphc as gx
from benchmarks import vgg
from benchmarks.scaling import BATCH, FAMILIES, WIDTH, exponent, peaks, training
from tests.compiled.checking import check_plan

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


@cache
def longest(held: int, times: int) -> int:
    """The longest chain that can go back with so many values held besides the current one, each
    computed at most so many times: up to the first value that is held, the chain is computed once
    more than there are times left for; what follows has one place less.
    """
    if held == 0 or times == 1:
        return held + 1
    return longest(held, times - 1) + longest(held - 1, times)


def test_the_oracle_is_revolve():
    """β(s, t) = (s + t choose s), Griewank and Walther 2000."""
    for held in range(12):
        for times in range(1, 5):
            assert longest(held, times) == comb(held + times, held)


@pytest.mark.parametrize("depth", [15, 36, 66])
def test_the_smallest_plan_of_a_chain_is_that_of_revolve(depth):
    """Each value is computed at most twice. Besides what is held there are the current value, its
    gradient and working memory; a plan may hold one value more.
    """
    value = 4 * BATCH * WIDTH
    held = next(s for s in range(depth) if longest(s, 2) >= depth)
    smallest = gx.memory.pareto(training(depth), threads=1)[-1].peak_bytes
    assert (held + 2) * value <= smallest <= (held + 3) * value + 4096


def test_the_certified_optimum_of_vgg19_fits():
    """Checkmate's largest batch in 16 GB with at most one forward pass of work done again."""
    batch = vgg.PUBLISHED["optimum"]
    traced = vgg.training(batch)
    plan = vgg.within(traced, batch)
    assert plan is not None
    lowered = traced.lower(threads=1, memory_budget=plan.peak_bytes)
    assert lowered.memory.total_bytes <= vgg.LIMIT
    check_plan(lowered)
    assert vgg.within(traced, batch, vgg.LIMIT // 2) is None
