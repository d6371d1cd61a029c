"""`compile(debug=True)`: faults are planted, and found where they are."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.compiled import Debugged
from graphc.debug import Stepper
from graphc.errors import IndexingError, NonFiniteError
from tests.inspect import subjects


def here(text: str) -> str:
    """The place in this file of a line that contains a text."""
    lines = Path(__file__).read_text().splitlines()
    return f"test_debug.py:{next(k for k, row in enumerate(lines, 1) if text in row)}"


def step(state: Any, x: Any, at: Any) -> Any:
    rows = state["table"][at]
    h = gx.tanh(rows * x) + 1.0
    inverse = 1.0 / (h - 1.0)  # the fault
    loss = gx.sum(inverse * inverse)
    return {"table": state["table"] - 0.1 * gx.grad(loss, state["table"])}, loss


@pytest.fixture(autouse=True)
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where arguments are saved: nothing stays when the tests are over."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def debugged() -> Any:
    args = {"table": gx.spec((5, 3))}, gx.spec((4, 3)), gx.spec((4,), "int32")
    return gx.compile(step, *args, donate_argnums=0, debug=True, threads=1)


def arguments() -> Any:
    rng = np.random.default_rng(0)
    table = rng.uniform(0.5, 1, (5, 3)).astype(np.float32)
    return {"table": table}, np.ones((4, 3), np.float32), np.array([0, 3, 1, 3], np.int32)


def test_the_bits_are_those_of_the_ordinary_step(debugged: Any) -> None:
    ordinary = debugged.lowered.compile()
    (a, loss_a), (b, loss_b) = debugged(*arguments()), ordinary(*arguments())
    np.testing.assert_array_equal(a["table"], b["table"])
    np.testing.assert_array_equal(loss_a, loss_b)


def test_a_whole_training_step_runs() -> None:
    given = subjects.arguments()
    lowered = gx.trace(subjects.train, *given, donate_argnums=0).lower(threads=2)
    wanted = lowered.compile()(*subjects.arguments())
    found = lowered.compile(debug=True)(*given)
    assert found[0] is not None and found[1] == wanted[1]
    np.testing.assert_array_equal(found[0][0]["out"], wanted[0][0]["out"])


def test_the_first_value_that_is_not_finite_is_named(debugged: Any, saved: Path) -> None:
    state, x, at = arguments()
    x[2, 1] = 0
    before = state["table"].copy()
    with pytest.raises(NonFiniteError) as caught:
        debugged(state, x, at)
    error = caught.value
    assert error.line == here("# the fault")
    assert "inf" in str(error) and "[2, 1]" in str(error)
    assert error.kernel in [k.name for k in debugged.lowered.kernels] and error.kernel in str(error)
    np.testing.assert_array_equal(state["table"], before)
    with pytest.raises(NonFiniteError) as again:
        debugged.replay(error.arguments)
    assert again.value.line == error.line
    assert {error.arguments, again.value.arguments} == set(saved.iterdir())


def test_inside_of_a_loop_the_node_and_its_turn_are_named() -> None:
    def looped(w: Any, rows: Any) -> Any:
        def body(h: Any, row: Any) -> Any:
            h = gx.cond(gx.sum(row) > 0, lambda v: v, lambda v: gx.log(v), h @ w + row)  # inside
            return h, gx.sum(h)

        return gx.scan(body, gx.ones((2, 3)), rows)[1]

    w, rows = np.full((3, 3), 0.1, np.float32), np.ones((4, 2, 3), np.float32)
    compiled = gx.compile(looped, w, rows, debug=True, threads=1)
    assert np.isfinite(compiled(w, rows)).all()
    rows[2] = -50
    with pytest.raises(NonFiniteError, match=r"log made nan.*_scan, turn 2, turn 0\)") as caught:
        compiled(w, rows)
    assert caught.value.line == here("# inside")


def test_arguments_that_hold_nan_are_named(debugged: Any) -> None:
    state, x, at = arguments()
    state["table"][1, 2] = np.nan
    with pytest.raises(NonFiniteError, match=r"table.*holds NaN at \[1, 2\]"):
        debugged(state, x, at)


def test_infinities_that_are_meant_pass() -> None:
    def masked(x: Any) -> Any:
        return gx.exp(gx.where(x > 0, x, -np.inf))

    x = np.array([1, -1], np.float32)
    found = gx.compile(masked, x, debug=True)(x)
    np.testing.assert_allclose(found, [np.e, 0], rtol=1e-6)


@pytest.mark.parametrize("wrong", [5, -6, 2**31 - 1])
def test_positions_outside_their_axis_are_named(debugged: Any, wrong: int) -> None:
    state, x, at = arguments()
    at[2] = wrong
    with pytest.raises(IndexingError, match=rf"position {wrong} at \[2\] is outside an axis of 5"):
        debugged(state, x, at)


def test_memory_that_is_free_holds_nan() -> None:
    """A plan that ends a lifetime one kernel early is seen."""

    def chain(x: Any) -> Any:
        a = x @ x
        b = gx.tanh(a) @ x
        return (b @ x) + a, b

    x = np.eye(4, dtype=np.float32) / 2
    lowered = gx.trace(chain, x).lower(threads=1)
    good = lowered.compile(debug=True)
    assert isinstance(good, Debugged)
    wanted = lowered.compile()(x)
    np.testing.assert_array_equal(good(x)[0], wanted[0])
    late = max(lowered.program.arena_buffers, key=lambda b: b.last - b.first)
    late.last -= 1
    stepper = good._frame
    assert isinstance(stepper, Stepper)
    with pytest.raises(NonFiniteError):
        good(x)
