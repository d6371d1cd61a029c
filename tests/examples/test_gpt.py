"""The GPT: the model, and that its training is a function of seed and text, to the bit."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import ArgumentError
from graphc.examples import gpt
from graphc.examples.corpus import Corpus
from graphc.examples.gpt_training import Settings, Training, stored_settings

SMALL = Settings(layers=2, heads=2, width=32, context=16, batch=4, seed=3, horizon=200)


@pytest.fixture(scope="module")
def text() -> Corpus:
    """A language of 12 letters in which most letters decide the next."""
    rng = np.random.default_rng(0)
    letters = [0]
    for jump in rng.random(6000) < 0.1:
        letters.append(int(rng.integers(12)) if jump else (letters[-1] * 5 + 1) % 12)
    numbers = np.array(letters, np.uint8)
    return Corpus("abcdefghijkl", numbers[:5000], numbers[5000:], 2)


def losses(training: Training, steps: int) -> list[float]:
    return [training.advance() for _ in range(steps)]


@pytest.mark.parametrize("threads", [2, 3])
def test_losses_do_not_depend_on_the_number_of_threads(text: Corpus, threads: int) -> None:
    one, several = Training(SMALL, text, 1), Training(SMALL, text, threads)
    assert losses(one, 6) == losses(several, 6)
    assert one.validate() == several.validate()


def test_another_seed_gives_other_losses(text: Corpus) -> None:
    other = dataclasses.replace(SMALL, seed=4)
    assert losses(Training(SMALL, text, 1), 3) != losses(Training(other, text, 1), 3)


def test_a_resumed_training_goes_on_to_the_bit(text: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "gpt.safetensors"
    straight = Training(SMALL, text, 1)
    expected = losses(straight, 20)
    first = Training(SMALL, text, 1)
    before = losses(first, 10)
    first.save(path)
    assert stored_settings(path) == SMALL
    second = Training(SMALL, text, 2, path)
    assert second.done == 10
    assert before + losses(second, 10) == expected
    for a, b in zip(gx.tree.leaves(straight.state), gx.tree.leaves(second.state), strict=True):
        assert a.tobytes() == b.tobytes()
    assert "".join(islice(straight.sample("a"), 40)) == "".join(islice(second.sample("a"), 40))


def test_a_checkpoint_of_other_settings_or_text_is_refused(text: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "gpt.safetensors"
    Training(SMALL, text, 1).save(path)
    with pytest.raises(ArgumentError, match="other settings"):
        Training(dataclasses.replace(SMALL, seed=9), text, 1, path)
    with pytest.raises(ArgumentError, match="does not fit"):
        Training(dataclasses.replace(SMALL, width=64), text, 1, path)
    other = dataclasses.replace(text, alphabet="bacdefghijkl")
    with pytest.raises(ArgumentError, match="another text"):
        Training(SMALL, other, 1, path)


def test_training_learns_the_language(text: Corpus) -> None:
    training = Training(SMALL, text, 1)
    before = training.validate()
    assert before == pytest.approx(np.log(13), abs=0.2)
    losses(training, 200)
    # A jump to one of 12 letters at a rate of 0.1: about 0.57 nats are left at best.
    assert training.validate() < 1.0


def test_the_compiled_step_is_the_reference(text: Corpus) -> None:
    training = Training(SMALL, text, 1)
    rng = np.random.default_rng(1)
    tokens, targets = rng.integers(0, 13, (2, 4, 16)).astype(np.int32)
    _, wanted = training.traced.evaluate(training.state, tokens, targets)
    step: Any = training.lowered.compile()
    _, found = step(training.state, tokens, targets)
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def test_no_place_sees_what_follows() -> None:
    config = gpt.Config(13, layers=1, heads=2, width=16, context=8)
    params = gpt.init(config, np.random.default_rng(0))
    for p in params["blocks"]:
        p["out"]["w"] += np.eye(16, dtype=np.float32)
    tokens = np.arange(8, dtype=np.int32)[None]
    changed = tokens.copy()
    changed[0, 5] = 12
    scores: Any = gx.compile(lambda p, x: gpt.forward(p, x, 2), params, tokens, threads=1)
    a, b = scores(params, tokens), scores(params, changed)
    assert a[:, :5].tobytes() == b[:, :5].tobytes()
    assert not np.allclose(a[:, 5:], b[:, 5:])


def test_samples_follow_the_scores() -> None:
    """Scores that always prefer the next number, in windows that slide."""
    seen = []

    def scores(window: np.ndarray) -> np.ndarray:
        seen.append(window.copy())
        return np.eye(10, dtype=np.float32)[(window + 1) % 10] * 100

    rng = np.random.default_rng(0)
    assert list(islice(gpt.sample(scores, [3], 4, 1.0, rng), 9)) == [4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert seen[1].tolist() == [[3, 4, 0, 0]] and seen[-1].tolist() == [[8, 9, 0, 1]]
    hot = list(islice(gpt.sample(scores, [3], 4, 1e6, rng), 200))
    assert len(set(hot)) == 10


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ArgumentError, match="not a multiple of 5"):
        Settings(width=32, heads=5)
