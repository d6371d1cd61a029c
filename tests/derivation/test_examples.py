"""The derived text of the built-in trainings is executed and gives what their steps give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.examples import corpus, ctc, digits, gpt_training, lstm, moons, pinn
from graphc.examples.gpt_training import Settings
from tests.derivation.test_workloads import check, warmed


class Traced(Exception):
    """Ends a training as soon as its step is traced."""


def silent(*figures: float) -> None:
    """Is told how a training goes."""


def text() -> corpus.Corpus:
    """Made-up characters."""
    drawn = np.random.default_rng(2).integers(0, 20, (2, 2000), np.uint8)
    return corpus.Corpus("abcdefghijklmnopqrst", drawn[0], drawn[1], 1)


SMALL = Settings(layers=1, heads=2, width=16, context=8, batch=3)
#: Those whose batches are not there yet when their step is traced.
EMPTY = {"digits", "digits cnn", "lstm", "gpt"}
TRAININGS: dict[str, Callable[[], object]] = {
    "moons": lambda: moons.train(3, 0, 1),
    "digits": lambda: digits.train(1, 0, 1, silent),
    "digits cnn": lambda: digits.train(1, 0, 1, silent, "cnn"),
    "lstm": lambda: lstm.train(text(), 3, 0, 1, silent),
    "ctc": lambda: ctc.train(3, 0, 1, silent),
    "pinn": lambda: pinn.train(3, 0, 1, silent),
    "gpt": lambda: gpt_training.Training(SMALL, text(), 1),
}


def first_step(name: str, patch: pytest.MonkeyPatch) -> tuple[Any, tuple]:
    """The step that a training traces first, and arguments for it."""
    found: list[tuple[Any, tuple]] = []
    trace = gx.trace

    def noted(function: Any, *args: Any, **options: Any) -> Any:
        found.append((trace(function, *args, **options), args))
        raise Traced

    patch.setattr(gx, "trace", noted)
    with pytest.raises(Traced):
        TRAININGS[name]()
    patch.undo()
    traced, (state, *batch) = found[0]
    rng = np.random.default_rng(4)

    def drawn(like: Any) -> np.ndarray:
        # A batch of an open size is the last one of an epoch, which is smaller.
        shape = [5 if isinstance(n, str) else n for n in like.shape]
        return rng.integers(0, 8, shape).astype(getattr(like.dtype, "numpy", like.dtype))

    filled = [drawn(a) for a in batch] if name in EMPTY else batch
    if isinstance(state, dict):
        return traced, (state | {"opt": warmed(state["opt"])}, *filled)
    params, optimizer = state
    return traced, ((params, warmed(optimizer)), *filled)


@pytest.mark.parametrize("to", ["numpy", "torch"])
@pytest.mark.parametrize("name", TRAININGS)
def test_every_training(name: str, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    traced, arguments = first_step(name, monkeypatch)
    check(traced, arguments, to, 2e-5)
