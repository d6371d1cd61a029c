"""A long short-term memory on characters: the source code of Python's standard library, read one
character after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, nn, optim
from graphc.examples import corpus

WIDTH, CONTEXT, BATCH = 128, 64, 32
STEPS, LEARNING_RATE = 1500, 4e-3
#: Windows of the validation text, at fixed places.
WINDOWS = 512
#: Streams of random numbers of one seed.
_INIT, _BATCHES = range(2)


@dataclass(frozen=True)
class Result:
    lowered: gx.Lowered[Any, Any]
    losses: list[float]
    step_seconds: list[float]
    validation: float


def init(vocabulary: int, seed: int) -> dict[str, np.ndarray]:
    rng = _generator(seed, _INIT)
    weight = nn.initializers.lecun_normal()
    bias = np.zeros(4 * WIDTH, np.float32)
    bias[WIDTH : 2 * WIDTH] = 1  # what is remembered is kept at first
    return {
        "table": nn.initializers.normal(0.1)(rng, (vocabulary, WIDTH)),
        "w_ih": weight(rng, (WIDTH, 4 * WIDTH)),
        "w_hh": nn.initializers.orthogonal()(rng, (WIDTH, 4 * WIDTH)),
        "b": bias,
        "head": weight(rng, (WIDTH, vocabulary)),
        "head_b": np.zeros(vocabulary, np.float32),
    }


def loss(params: Any, tokens: Tensor, targets: Tensor) -> Tensor:
    """Nats per character; both int32[B,T]. Every window begins without memory."""
    x = nn.embedding(params["table"], tokens.T)
    nothing = gx.zeros((tokens.shape[0], WIDTH))
    ys, _ = nn.lstm(x, (nothing, nothing), params["w_ih"], params["w_hh"], params["b"])
    logits = nn.linear(ys, params["head"], params["head_b"])
    return gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, targets.T))


def optimizer(steps: int) -> optim.GradientTransformation:
    """Adam with a falling learning rate, after gradients have been limited."""
    rate = optim.cosine_decay_schedule(LEARNING_RATE, steps)
    return optim.chain(optim.clip_by_global_norm(1.0), optim.adam(rate))


def batch(text: np.ndarray, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The windows of a step, at random places that follow from seed and step."""
    starts = _generator(seed, _BATCHES, step).integers(0, len(text) - CONTEXT, BATCH)
    return corpus.windows(text, starts, CONTEXT)


def validated(run: Callable[..., Any], params: Any, text: np.ndarray) -> float:
    """The mean loss, as `run` computes it, over windows that are evenly spaced in a text."""
    starts = np.linspace(0, len(text) - CONTEXT - 1, WINDOWS).astype(np.int64)
    parts = starts.reshape(-1, BATCH)
    return float(np.mean([run(params, *corpus.windows(text, p, CONTEXT)) for p in parts]))


def train(
    text: corpus.Corpus,
    steps: int,
    seed: int,
    threads: int | None,
    watch: Callable[[int, float, float], None],
) -> Result:
    """`watch(step, loss, validation)` is told ten times."""
    opt = optimizer(steps)

    def step(state: Any, tokens: Tensor, targets: Tensor) -> Any:
        params, opt_state = state
        value, grads = gx.value_and_grad(loss)(params, tokens, targets)
        updates, opt_state = opt.update(grads, opt_state, params)
        return (optim.apply_updates(params, updates), opt_state), value

    params = init(text.vocabulary, seed)
    state = params, opt.init(params)
    tokens, targets = (np.empty((BATCH, CONTEXT), np.int32) for _ in range(2))
    lowered = gx.trace(step, state, tokens, targets, donate_argnums=0).lower(threads=threads)
    run = lowered.compile().bind(state, tokens, targets)
    evaluate: Any = gx.compile(loss, params, tokens, targets, threads=threads)

    losses, seconds, validation = [], [], 0.0
    for k in range(steps):
        tokens[:], targets[:] = batch(text.training, seed, k)
        begin = time.perf_counter()
        _, value = run()
        seconds.append(time.perf_counter() - begin)
        losses.append(float(value))
        if (k + 1) % max(1, steps // 10) == 0 or k + 1 == steps:
            validation = validated(evaluate, params, text.validation)
            watch(k + 1, losses[-1], validation)
    return Result(lowered, losses, seconds, validation)


def _generator(seed: int, stream: int, step: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, step, 0, 0]))
