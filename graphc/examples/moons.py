"""micrograd's demonstration: two half moons, a perceptron 2-16-16-1, hinge loss and L2."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from math import pi
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, nn, optim

SIZES = (2, 16, 16, 1)
DECAY = 1e-4


@dataclass(frozen=True)
class Result:
    lowered: gx.Lowered[Any, Any]
    losses: list[float]
    step_seconds: list[float]
    accuracy: float


def points(count: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved half circles, as scikit-learn's make_moons: float32[count,2] and the moons'
    signs, float32[count].
    """
    outer = count // 2
    angles = np.concatenate([np.linspace(0, pi, outer), np.linspace(0, pi, count - outer)])
    upper = np.arange(count) < outer
    x = np.where(upper, np.cos(angles), 1 - np.cos(angles))
    y = np.where(upper, np.sin(angles), 0.5 - np.sin(angles))
    place = np.stack([x, y], axis=1) + rng.normal(0, noise, (count, 2))
    return place.astype(np.float32), np.where(upper, -1, 1).astype(np.float32)


def init(rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    weight = nn.initializers.he_normal()
    return [{"w": weight(rng, (m, n)), "b": np.zeros(n, np.float32)} for m, n in pairwise(SIZES)]


def scores(params: Any, x: Tensor) -> Tensor:
    """float32[B,2] -> float32[B]; the sign tells the moon."""
    for p in params[:-1]:
        x = nn.relu(nn.linear(x, p["w"], p["b"]))
    return nn.linear(x, params[-1]["w"], params[-1]["b"])[:, 0]


def loss(params: Any, x: Tensor, y: Tensor) -> Tensor:
    margins = gx.mean(nn.relu(1 - y * scores(params, x)))
    return margins + DECAY * sum(gx.sum(p["w"] ** 2) + gx.sum(p["b"] ** 2) for p in params)


def train(steps: int, seed: int, threads: int | None) -> Result:
    """Gradient descent on all 100 points at once, with a falling learning rate."""
    rng = np.random.default_rng(seed)
    x, y = points(100, 0.1, rng)
    optimizer = optim.sgd(optim.linear_schedule(1.0, 0.1, steps))

    def step(state: Any, x: Tensor, y: Tensor) -> Any:
        params, opt = state
        value, grads = gx.value_and_grad(loss)(params, x, y)
        updates, opt = optimizer.update(grads, opt, params)
        return (optim.apply_updates(params, updates), opt), value

    params = init(rng)
    state = params, optimizer.init(params)
    lowered = gx.trace(step, state, x, y, donate_argnums=0).lower(threads=threads)
    run = lowered.compile().bind(state, x, y)
    losses, seconds = [], []
    for _ in range(steps):
        begin = time.perf_counter()
        _, value = run()
        seconds.append(time.perf_counter() - begin)
        losses.append(float(value))
    evaluate: Any = gx.compile(scores, params, x, threads=threads)
    right = np.sign(evaluate(params, x)) == y
    return Result(lowered, losses, seconds, float(np.mean(right)))
