"""Taps: what they see, and that nothing else changes."""

from __future__ import annotations

import linecache
import math
import warnings

import numpy as np
import pytest

import graphc as gx
from graphc.commands.verification import verify
from graphc.errors import DTypeError, TraceError

RNG = np.random.default_rng(8)


def seen(x: np.ndarray) -> tuple[float, ...]:
    finite = np.isfinite(x).mean()
    return (math.sqrt(np.sum(np.square(x, dtype=np.float64))), x.min(), x.max(),
            (x == 0).mean(), 1 - finite)  # fmt: skip


def test_values_gradients_and_repeated_names():
    def loss(w, x, watch):
        h = x
        for layer in (0, 1):
            h = gx.maximum(h @ w[layer], 0)
            if watch:
                h = gx.tap("hidden", h)
                h = gx.tap(f"grad{layer}", h, gradient=True)
        if watch:
            gx.tap("beside", x * 2)  # not used further
        return gx.sum(h**2)

    w = RNG.standard_normal((2, 6, 6)).astype(np.float32)
    x = RNG.standard_normal((5, 6)).astype(np.float32)

    def step(watch):
        return lambda w, x: gx.value_and_grad(lambda w: loss(w, x, watch))(w)

    plain, watched = gx.compile(step(False), w, x), gx.compile(step(True), w, x)
    for a, b in zip(plain(w, x), watched(w, x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert plain.taps() == {} and "taps" not in plain.lowered.graph.output_names
    h0 = np.maximum(x @ w[0], 0)
    h1 = np.maximum(h0 @ w[1], 0)
    g1 = 2 * h1
    g0 = (g1 * (h1 > 0)) @ w[1].T
    want = {"hidden": h0, "hidden#2": h1, "grad0": g0, "grad1": g1, "beside": 2 * x}
    assert set(watched.taps()) == set(want)
    for name, array in want.items():
        np.testing.assert_allclose(watched.taps()[name], seen(array), rtol=1e-5, atol=1e-5)
    assert isinstance(watched.taps()["hidden"], gx.Tapped)
    assert watched.taps()["hidden"].zeros == (h0 == 0).mean()
    # What is measured belongs to the line that asks for it.
    looking = [n for n in watched.lowered.traced.graph.nodes if n.op.name == "isfinite"]
    sites = [n.meta.site for n in looking]
    assert len(sites) == 5
    assert all("gx.tap(" in linecache.getline(s.filename, s.line) for s in sites)
    bound = watched.bind(w, x)
    x *= 2
    bound()
    np.testing.assert_allclose(bound.taps()["beside"], seen(2 * x), rtol=1e-6)
    np.testing.assert_allclose(watched.taps()["beside"].maximum, x.max(), rtol=1e-6)


def test_nonfinite_elements_are_counted_and_nothing_has_no_extremes():
    x = np.array([1.0, np.nan, np.inf, 0.0, -np.inf])
    run = gx.compile(lambda x: gx.tap("x", x) + gx.sum(gx.tap("none", x[:0])), x)
    assert all(math.isnan(v) for v in run.taps()["x"])
    run(x)
    tapped = run.taps()
    assert tapped["x"].nonfinite == 0.6 and tapped["x"].zeros == 0.2
    assert math.isnan(tapped["x"].norm) and math.isnan(tapped["x"].minimum)
    assert tapped["none"].norm == 0 and math.isnan(tapped["none"].maximum)


def test_under_vmap_the_batch_is_watched_where_the_value_is_used():
    x = RNG.standard_normal((4, 3))
    run = gx.compile(gx.vmap(lambda v: gx.sum(gx.tap("v", v) ** 2)), x)
    run(x)
    np.testing.assert_allclose(run.taps()["v"], seen(x), rtol=1e-12)

    def unused(v):
        gx.tap("v", v)
        return gx.sum(v)

    with pytest.raises(TraceError, match=r"under vmap use what tap returns.*test_taps\.py"):
        gx.trace(gx.vmap(unused), x)


def test_second_derivatives_pass_through():
    x = np.linspace(-1, 1, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = gx.compile(lambda x: gx.hvp(lambda v: gx.sum(gx.tap("v", v) ** 3), x, x), x)
    np.testing.assert_allclose(run(x), 6 * x * x, rtol=1e-12)


def test_a_step_with_taps_can_be_verified():
    traced = gx.trace(lambda x: gx.sum(gx.tap("h", gx.tanh(x)) ** 2), gx.spec((4, 3)))
    assert verify(traced, 0, 1).ok


def test_only_floats_are_watched():
    with pytest.raises(DTypeError, match="floats are watched"):
        gx.tap("k", gx.input("k", (3,), "int32"))
