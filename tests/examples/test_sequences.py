"""The two trainings on sequences: what they read, and that they learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.examples import corpus, ctc, lstm


def test_utterances_follow_from_the_seed() -> None:
    one, again, other = (ctc.spoken(20, seed, 2, 5) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one.arrays(), again.arrays(), strict=True))
    assert not np.array_equal(one.sounds, other.sounds)
    assert one.lengths.min() >= ctc.SHORTEST and one.lengths.max() <= ctc.LONGEST
    assert (one.frames <= ctc.FRAMES).all() and (one.frames >= ctc.BRIEFEST * one.lengths).all()
    for k, (frames, length) in enumerate(zip(one.frames, one.lengths, strict=True)):
        assert not one.sounds[k, frames:].any() and not one.phones[k, length:].any()
        assert (one.phones[k, :length] >= 1).all() and one.phones.max() <= ctc.PHONES


def test_what_is_read_of_an_alignment() -> None:
    assert ctc.read(np.array([0, 3, 3, 0, 3, 1, 1, 0, 0])) == [3, 3, 1]
    assert ctc.read(np.array([2, 2])) == [2] and ctc.read(np.zeros(3, int)) == []
    assert ctc.distance([1, 2, 3], [1, 2, 3]) == 0
    assert ctc.distance([1, 2, 3], [2, 3, 4]) == 2 and ctc.distance([], [5, 5]) == 2
    assert ctc.distance([1, 2, 3, 4], [1, 9, 4]) == 2


def test_ctc_does_not_depend_on_the_number_of_threads() -> None:
    told: list[tuple[int, float, float]] = []
    one = ctc.train(4, 0, 1, lambda *what: told.append(what))
    two = ctc.train(4, 0, 2, lambda *what: None)
    assert one.losses == two.losses and one.error == two.error
    assert one.losses[-1] < one.losses[0] and told[-1] == (4, one.losses[-1], one.error)


def small(folder: Path) -> corpus.Corpus:
    for k in range(20):
        (folder / f"m{k}.py").write_text(f"def f{k}(x):\n    return x + {k}\n" * 20)
    return corpus.load(folder)


def test_lstm_does_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    text = small(tmp_path)
    one, two = (lstm.train(text, 4, 0, threads, lambda *what: None) for threads in (1, 2))
    assert one.losses == two.losses and one.validation == two.validation
    assert one.losses[-1] < one.losses[0]


def in_torch(text: corpus.Corpus, steps: int, seed: int) -> float:
    """The same training in PyTorch; gives the validation loss."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)
    params = {k: torch.tensor(p) for k, p in lstm.init(text.vocabulary, seed).items()}
    module = torch.nn.LSTM(lstm.WIDTH, lstm.WIDTH)
    with torch.no_grad():
        module.weight_ih_l0.copy_(params["w_ih"].T)
        module.weight_hh_l0.copy_(params["w_hh"].T)
        module.bias_ih_l0.copy_(params["b"])
        module.bias_hh_l0.zero_()
    # Two biases whose sum counts would learn twice as fast as one.
    module.bias_hh_l0.requires_grad_(False)
    others = [params[k].requires_grad_() for k in ("table", "head", "head_b")]
    trained = [*others, *(p for p in module.parameters() if p.requires_grad)]
    adam = torch.optim.Adam(trained)
    rate = gx.optim.cosine_decay_schedule(lstm.LEARNING_RATE, steps)

    def loss(tokens: np.ndarray, targets: np.ndarray):
        x = others[0][torch.tensor(tokens.T).long()]
        logits = module(x)[0] @ others[1] + others[2]
        wanted = torch.tensor(np.ascontiguousarray(targets.T)).long()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())

    for k in range(steps):
        adam.param_groups[0]["lr"] = float(rate(k))
        adam.zero_grad()
        loss(*lstm.batch(text.training, seed, k)).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        adam.step()
    with torch.no_grad():
        return lstm.validated(lambda _, *window: loss(*window).item(), None, text.validation)


def test_a_few_steps_are_those_of_pytorch(tmp_path: Path) -> None:
    text = small(tmp_path)
    ours = lstm.train(text, 10, 0, 2, lambda *what: None).validation
    assert abs(ours - in_torch(text, 10, 0)) < 1e-3


@pytest.mark.slow
def test_the_validation_loss_is_that_of_pytorch() -> None:
    text = corpus.load()
    ours = lstm.train(text, lstm.STEPS, 0, 2, lambda *what: None).validation
    assert abs(ours - in_torch(text, lstm.STEPS, 0)) < 0.02


@pytest.mark.slow
def test_at_most_one_phone_of_twenty_is_wrong() -> None:
    assert ctc.train(ctc.STEPS, 0, 2, lambda *what: None).error <= 0.05
