"""The models in JAX: functions `(params, buffers, batch, **options) -> (loss, buffers)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax, nn


def linear(p: Any, x: jax.Array) -> jax.Array:
    return x @ p["weight"] + p["bias"]


def perceptron(layers: list[Any], x: jax.Array, activation: Callable) -> jax.Array:
    for p in layers[:-1]:
        x = activation(linear(p, x))
    return linear(layers[-1], x)


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


def hinge(params: Any, buffers: Any, batch: Any) -> tuple[jax.Array, Any]:
    x, y = batch
    scores = perceptron(params["layers"], x, nn.relu)[:, 0]
    return jnp.mean(nn.relu(1 - y * scores)), buffers


def classifier(params: Any, buffers: Any, batch: Any) -> tuple[jax.Array, Any]:
    x, y = batch
    return cross_entropy(perceptron(params["layers"], x, nn.relu), y), buffers


def burgers(params: Any, buffers: Any, batch: Any) -> tuple[jax.Array, Any]:
    def u(t: jax.Array, x: jax.Array) -> jax.Array:
        return perceptron(params["layers"], jnp.stack([t, x]), jnp.tanh)[0]

    def residual(t: jax.Array, x: jax.Array) -> jax.Array:
        value, (u_t, u_x) = jax.value_and_grad(u, (0, 1))(t, x)
        u_xx = jax.grad(jax.grad(u, 1), 1)(t, x)
        return u_t + value * u_x - (0.01 / pi) * u_xx

    points = batch[0]
    return jnp.mean(jax.vmap(residual)(points[:, 0], points[:, 1]) ** 2), buffers


def batch_norm(p: Any, running: Any, x: jax.Array) -> tuple[jax.Array, Any]:
    """Training mode; the running variance is the unbiased one, as in PyTorch."""
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    count = x.size / mean.size
    y = (x - mean) * (p["scale"] * lax.rsqrt(var + 1e-5)) + p["bias"]
    updated = {
        "mean": 0.9 * running["mean"] + 0.1 * mean,
        "var": 0.9 * running["var"] + 0.1 * var * (count / (count - 1)),
    }
    return y, updated


def cnn(params: Any, buffers: Any, batch: Any) -> tuple[jax.Array, Any]:
    """Activations are channels-last, which XLA prefers on a CPU."""
    images, y = batch
    x = images.transpose(0, 2, 3, 1)
    layout, window = ("NHWC", "OIHW", "NHWC"), (1, 2, 2, 1)
    stats = []
    for i, (p, running) in enumerate(zip(params["blocks"], buffers["blocks"], strict=True)):
        x = lax.conv_general_dilated(x, p["conv"], (1, 1), "SAME", dimension_numbers=layout)
        x, updated = batch_norm(p, running, x)
        x = nn.relu(x)
        stats.append(updated)
        if i in (1, 3):
            x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
    logits = linear(params["head"], x.mean((1, 2)))
    return cross_entropy(logits, y), {"blocks": stats}


def lstm(params: Any, buffers: Any, batch: Any) -> tuple[jax.Array, Any]:
    tokens, targets = batch
    inputs = params["embedding"][tokens] @ params["w_ih"] + params["bias"]
    start = jnp.zeros((tokens.shape[1], params["w_hh"].shape[0]))

    def cell(carry: Any, x: jax.Array) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(x + h @ params["w_hh"], 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        h = nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    _, hidden = lax.scan(cell, (start, start), inputs)
    return cross_entropy(linear(params["head"], hidden), targets), buffers


def layer_norm(p: Any, x: jax.Array) -> jax.Array:
    return nn.standardize(x, epsilon=1e-5) * p["scale"] + p["bias"]


def block(p: Any, x: jax.Array, heads: int) -> jax.Array:
    batch, time, width = x.shape
    qkv = linear(p["qkv"], layer_norm(p["norm1"], x))
    q, k, v = (t.reshape(batch, time, heads, -1) for t in jnp.split(qkv, 3, axis=-1))
    mixed = nn.dot_product_attention(q, k, v, is_causal=True).reshape(batch, time, width)
    x = x + linear(p["out"], mixed)
    hidden = nn.gelu(linear(p["up"], layer_norm(p["norm2"], x)), approximate=True)
    return x + linear(p["down"], hidden)


def gpt(params: Any, buffers: Any, batch: Any, *, heads: int, remat: bool) -> tuple[jax.Array, Any]:
    tokens, targets = batch
    x = params["tokens"][tokens] + params["positions"]
    one = partial(block, heads=heads)
    for p in params["blocks"]:
        x = (jax.checkpoint(one) if remat else one)(p, x)
    logits = layer_norm(params["norm"], x) @ params["tokens"].T
    return cross_entropy(logits, targets), buffers


MODELS = {f.__name__: f for f in (hinge, classifier, burgers, cnn, lstm, gpt)}
