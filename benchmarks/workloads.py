"""The training steps that are measured, each stated once.

A workload is mathematics: arrays, an optimizer, and the name of a model that every system writes in
its own words (`systems/`). Weights are normal, scaled by 1/sqrt(fan_in) (for an embedding table, by
1/sqrt(width)); biases start at zero, scales of normalisations at one. Weights of linear layers are
[in, out], of convolutions [out, in, height, width]. Everything is float32, labels are int32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

Tree = dict[str, Any]
"""Arrays in nested dicts and lists, the same structure and names in every system."""


@dataclass(frozen=True)
class Arrays:
    """What a step reads: `params` are trained, `buffers` are other state, `batch` is fixed."""

    params: Tree
    batch: tuple[np.ndarray, ...]
    buffers: Tree = field(default_factory=dict)


@dataclass(frozen=True)
class Optimizer:
    """An optimizer under optax's name, with optax's defaults for what `options` leaves out."""

    name: str
    options: Mapping[str, float]


@dataclass(frozen=True)
class Workload:
    """One training step.

    `flops` counts two for every multiply-add of products and convolutions, forward and backward:
    nothing elementwise, no gradient of the batch, attention without its causal half left out.
    `traffic` is the bytes that the optimizer must move through memory, where the state is larger
    than any cache. With `remat` among its options a model can compute its blocks again.
    """

    name: str
    model: str
    make: Callable[[np.random.Generator], Arrays]
    optimizer: Optimizer
    flops: int
    traffic: int = 0
    options: Mapping[str, int] = field(default_factory=dict)

    def arrays(self) -> Arrays:
        """Fresh arrays, equal at every call."""
        return self.make(np.random.default_rng(0))


def normal(rng: np.random.Generator, *shape: int, fan_in: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32) / np.float32(fan_in**0.5)


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def labels(rng: np.random.Generator, classes: int, *shape: int) -> np.ndarray:
    return rng.integers(classes, size=shape, dtype=np.int32)


def linear(rng: np.random.Generator, fan_in: int, fan_out: int) -> Tree:
    return {"weight": normal(rng, fan_in, fan_out, fan_in=fan_in), "bias": zeros(fan_out)}


def perceptron(rng: np.random.Generator, widths: tuple[int, ...]) -> Tree:
    return {"layers": [linear(rng, *pair) for pair in pairwise(widths)]}


def dense(*widths: int) -> int:
    """Multiply-adds of one row through linear layers of these widths."""
    return sum(a * b for a, b in pairwise(widths))


def trained(forward: int, first: int = 0) -> int:
    """Flops of a step from the multiply-adds of its forward pass.

    Backward costs twice forward, but for the `first` layer, whose input needs no gradient.
    """
    return 2 * (3 * forward - first)


# --- multilayer perceptrons -----------------------------------------------------------------------

MOONS, DIGITS, BURGERS = (2, 16, 16, 1), (784, 512, 256, 10), (2, *[20] * 8, 1)
POINTS = 2000


def moons(rng: np.random.Generator) -> Arrays:
    x = rng.standard_normal((100, 2), np.float32)
    y = np.where(x[:, 0] * x[:, 1] > 0, np.float32(1), np.float32(-1))
    return Arrays(perceptron(rng, MOONS), (x, y))


def digits(rng: np.random.Generator) -> Arrays:
    batch = rng.standard_normal((128, DIGITS[0]), np.float32), labels(rng, DIGITS[-1], 128)
    return Arrays(perceptron(rng, DIGITS), batch)


def burgers(rng: np.random.Generator) -> Arrays:
    """Points (t, x) of [0, 1] × [-1, 1]."""
    points = rng.random((POINTS, 2), np.float32)
    points[:, 1] = 2 * points[:, 1] - 1
    return Arrays(perceptron(rng, BURGERS), (points,))


# --- convolutions ---------------------------------------------------------------------------------

CHANNELS, IMAGES, CLASSES = (3, 32, 32, 64, 64, 128), 64, 10
AREAS = (32 * 32, 32 * 32, 16 * 16, 16 * 16, 8 * 8)
"""Pixels that each convolution computes: a 2×2 max pool follows the second and the fourth."""


def images(rng: np.random.Generator) -> Arrays:
    """Images are [batch, channels, height, width]; running statistics are buffers."""
    batch = rng.standard_normal((IMAGES, 3, 32, 32), np.float32), labels(rng, CLASSES, IMAGES)
    blocks = [
        {"conv": normal(rng, c, b, 3, 3, fan_in=9 * b), "scale": ones(c), "bias": zeros(c)}
        for b, c in pairwise(CHANNELS)
    ]
    params = {"blocks": blocks, "head": linear(rng, CHANNELS[-1], CLASSES)}
    stats = [{"mean": zeros(c), "var": ones(c)} for c in CHANNELS[1:]]
    return Arrays(params, batch, {"blocks": stats})


def convolution_flops() -> int:
    costs = [9 * b * c * area for (b, c), area in zip(pairwise(CHANNELS), AREAS, strict=True)]
    return trained(IMAGES * (sum(costs) + CHANNELS[-1] * CLASSES), IMAGES * costs[0])


# --- sequences ------------------------------------------------------------------------------------

CHARACTERS = 65


def recurrent(rng: np.random.Generator) -> Arrays:
    """Gates i, f, g, o; one bias. Tokens and targets are [time, batch]."""
    time, batch, width = 64, 32, 128
    tokens, targets = labels(rng, CHARACTERS, time, batch), labels(rng, CHARACTERS, time, batch)
    params = {
        "embedding": normal(rng, CHARACTERS, width, fan_in=width),
        "w_ih": normal(rng, width, 4 * width, fan_in=width),
        "w_hh": normal(rng, width, 4 * width, fan_in=width),
        "bias": zeros(4 * width),
        "head": linear(rng, width, CHARACTERS),
    }
    return Arrays(params, (tokens, targets))


@dataclass(frozen=True)
class GPT:
    """A GPT-2 of pre-norm blocks with a tied head. Tokens and targets are [batch, time]."""

    layers: int
    width: int
    heads: int
    time: int
    vocabulary: int
    batch: int

    def __call__(self, rng: np.random.Generator) -> Arrays:
        d, shape = self.width, (self.batch, self.time)

        def norm() -> Tree:
            return {"scale": ones(d), "bias": zeros(d)}

        def block() -> Tree:
            return {
                "norm1": norm(),
                "qkv": linear(rng, d, 3 * d),
                "out": linear(rng, d, d),
                "norm2": norm(),
                "up": linear(rng, d, 4 * d),
                "down": linear(rng, 4 * d, d),
            }

        params = {
            "tokens": normal(rng, self.vocabulary, d, fan_in=d),
            "positions": normal(rng, self.time, d, fan_in=d),
            "blocks": [block() for _ in range(self.layers)],
            "norm": norm(),
        }
        return Arrays(params, tuple(labels(rng, self.vocabulary, *shape) for _ in range(2)))

    @property
    def flops(self) -> int:
        d = self.width
        attention = 2 * self.time * d
        products = dense(d, 3 * d) + dense(d, d) + dense(d, 4 * d, d)
        token = self.layers * (products + attention) + d * self.vocabulary
        return trained(self.batch * self.time * token)

    @property
    def parameters(self) -> int:
        d = self.width
        block = dense(d, 3 * d) + dense(d, d) + dense(d, 4 * d, d) + 13 * d
        return (self.vocabulary + self.time) * d + self.layers * block + 2 * d


def gpt(name: str, **sizes: int) -> Workload:
    model = GPT(**sizes)
    # Seven passes over the parameters: p, m and v are read and written, the gradient is read.
    traffic = 7 * 4 * model.parameters if model.parameters > 10**8 else 0
    options = {"heads": model.heads, "remat": False}
    return Workload(name, "gpt", model, ADAMW, model.flops, traffic, options)


# --- the eight ------------------------------------------------------------------------------------

SGD = Optimizer("sgd", {"learning_rate": 0.1})
MOMENTUM = Optimizer("sgd", {"learning_rate": 0.01, "momentum": 0.9})
ADAM = Optimizer("adam", {"learning_rate": 1e-3})
ADAMW = Optimizer("adamw", {"learning_rate": 3e-4})

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("moons", "hinge", moons, SGD, trained(100 * dense(*MOONS), 100 * dense(2, 16))),
        Workload(
            "mlp",
            "classifier",
            digits,
            MOMENTUM,
            trained(128 * dense(*DIGITS), 128 * dense(784, 512)),
        ),
        Workload("cnn", "cnn", images, MOMENTUM, convolution_flops()),
        gpt("gpt-nano", layers=4, width=128, heads=4, time=64, vocabulary=CHARACTERS, batch=12),
        gpt("gpt-mini", layers=6, width=384, heads=6, time=256, vocabulary=CHARACTERS, batch=4),
        gpt("gpt2", layers=12, width=768, heads=12, time=64, vocabulary=50257, batch=4),
        Workload(
            "lstm", "lstm", recurrent, ADAM, trained(64 * 32 * (2 * 128 * 512 + 128 * CHARACTERS))
        ),
        # How often the second derivatives and their gradient cost a forward pass depends on the
        # algorithm; 27 is what two nested reverse modes need, and forward modes need fewer.
        Workload("pinn", "burgers", burgers, ADAM, 2 * 27 * POINTS * dense(*BURGERS)),
    )
}
