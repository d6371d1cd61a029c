"""A GPT on characters: its parameters, its training step, and text sampled from it.

The architecture is GPT-2's: blocks of attention and of a two-layer perceptron, each behind a layer
norm and beside a residual path; the embedding table is also the head. B is the batch, T the
context, D the width, V the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, nn, optim


@dataclass(frozen=True)
class Config:
    """The sizes of a model; `heads` divides `width`."""

    vocabulary: int
    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64


def init(config: Config, rng: np.random.Generator) -> dict[str, Any]:
    """Fresh parameters, NumPy arrays. What is added to the residual path starts at zero, so every
    block begins as the identity.
    """
    d = config.width
    weight = nn.initializers.lecun_normal()

    def linear(inputs: int, outputs: int) -> dict[str, np.ndarray]:
        return {"w": weight(rng, (inputs, outputs)), "b": np.zeros(outputs, np.float32)}

    def closed(inputs: int, outputs: int) -> dict[str, np.ndarray]:
        return {name: np.zeros_like(p) for name, p in linear(inputs, outputs).items()}

    def norm() -> dict[str, np.ndarray]:
        return {"scale": np.ones(d, np.float32), "shift": np.zeros(d, np.float32)}

    def block() -> dict[str, Any]:
        attention = {"norm1": norm(), "qkv": linear(d, 3 * d), "out": closed(d, d)}
        return attention | {"norm2": norm(), "up": linear(d, 4 * d), "down": closed(4 * d, d)}

    table = nn.initializers.normal(0.02)
    return {
        "tokens": table(rng, (config.vocabulary, d)),
        "positions": table(rng, (config.context, d)),
        "blocks": [block() for _ in range(config.layers)],
        "norm": norm(),
    }


def layer_norm(p: Any, x: Tensor) -> Tensor:
    return nn.layer_norm(x, p["scale"], p["shift"])


def linear(p: Any, x: Tensor) -> Tensor:
    return nn.linear(x, p["w"], p["b"])


def attention(p: Any, x: Tensor, heads: int) -> Tensor:
    batch, time, width = x.shape
    qkv = linear(p["qkv"], x).reshape(batch, time, 3, heads, width // heads)
    q, k, v = gx.permute_dims(qkv, (2, 0, 3, 1, 4))
    mixed = nn.attention(q, k, v, causal=True)
    return linear(p["out"], gx.swapaxes(mixed, 1, 2).reshape(batch, time, width))


def forward(params: Any, tokens: Tensor, heads: int) -> Tensor:
    """Scores of the next character at every place: int32[B,T] -> float32[B,T,V]."""
    x = nn.embedding(params["tokens"], tokens) + params["positions"]
    for p in params["blocks"]:
        x = x + attention(p, layer_norm(p["norm1"], x), heads)
        hidden = nn.gelu(linear(p["up"], layer_norm(p["norm2"], x)), approximate=True)
        x = x + linear(p["down"], hidden)
    return layer_norm(params["norm"], x) @ params["tokens"].T


def loss(params: Any, tokens: Tensor, targets: Tensor, heads: int) -> Tensor:
    """Mean cross-entropy in nats per character; tokens and targets are int32[B,T]."""
    logits = forward(params, tokens, heads)
    return gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, targets))


def training_step(heads: int, optimizer: optim.GradientTransformation) -> Callable[..., Any]:
    """The step `(state, tokens, targets) -> (state, loss)` that is compiled as one unit."""

    def step(state: Any, tokens: Tensor, targets: Tensor) -> Any:
        params = state["params"]
        value = loss(params, tokens, targets, heads)
        grads = gx.grad(value, params)
        updates, opt = optimizer.update(grads, state["opt"], params)
        return {"params": optim.apply_updates(params, updates), "opt": opt}, value

    return step


def sample(
    scores: Callable[[np.ndarray], np.ndarray],
    prompt: list[int],
    context: int,
    temperature: float,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Characters after `prompt`, without end. `scores` is the compiled forward function: it gives
    [1,T,V] for a window int32[1,T]. What stands behind a place does not change its scores, so a
    short text is padded.
    """
    text = list(prompt)
    while True:
        text = text[-context:]
        window = np.zeros((1, context), np.int32)
        window[0, : len(text)] = text
        last = scores(window)[0, len(text) - 1].astype(np.float64) / temperature
        weights = np.exp(last - last.max())
        text.append(int(rng.choice(len(weights), p=weights / weights.sum())))
        yield text[-1]
