"""The two small trainings reach what they promise."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from graphc.errors import GraphcError
from graphc.examples import digits, moons


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_moons_are_told_apart(seed: int) -> None:
    result = moons.train(500, seed, 1)
    assert result.accuracy >= 0.99
    assert len(result.losses) == 500 and result.losses[-1] < 0.1 * result.losses[0]


def test_moons_losses_do_not_depend_on_the_number_of_threads() -> None:
    assert moons.train(20, 0, 1).losses == moons.train(20, 0, 2).losses


def test_the_points_lie_on_two_half_circles() -> None:
    x, y = moons.points(100, 0.0, np.random.default_rng(0))
    centre = np.where(y[:, None] < 0, [0.0, 0.0], [1.0, 0.5])
    assert np.allclose(np.hypot(*(x - centre).T), 1, atol=1e-6)
    assert (y < 0).sum() == 50


def test_digits_are_recognized() -> None:
    pytest.importorskip("sklearn")
    told: list[tuple[int, float]] = []
    result = digits.train(25, 0, 2, lambda epoch, accuracy: told.append((epoch, accuracy)))
    assert result.accuracy >= 0.97
    assert told[-1] == (25, result.accuracy) and len(told) == 25


def test_a_convolutional_network_learns_digits() -> None:
    pytest.importorskip("sklearn")
    result = digits.train(2, 0, 2, lambda epoch, accuracy: None, "cnn")
    assert result.accuracy >= 0.85 and result.losses[-1] < 0.5 * result.losses[0]


@pytest.mark.slow
def test_a_convolutional_network_recognizes_digits() -> None:
    pytest.importorskip("sklearn")
    assert digits.train(40, 0, 2, lambda epoch, accuracy: None, "cnn").accuracy >= 0.985


def test_without_scikit_learn_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec

    def missing(name: str, *rest: Any) -> Any:
        return None if name == "sklearn" else find(name, *rest)

    monkeypatch.setattr(digits, "find_spec", missing)
    with pytest.raises(GraphcError, match="pip install scikit-learn"):
        digits.load(np.random.default_rng(0))
