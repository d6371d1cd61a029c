"""Handwritten digits: a perceptron or a convolutional network on scikit-learn's 8 x 8 images, a
fifth of them held out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, nn, optim
from graphc.errors import GraphcError

SIZES = (64, 128, 64, 10)
CHANNELS = (1, 16, 32, 64)
BATCH = 64


@dataclass(frozen=True)
class Result:
    lowered: gx.Lowered[Any, Any]
    losses: list[float]
    step_seconds: list[float]
    accuracy: float


@dataclass(frozen=True)
class Images:
    """Pixels float32[N,64] in [0, 1] and digits int32[N]."""

    pixels: np.ndarray
    digits: np.ndarray

    def __getitem__(self, which: Any) -> Images:
        return Images(self.pixels[which], self.digits[which])

    def __len__(self) -> int:
        return len(self.digits)


def load(rng: np.random.Generator) -> tuple[Images, Images]:
    """Four fifths for training and one for the test, drawn at random. Raises GraphcError without
    scikit-learn.
    """
    if find_spec("sklearn") is None:
        raise GraphcError(
            "the images come with scikit-learn, which is not installed: pip install scikit-learn"
        )
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    pixels, digits = load_digits(return_X_y=True)
    images = Images((pixels / 16).astype(np.float32), digits.astype(np.int32))
    order = rng.permutation(len(images))
    held_out = len(images) // 5
    return images[order[held_out:]], images[order[:held_out]]


@dataclass(frozen=True)
class Model:
    """Fresh parameters, and from them and float32[B,64] the scores of the digits, float32[B,10]."""

    init: Callable[[np.random.Generator], Any]
    scores: Callable[[Any, Tensor], Tensor]


def init_mlp(rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    weight = nn.initializers.he_normal()
    return [{"w": weight(rng, (m, n)), "b": np.zeros(n, np.float32)} for m, n in pairwise(SIZES)]


def mlp(params: Any, x: Tensor) -> Tensor:
    for p in params[:-1]:
        x = nn.relu(nn.linear(x, p["w"], p["b"]))
    return nn.linear(x, params[-1]["w"], params[-1]["b"])


def init_cnn(rng: np.random.Generator) -> dict[str, Any]:
    weight = nn.initializers.he_normal()
    convolutions = [
        {"w": weight(rng, (3, 3, m, n)), "b": np.zeros(n, np.float32)}
        for m, n in pairwise(CHANNELS)
    ]
    return {
        "convolutions": convolutions,
        "head": {"w": weight(rng, (4 * CHANNELS[-1], 10)), "b": np.zeros(10, np.float32)},
    }


def cnn(params: Any, x: Tensor) -> Tensor:
    """3 x 3 convolutions at 8 x 8, 8 x 8 and, between two halvings, 4 x 4 pixels."""
    first, second, third = params["convolutions"]
    x = x.reshape(-1, 8, 8, 1)
    x = _convolved(first, x)
    x = nn.max_pool2d(_convolved(second, x), 2, layout="NHWC")
    x = nn.max_pool2d(_convolved(third, x), 2, layout="NHWC")
    return nn.linear(x.reshape(x.shape[0], -1), params["head"]["w"], params["head"]["b"])


def _convolved(p: Any, x: Tensor) -> Tensor:
    return nn.relu(nn.conv2d(x, p["w"], padding="SAME", layout="NHWC") + p["b"])


MODELS = {"mlp": Model(init_mlp, mlp), "cnn": Model(init_cnn, cnn)}


def train(
    epochs: int,
    seed: int,
    threads: int | None,
    watch: Callable[[int, float], None],
    model: str = "mlp",
) -> Result:
    """Adam on shuffled batches, of which the last of an epoch is smaller; `watch(epoch, accuracy)`
    is told of every epoch's test.
    """
    rng = np.random.default_rng(seed)
    training, test = load(rng)
    steps = -(-len(training) // BATCH)
    optimizer = optim.adam(optim.cosine_decay_schedule(2e-3, epochs * steps))
    scores = MODELS[model].scores

    def loss(params: Any, x: Tensor, y: Tensor) -> Tensor:
        return gx.mean(nn.softmax_cross_entropy_with_integer_labels(scores(params, x), y))

    def correct(params: Any, x: Tensor, y: Tensor) -> Tensor:
        """How many of a batch are recognized, int64[]."""
        return gx.count_nonzero(gx.argmax(scores(params, x), axis=-1) == y.astype("int64"))

    def step(state: Any, x: Tensor, y: Tensor) -> Any:
        params, opt = state
        value, grads = gx.value_and_grad(loss)(params, x, y)
        updates, opt = optimizer.update(grads, opt, params)
        return (optim.apply_updates(params, updates), opt), value

    params = MODELS[model].init(rng)
    state = params, optimizer.init(params)
    pixels, labels = gx.spec(("B", 64), max=BATCH), gx.spec(("B",), "int32", max=BATCH)
    lowered = gx.trace(step, state, pixels, labels, donate_argnums=0).lower(threads=threads)
    run = lowered.compile()
    count: Any = gx.compile(correct, params, test.pixels, test.digits, threads=threads)

    losses, seconds, accuracy = [], [], 0.0
    for epoch in range(epochs):
        order = rng.permutation(len(training))
        for k in range(0, len(order), BATCH):
            batch = training[order[k : k + BATCH]]
            begin = time.perf_counter()
            state, value = run(state, batch.pixels, batch.digits)
            seconds.append(time.perf_counter() - begin)
            losses.append(float(value))
        accuracy = int(count(params, test.pixels, test.digits)) / len(test)
        watch(epoch + 1, accuracy)
    return Result(lowered, losses, seconds, accuracy)
