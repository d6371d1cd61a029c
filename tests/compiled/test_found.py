"""Graphs that once went wrong: found by `python -m tests.fuzz`, cut down by hand."""

from __future__ import annotations

import numpy as np

import graphc as gx
from graphc.schedule import remat
from tests.compiled.checking import check

rng = np.random.default_rng(0)


def normal(*shape: int, dtype: str = "float64") -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


def test_a_window_of_a_large_region_from_which_nothing_is_read(monkeypatch):
    """Regions are cut window by window; one without a value that the backward pass reads has no
    sink."""
    monkeypatch.setattr(remat, "MAX_REGION", 2)

    def fn(x):
        y = x
        for _ in range(6):
            y = gx.sin(-(y + 1.0))
        return gx.grad(gx.sum(gx.square(gx.permute_dims(y, (1, 0)))), x)

    check(fn, normal(5, 4))
