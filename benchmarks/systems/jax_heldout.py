"""The held-out models in JAX: functions `(params, buffers, batch, **options)` as the others."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, nn

from benchmarks.heldout import GROUPS, STAGES
from benchmarks.systems.jax_models import batch_norm, cross_entropy, layer_norm, linear


def vit(params: Any, buffers: Any, batch: Any, *, patch: int, heads: int) -> tuple[jax.Array, Any]:
    images, y = batch
    count, channels, height, width = images.shape
    cut = images.reshape(count, channels, height // patch, patch, width // patch, patch)
    cut = cut.transpose(0, 2, 4, 1, 3, 5).reshape(count, -1, channels * patch * patch)
    token = jnp.broadcast_to(params["token"], (count, 1, params["token"].shape[-1]))
    x = jnp.concatenate([token, linear(params["patch"], cut)], 1) + params["positions"]
    for p in params["blocks"]:
        qkv = linear(p["qkv"], layer_norm(p["norm1"], x))
        q, k, v = (t.reshape(*x.shape[:2], heads, -1) for t in jnp.split(qkv, 3, axis=-1))
        x = x + linear(p["out"], nn.dot_product_attention(q, k, v).reshape(x.shape))
        hidden = nn.gelu(linear(p["up"], layer_norm(p["norm2"], x)), approximate=False)
        x = x + linear(p["down"], hidden)
    return cross_entropy(linear(params["head"], layer_norm(params["norm"], x)[:, 0]), y), buffers


def resnet(params: Any, buffers: Any, batch: Any) -> tuple[jax.Array, Any]:
    """Activations are channels-last, which XLA prefers on a CPU."""
    images, y = batch
    layout = ("NHWC", "OIHW", "NHWC")

    def normed(p: Any, running: Any, x: jax.Array, stride: int = 1, groups: int = 1) -> Any:
        zeros = 2 * ((p["conv"].shape[-1] // 2,) * 2,)
        x = lax.conv_general_dilated(
            x, p["conv"], (stride, stride), zeros, None, None, layout, groups
        )
        return batch_norm(p, running, x)

    x, stem = normed(params["stem"], buffers["stem"], images.transpose(0, 2, 3, 1))
    x, blocks = nn.relu(x), []
    for p, s, (_, _, stride) in zip(params["blocks"], buffers["blocks"], STAGES, strict=True):
        new: dict[str, Any] = {}
        h, new["reduce"] = normed(p["reduce"], s["reduce"], x)
        h, new["grouped"] = normed(p["grouped"], s["grouped"], nn.relu(h), stride, GROUPS)
        h, new["expand"] = normed(p["expand"], s["expand"], nn.relu(h))
        around, new["around"] = normed(p["around"], s["around"], x, stride)
        x = nn.relu(h + around)
        blocks.append(new)
    logits = linear(params["head"], x.mean((1, 2)))
    return cross_entropy(logits, y), {"stem": stem, "blocks": blocks}


def gru(params: Any, buffers: Any, batch: Any) -> tuple[jax.Array, Any]:
    tokens, targets = batch
    inputs = params["embedding"][tokens] @ params["w_ih"] + params["b_ih"]
    start = jnp.zeros((tokens.shape[1], params["w_hh"].shape[0]))

    def cell(h: jax.Array, x: jax.Array) -> Any:
        a_r, a_z, a_n = jnp.split(x, 3, axis=-1)
        u_r, u_z, u_n = jnp.split(h @ params["w_hh"] + params["b_hh"], 3, axis=-1)
        z, n = nn.sigmoid(a_z + u_z), jnp.tanh(a_n + nn.sigmoid(a_r + u_r) * u_n)
        h = (1 - z) * n + z * h
        return h, h

    _, hidden = lax.scan(cell, start, inputs)
    return cross_entropy(linear(params["head"], hidden), targets), buffers


def autoencoder(params: Any, buffers: Any, batch: Any) -> tuple[jax.Array, Any]:
    """A transposed convolution is the gradient of one by its input: its kernel is flipped, with
    zeros between the pixels of its argument."""
    images = x = batch[0].transpose(0, 2, 3, 1)
    layout, ones = ("NHWC", "OIHW", "NHWC"), ((1, 1), (1, 1))
    for p in params["encoder"]:
        x = lax.conv_general_dilated(x, p["weight"], (2, 2), ones, dimension_numbers=layout)
        x = nn.silu(x + p["bias"])
    for k, p in enumerate(params["decoder"]):
        x = nn.silu(x) if k else x
        flipped = p["weight"][:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        wide = ((2, 2), (2, 2))
        x = lax.conv_general_dilated(x, flipped, (1, 1), wide, (2, 2), dimension_numbers=layout)
        x = x + p["bias"]
    return jnp.mean((x - images) ** 2), buffers


def rms_norm(scale: jax.Array, x: jax.Array) -> jax.Array:
    return x * lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6) * scale


def rope(x: jax.Array) -> jax.Array:
    """x is [batch, time, heads, width]; the pairs are the halves of the last axis."""
    half = x.shape[-1] // 2
    angle = jnp.arange(x.shape[1])[:, None] * 10000.0 ** (-jnp.arange(half) / half)
    cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def llama(
    params: Any, buffers: Any, batch: Any, *, heads: int, kv_heads: int
) -> tuple[jax.Array, Any]:
    tokens, targets = batch
    x = params["tokens"][tokens]

    def split(t: jax.Array, count: int) -> jax.Array:
        return t.reshape(*t.shape[:2], count, -1)

    for p in params["blocks"]:
        h = rms_norm(p["norm1"], x)
        q, k = rope(split(h @ p["q"], heads)), rope(split(h @ p["k"], kv_heads))
        mixed = nn.dot_product_attention(q, k, split(h @ p["v"], kv_heads), is_causal=True)
        x = x + mixed.reshape(x.shape) @ p["out"]
        h = rms_norm(p["norm2"], x)
        x = x + (nn.silu(h @ p["gate"]) * (h @ p["up"])) @ p["down"]
    return cross_entropy(rms_norm(params["norm"], x) @ params["head"], targets), buffers


MODELS = {f.__name__: f for f in (vit, resnet, gru, autoencoder, llama)}
