"""Reading sequences whose symbols have no known places: made-up speech and connectionist temporal
classification.

An utterance is a sequence of phones, each held for a number of frames that nobody knows, spoken by
a voice of its own, with silence in some places and noise everywhere. The network is told which
phones there are, and in which order, but not where.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, nn, optim

PHONES, FEATURES = 10, 16
#: An utterance has so many phones, and a phone so many frames.
SHORTEST, LONGEST = 3, 8
BRIEFEST, SLOWEST = 3, 8
#: Room for all phones and the silence around them.
FRAMES = LONGEST * (SLOWEST + 2) + 2
WIDTH, BATCH, HELD_OUT = 64, 32, 256
STEPS = 300
#: Streams of random numbers of one seed.
_LANGUAGE, _INIT, _TRAINING, _TEST = range(4)


@dataclass(frozen=True)
class Result:
    lowered: gx.Lowered[Any, Any]
    losses: list[float]
    step_seconds: list[float]
    error: float


@dataclass(frozen=True)
class Utterances:
    """Sounds float32[B,FRAMES,FEATURES], phones int32[B,LONGEST] from 1 (0 is CTC's blank), and how
    many there are of both, int32[B]; zeros behind.
    """

    sounds: np.ndarray
    phones: np.ndarray
    frames: np.ndarray
    lengths: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.sounds, self.phones, self.frames, self.lengths


def spoken(count: int, seed: int, stream: int, step: int = 0) -> Utterances:
    """Utterances that follow from seed, stream and step. A phone moves between two sounds of its
    own, at whatever speed; a voice has its pitch (an offset) and its loudness.
    """
    sounds_of = _generator(seed, _LANGUAGE).standard_normal((PHONES, 2, FEATURES))
    rng = _generator(seed, stream, step)
    sounds = np.zeros((count, FRAMES, FEATURES))
    phones = np.zeros((count, LONGEST), np.int32)
    lengths = rng.integers(SHORTEST, LONGEST + 1, count).astype(np.int32)
    frames = np.zeros(count, np.int32)
    for k, length in enumerate(lengths):
        phones[k, :length] = rng.integers(1, PHONES + 1, length)
        at = int(rng.integers(0, 3))
        for phone in phones[k, :length]:
            held = int(rng.integers(BRIEFEST, SLOWEST + 1))
            way = np.linspace(0, 1, held)[:, None]
            begin, end = sounds_of[phone - 1]
            sounds[k, at : at + held] = (1 - way) * begin + way * end
            at += held + int(rng.integers(0, 3))
        frames[k] = at
        voice = 0.3 * rng.standard_normal(FEATURES)
        loudness = rng.uniform(0.7, 1.3)
        noise = 0.4 * rng.standard_normal((at, FEATURES))
        sounds[k, :at] = loudness * sounds[k, :at] + voice + noise
    return Utterances(sounds.astype(np.float32), phones, frames, lengths)


def init(seed: int) -> dict[str, Any]:
    rng = _generator(seed, _INIT)
    he, weight = nn.initializers.he_normal(), nn.initializers.lecun_normal()

    def memory() -> dict[str, np.ndarray]:
        return {
            "w_ih": weight(rng, (WIDTH, 3 * WIDTH)),
            "w_hh": nn.initializers.orthogonal()(rng, (WIDTH, 3 * WIDTH)),
            "b": np.zeros(3 * WIDTH, np.float32),
        }

    return {
        "ear": {"w": he(rng, (5, FEATURES, WIDTH)), "b": np.zeros(WIDTH, np.float32)},
        "memory": memory(),
        "head": {"w": weight(rng, (WIDTH, PHONES + 1)), "b": np.zeros(PHONES + 1, np.float32)},
    }


def log_probs(params: Any, sounds: Tensor) -> Tensor:
    """float32[B,FRAMES,FEATURES] -> float32[FRAMES,B,PHONES+1]: a convolution hears five frames at
    once, a recurrent layer remembers what was before.
    """
    heard = nn.conv1d(sounds, params["ear"]["w"], padding="SAME", layout="NHWC")
    x = gx.permute_dims(nn.relu(heard + params["ear"]["b"]), (1, 0, 2))
    memory = params["memory"]
    ys, _ = nn.gru(x, gx.zeros((x.shape[1], WIDTH)), memory["w_ih"], memory["w_hh"], memory["b"])
    return nn.log_softmax(nn.linear(ys, params["head"]["w"], params["head"]["b"]))


def loss(params: Any, sounds: Tensor, phones: Tensor, frames: Tensor, lengths: Tensor) -> Tensor:
    return gx.mean(nn.ctc_loss(log_probs(params, sounds), phones, frames, lengths))


def best(params: Any, sounds: Tensor) -> Tensor:
    """The likeliest symbol of each frame, int64[FRAMES,B]."""
    return gx.argmax(log_probs(params, sounds), axis=-1)


def read(symbols: np.ndarray) -> list[int]:
    """The phones of an alignment: repeated symbols are one, and blanks are none."""
    changes = np.flatnonzero(np.diff(symbols, prepend=0))
    return [int(s) for s in symbols[changes] if s]


def distance(a: list[int], b: list[int]) -> int:
    """How many symbols have to be inserted, removed or replaced to make b of a (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def train(
    steps: int, seed: int, threads: int | None, watch: Callable[[int, float, float], None]
) -> Result:
    """Adam on utterances that are new in each step; `watch(step, loss, error)` is told ten times of
    the label error rate on others: the distance of what is read from what was said, for a phone.
    """
    rate = optim.cosine_decay_schedule(5e-3, steps)
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(rate))

    def step(state: Any, *utterances: Tensor) -> Any:
        params, opt = state
        value, grads = gx.value_and_grad(loss)(params, *utterances)
        updates, opt = optimizer.update(grads, opt, params)
        return (optim.apply_updates(params, updates), opt), value

    params = init(seed)
    state = params, optimizer.init(params)
    heard = spoken(BATCH, seed, _TRAINING).arrays()
    lowered = gx.trace(step, state, *heard, donate_argnums=0).lower(threads=threads)
    run = lowered.compile().bind(state, *heard)
    test = spoken(HELD_OUT, seed, _TEST)
    evaluate: Any = gx.compile(best, params, test.sounds, threads=threads)

    losses, seconds, error = [], [], 1.0
    for k in range(steps):
        for array, new in zip(heard, spoken(BATCH, seed, _TRAINING, k).arrays(), strict=True):
            array[:] = new
        begin = time.perf_counter()
        _, value = run()
        seconds.append(time.perf_counter() - begin)
        losses.append(float(value))
        if (k + 1) % max(1, steps // 10) == 0 or k + 1 == steps:
            error = label_error_rate(evaluate(params, test.sounds), test)
            watch(k + 1, losses[-1], error)
    return Result(lowered, losses, seconds, error)


def label_error_rate(symbols: np.ndarray, said: Utterances) -> float:
    """Errors for each phone that was said, of symbols int64[FRAMES,B]."""
    wrong = sum(
        distance(read(symbols[:frames, k]), said.phones[k, :length].tolist())
        for k, (frames, length) in enumerate(zip(said.frames, said.lengths, strict=True))
    )
    return wrong / int(said.lengths.sum())


def _generator(seed: int, stream: int, step: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, step, 0, 0]))
