"""Training steps of which the memory is looked at."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

import graphc as gx
from graphc import nn


def chain(depth: int, width: int = 32, batch: int = 64) -> Any:
    """A step of `depth` equal layers, each with its own weights."""
    weights = [gx.spec((width, width)) for _ in range(depth)]

    def step(weights: Any, x: Any) -> Any:
        h = x
        for w in weights:
            h = gx.tanh(h @ w)
        loss = gx.mean(h * h)
        grads = gx.grad(loss, weights)
        return [w - 0.1 * g for w, g in zip(weights, grads, strict=True)], loss

    return gx.trace(step, weights, gx.spec((batch, width)), donate_argnums=0)


def forward_only(depth: int, width: int = 32, batch: int = 64) -> Any:
    """The forward pass of `chain`."""
    weights = [gx.spec((width, width)) for _ in range(depth)]

    def step(weights: Any, x: Any) -> Any:
        for w in weights:
            x = gx.tanh(x @ w)
        return gx.mean(x * x)

    return gx.trace(step, weights, gx.spec((batch, width)))


def some_step(seed: int) -> tuple[Any, tuple[Any, ...]]:
    """A random network with skips, products, norms and pointwise functions; and its arguments."""
    choice = random.Random(seed)
    width, batch = choice.choice([8, 16, 24]), choice.choice([4, 32, 48])
    kinds = [choice.choice(["product", "relu", "gelu", "norm", "skip", "mul"]) for _ in range(9)]
    source = np.random.default_rng(seed)
    count = kinds.count("product") + 1
    weights = [
        (source.standard_normal((width, width)) / width**0.5).astype(np.float32)
        for _ in range(count)
    ]
    x = source.standard_normal((batch, width)).astype(np.float32)

    def step(weights: Any, x: Any) -> Any:
        left = iter(weights)
        h = x @ next(left)
        seen = [h]
        for kind in kinds:
            other = seen[len(seen) // 2]
            if kind == "product":
                h = h @ next(left)
            elif kind == "relu":
                h = nn.relu(h)
            elif kind == "gelu":
                h = nn.gelu(h, approximate=True)
            elif kind == "norm":
                h = nn.layer_norm(h, np.ones(width, np.float32), np.zeros(width, np.float32))
            elif kind == "skip":
                h = h + other
            else:
                h = h * gx.tanh(other)
            seen.append(h)
        loss = gx.mean(h * h)
        return gx.grad(loss, weights), loss

    return gx.trace(step, weights, x), (weights, x)
