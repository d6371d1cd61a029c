"""Compiled steps held against the NumPy reference, for any number of threads, and their arenas
against the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from graphc.build import sources
from graphc.schedule import arena
from tests.measuring import touched_bytes


def lowered_anew(patch: pytest.MonkeyPatch) -> None:
    """For tests that change what steps become: the cache's key has the files of graphc in it, not
    what a process makes of them, so nothing is taken from there, and nothing kept.
    """
    patch.setattr(sources, "digest", lambda: None)


def compiled(fn: Callable, *args: Any, threads: int = 1, **options: Any) -> Any:
    return gx.compile(fn, *args, threads=threads, **options)


def assert_same(got: Any, want: Any, tolerance: float = 2e-5, what: str = "") -> None:
    """Leaf by leaf: equal structure, dtype, shape; floats within a tolerance relative to the
    largest element, everything else exactly.
    """
    got_leaves, got_tree = tree.flatten(got)
    want_leaves, want_tree = tree.flatten(want)
    assert got_tree == want_tree
    for k, (a, b) in enumerate(zip(got_leaves, want_leaves, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        message = f"{what} result {k}"
        assert a.dtype == b.dtype, message
        assert a.shape == b.shape, message
        if a.dtype.kind == "f" and a.size:
            finite = np.abs(b[np.isfinite(b)])
            scale = max(1.0, float(finite.max(initial=0.0)))
            if a.dtype == np.float64:
                tolerance = min(tolerance, 1e-12)
            np.testing.assert_allclose(
                a, b, rtol=tolerance, atol=tolerance * scale, err_msg=message
            )
        else:
            np.testing.assert_array_equal(a, b, err_msg=message)


def assert_bits(a: Any, b: Any) -> None:
    for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.dtype == y.dtype
        assert x.tobytes() == y.tobytes()


def check(
    fn: Callable, *args: Any, threads: Sequence[int] = (1, 3), tolerance: float = 2e-5
) -> Any:
    """Compiles a function for several thread counts: results agree with the reference, agree with
    one another to the bit, and the arenas are sound. Gives the last lowered step.
    """
    traced = gx.trace(fn, *args)
    want = traced.evaluate(*args)
    results, lowered = [], None
    for count in threads:
        lowered = traced.lower(threads=count)
        check_plan(lowered)
        step = lowered.compile()
        results.append(step(*args))
        assert touched_bytes(step, args) == lowered.memory.peak_bytes, f"{count} threads"
        assert_same(results[-1], want, tolerance, f"{count} threads,")
    for other in results[1:]:
        assert_bits(results[0], other)
    return lowered


def check_plan(lowered: Any) -> None:
    """Replays the arena's plan: no two buffers that are live together overlap."""
    buffers = lowered.program.arena_buffers
    lifetimes = [arena.Lifetime(b.nbytes, b.first, b.last) for b in buffers]
    arena.check(lifetimes, lowered.program.plan)
