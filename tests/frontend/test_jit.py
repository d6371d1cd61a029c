"""`gx.jit`: one compiled step for each signature that a function is called with."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import graphc as gx
from graphc.errors import ArgumentError


def counted():
    """A function that is compiled, and the signatures for which it was traced."""
    seen: list[str] = []

    @gx.jit
    def fn(x):
        seen.append(str([(k, v.type) for k, v in x.items()] if isinstance(x, dict) else x.type))
        return x["a"] * 2 if isinstance(x, dict) else x * 2

    return fn, seen


def test_each_signature_has_its_own_step():
    fn, seen = counted()
    arrays = [
        np.ones(3, np.float32), np.ones(4, np.float32), np.ones((3, 1), np.float32),
        np.ones(3, np.float64), np.arange(3, dtype=np.int32),
    ]  # fmt: skip
    for _ in range(2):
        for x in arrays:
            got = fn(x)
            assert got.dtype == x.dtype
            np.testing.assert_array_equal(got, x * 2)
    assert seen == [
        "float32[3]", "float32[4]", "float32[3,1]", "float64[3]", "int32[3]",
    ]  # fmt: skip


def test_structures_and_numbers_are_part_of_the_signature():
    fn, seen = counted()
    assert fn({"a": np.float32(3)}) == 6
    assert fn({"a": np.float32(4)}) == 8
    assert fn({"a": np.float32(4), "b": np.ones(2, np.float32)}) == 8
    assert fn(5) == 10
    assert fn(2.5) == 5.0
    assert fn(7) == 14
    assert len(seen) == 4


def test_static_arguments_count_by_their_value():
    traced = []

    @gx.jit(static_argnums=1)
    def power(x, n):
        traced.append(n)
        return x**n

    x = np.array([1.0, 2.0, 3.0])
    for n in (2, 3, 2):
        np.testing.assert_array_equal(power(x, n), x**n)
    assert traced == [2, 3]


def test_donation_options_and_the_trace():
    @gx.jit(donate_argnums=0, threads=1)
    def step(state, x):
        return state + x, gx.sum(state)

    state = np.zeros(4)
    for k in range(3):
        new, total = step(state, np.ones(4))
        assert new is state
        assert total == 4 * k
    assert step.trace(gx.spec(7, "float64"), gx.spec(7, "float64")).lower().threads >= 1


def test_arguments_are_positional():
    fn, _ = counted()
    with pytest.raises(ArgumentError, match="positional"):
        fn(x=np.ones(3))
    with pytest.raises(ArgumentError, match="positional"):
        fn(np.ones(3), y=1)


def test_threads_that_call_at_once_compile_once():
    fn, seen = counted()
    go, results = threading.Barrier(4), []

    def call():
        go.wait()
        results.append(fn(np.ones(5)).tolist())

    workers = [threading.Thread(target=call) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [[2.0] * 5] * 4
    assert seen == ["float64[5]"]
