"""Where the arrays lie that graphc makes, and copies of a user's arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import graphc as gx
from graphc import arrays, nn, optim


class State(NamedTuple):
    w: np.ndarray
    rest: dict


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_copies_are_equal_and_begin_at_lines():
    x = np.arange(24.0).reshape(2, 3, 4)
    state = State(x.T, {"i": np.int32(3), "n": 2.5, "e": np.empty((0, 4)), "b": np.array(True)})
    put = gx.device_put(state)
    assert isinstance(put, State)
    assert put.rest["n"] == 2.5
    pairs = [(x.T, put.w), *[(state.rest[k], put.rest[k]) for k in "ieb"]]
    for given, copy in pairs:
        assert isinstance(copy, np.ndarray)
        assert copy.dtype == np.asarray(given).dtype
        np.testing.assert_array_equal(given, copy, strict=True)
        assert address(copy) % 64 == 0
        assert copy.flags.c_contiguous
        assert copy.flags.writeable
        assert not np.shares_memory(copy, x)


def test_large_arrays_begin_at_different_places_of_their_pages():
    made = [arrays.empty((64, 64), np.float32) for _ in range(16)]
    assert len({address(x) % 4096 for x in made}) == 16
    assert all(address(x) % 64 == 0 for x in made)


def test_what_graphc_makes_begins_at_lines(tmp_path):
    """Initial weights, an optimizer's state, results of a step, and what is loaded from a file."""
    draw = nn.initializers
    makers = [draw.he_normal(), draw.orthogonal(), draw.constant(2.0), draw.zeros, draw.uniform()]
    params = [make(np.random.default_rng(0), (128, 130)) for make in makers]
    state = optim.adam(1e-3).init(params)
    step = gx.trace(lambda p: [x * 2.0 for x in p], params).lower().compile()
    gx.save(tmp_path / "params", params)
    loaded = gx.load(tmp_path / "params", params)
    for x in (*params, *state[0].mu, *state[0].nu, *step(params), *loaded):
        assert address(x) % 64 == 0
    for array, twice in zip(params, step(params), strict=True):
        np.testing.assert_array_equal(array * 2, twice)


def test_what_cannot_be_put():
    for wrong in ("text", object(), [np.zeros(2), {"a": {1, 2}}]):
        with pytest.raises(gx.ArgumentError, match=r"device_put: arrays.*test_arrays.py:\d+"):
            gx.device_put(wrong)
    for dtype in ("O", "c8", "f2", "U3", "M8[s]"):
        with pytest.raises(gx.DTypeError, match=r"test_arrays.py:\d+"):
            gx.device_put(np.zeros(3, dtype))
    with pytest.raises(gx.TraceError, match="no data to make a NumPy array of"):
        gx.trace(gx.device_put, np.zeros(3))


def test_arrays_of_other_libraries():
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0).reshape(2, 3)
    copy = gx.device_put(x)
    np.testing.assert_array_equal(copy, x.numpy())
    copy[0, 0] = 7
    assert x[0, 0] == 0


def test_donated_copies_are_updated_in_place():
    w = gx.device_put(np.ones((100, 200), np.float32))
    step = gx.trace(lambda w: w + 1.0, w, donate_argnums=0).lower().compile()
    assert step(w) is w
    assert (w == 2).all()
