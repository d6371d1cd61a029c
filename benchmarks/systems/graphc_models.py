"""The models in graphc: functions `(params, buffers, batch, **options) -> (loss, buffers)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, nn


def linear(p: Any, x: Tensor) -> Tensor:
    return nn.linear(x, p["weight"], p["bias"])


def perceptron(layers: list[Any], x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    for p in layers[:-1]:
        x = activation(linear(p, x))
    return linear(layers[-1], x)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, targets))


def hinge(params: Any, buffers: Any, batch: Any) -> tuple[Tensor, Any]:
    x, y = batch
    scores = perceptron(params["layers"], x, nn.relu)[:, 0]
    return gx.mean(nn.relu(1 - y * scores)), buffers


def classifier(params: Any, buffers: Any, batch: Any) -> tuple[Tensor, Any]:
    x, y = batch
    return cross_entropy(perceptron(params["layers"], x, nn.relu), y), buffers


def burgers(params: Any, buffers: Any, batch: Any) -> tuple[Tensor, Any]:
    """Derivatives by t and x in forward mode: the points need no backward pass of their own."""
    (points,) = batch
    along_t, along_x = (np.tile(np.eye(2, dtype=np.float32)[i], (len(points), 1)) for i in (0, 1))

    def u(p: Tensor) -> Tensor:
        return perceptron(params["layers"], p, gx.tanh)

    def with_slope(p: Tensor) -> tuple[Tensor, Tensor]:
        return gx.jvp(u, (p,), (along_x,))

    (value, u_x), (_, u_xx) = gx.jvp(with_slope, (points,), (along_x,))
    _, u_t = gx.jvp(u, (points,), (along_t,))
    return gx.mean((u_t + value * u_x - (0.01 / pi) * u_xx) ** 2), buffers


def cnn(params: Any, buffers: Any, batch: Any) -> tuple[Tensor, Any]:
    x, y = batch
    stats = []
    for i, (p, running) in enumerate(zip(params["blocks"], buffers["blocks"], strict=True)):
        x = nn.conv2d(x, p["conv"], padding="SAME")
        x, mean, var = nn.batch_norm(
            x, p["scale"], p["bias"], running["mean"], running["var"], training=True, layout="NCHW"
        )
        x = nn.relu(x)
        stats.append({"mean": mean, "var": var})
        if i in (1, 3):
            x = nn.max_pool2d(x, 2)
    logits = linear(params["head"], gx.mean(x, axis=(2, 3)))
    return cross_entropy(logits, y), {"blocks": stats}


def lstm(params: Any, buffers: Any, batch: Any) -> tuple[Tensor, Any]:
    tokens, targets = batch
    x = nn.embedding(params["embedding"], tokens)
    start = gx.zeros((tokens.shape[1], params["w_hh"].shape[0]))
    hidden, _ = nn.lstm(x, (start, start), params["w_ih"], params["w_hh"], params["bias"])
    return cross_entropy(linear(params["head"], hidden), targets), buffers


def layer_norm(p: Any, x: Tensor) -> Tensor:
    return nn.layer_norm(x, p["scale"], p["bias"])


def attention(p: Any, x: Tensor, heads: int) -> Tensor:
    batch, time, width = x.shape
    qkv = linear(p["qkv"], x).reshape(batch, time, 3, heads, width // heads)
    q, k, v = gx.permute_dims(qkv, (2, 0, 3, 1, 4))
    mixed = gx.permute_dims(nn.attention(q, k, v, causal=True), (0, 2, 1, 3))
    return linear(p["out"], mixed.reshape(batch, time, width))


def block(p: Any, x: Tensor, heads: int) -> Tensor:
    x = x + attention(p, layer_norm(p["norm1"], x), heads)
    hidden = nn.gelu(linear(p["up"], layer_norm(p["norm2"], x)), approximate=True)
    return x + linear(p["down"], hidden)


def gpt(params: Any, buffers: Any, batch: Any, *, heads: int, remat: bool) -> tuple[Tensor, Any]:
    tokens, targets = batch
    x = nn.embedding(params["tokens"], tokens) + params["positions"]
    one = partial(block, heads=heads)
    for p in params["blocks"]:
        x = (gx.checkpoint(one) if remat else one)(p, x)
    logits = layer_norm(params["norm"], x) @ params["tokens"].T
    return cross_entropy(logits, targets), buffers


MODELS = {f.__name__: f for f in (hinge, classifier, burgers, cnn, lstm, gpt)}
