"""Budgets: obeyed, monotone, refused with the smallest that works; the same bits under any."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc as gx
from graphc.reference import evaluate
from tests.compiled.checking import assert_bits, check_plan
from tests.memory.steps import chain, some_step


def check_curve(choices) -> None:
    """Each plan needs less memory and no less work than the one before; light work is free."""
    free = choices[0].recompute_flops
    for before, after in pairwise(choices):
        assert after.peak_bytes < before.peak_bytes
        assert max(after.recompute_flops, free) >= max(before.recompute_flops, free)


@pytest.mark.parametrize("seed", range(2))
def test_every_budget_of_the_curve_is_obeyed_with_equal_bits(seed):
    traced, args = some_step(seed)
    choices = gx.memory.pareto(traced, threads=1)
    check_curve(choices)
    want = traced.lower(threads=1).compile()(*args)
    for choice in (choices[len(choices) // 2], choices[-1]):
        lowered = traced.lower(threads=2, memory_budget=choice.peak_bytes)
        assert lowered.memory.peak_bytes <= choice.peak_bytes
        check_plan(lowered)
        assert_bits(lowered.compile()(*args), want)


def test_a_deep_chain_needs_much_less():
    traced = chain(24)
    choices = gx.memory.pareto(traced, threads=1)
    check_curve(choices)
    assert choices[-1].peak_bytes < 0.55 * choices[0].peak_bytes
    assert len(choices) >= 4


def test_between_two_plans_the_smaller_one_is_taken():
    traced = chain(12)
    choices = gx.memory.pareto(traced, threads=1)
    for larger, smaller in pairwise(choices):
        middle = (larger.peak_bytes + smaller.peak_bytes) // 2
        lowered = traced.lower(threads=1, memory_budget=middle)
        assert lowered.memory.peak_bytes == smaller.peak_bytes
    plenty = traced.lower(threads=1, memory_budget="1GiB")
    assert plenty.memory.peak_bytes == traced.lower(threads=1).memory.peak_bytes


def test_steps_of_a_few_bytes_have_a_curve():
    for size in (1, 2, 3):
        check_curve(gx.memory.pareto(chain(6, width=size, batch=size), threads=1))


def test_what_is_refused_says_what_works():
    traced = chain(10)
    with pytest.raises(gx.MemoryBudgetError, match="100 bytes are given") as caught:
        traced.lower(threads=1, memory_budget=100)
    smallest = caught.value.smallest_bytes
    assert smallest is not None
    assert traced.lower(threads=1, memory_budget=smallest).memory.peak_bytes == smallest
    with pytest.raises(gx.MemoryBudgetError):
        traced.lower(threads=1, memory_budget=smallest - 1)


def test_a_checkpointed_call_keeps_its_inputs_and_result():
    def step(weights, x, mark):
        def layer(h, a, b):
            return gx.tanh(gx.tanh(h @ a) @ b)

        inner = gx.checkpoint(layer) if mark else layer
        h = x
        for a, b in weights:
            h = inner(h, a, b)
        return gx.grad(gx.mean(h * h), weights)

    weights = [(gx.spec((32, 32)), gx.spec((32, 32))) for _ in range(6)]
    plain, marked = (
        gx.trace(step, weights, gx.spec((64, 32)), mark, static_argnums=2).lower(threads=1).memory
        for mark in (False, True)
    )
    size = 64 * 32 * 4
    assert plain.kept_bytes >= 11 * size
    assert marked.kept_bytes <= 6 * size
    assert marked.peak_bytes < plain.peak_bytes


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 1.2))
def test_random_graphs_and_budgets(seed, share):
    traced, args = some_step(seed)
    obeyed_or_refused(traced, args, share)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000))
def test_a_thousand_random_graphs_and_budgets(seed):
    """Each with several budgets; every twentieth compiled as well."""
    traced, args = some_step(seed)
    for share in (0.3, 0.6, 0.8, 0.9, 1.1):
        obeyed_or_refused(traced, args, share)
    if seed % 20 == 0:
        smallest = gx.memory.pareto(traced, threads=1)[-1].peak_bytes
        want = traced.lower(threads=1).compile()(*args)
        assert_bits(traced.lower(threads=1, memory_budget=smallest).compile()(*args), want)


def values(program, args) -> list:
    """The results of a program's graph, in NumPy."""
    graph = program.graph
    arrays = [np.asarray(leaf) for leaf in gx.tree.leaves(args)]
    return evaluate(graph, dict(zip(graph.inputs, arrays, strict=False)))


def obeyed_or_refused(traced, args, share) -> None:
    """A budget is obeyed by the fastest plan within it, which computes the same bits, or refused
    with the smallest that works.
    """
    choices = gx.memory.pareto(traced, threads=1)
    check_curve(choices)
    budget = int(share * choices[0].peak_bytes)
    if budget < choices[-1].peak_bytes:
        with pytest.raises(gx.MemoryBudgetError) as caught:
            traced.lower(threads=1, memory_budget=budget)
        assert caught.value.smallest_bytes == choices[-1].peak_bytes
    else:
        lowered = traced.lower(threads=1, memory_budget=budget)
        check_plan(lowered)
        want = values(choices[0].plan.program, args)
        assert_bits(values(lowered.program, args), want)
        assert lowered.memory.peak_bytes <= budget
        assert lowered.memory.peak_bytes == next(
            c.peak_bytes for c in choices if c.peak_bytes <= budget
        )
