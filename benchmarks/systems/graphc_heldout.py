"""The held-out models in graphc: functions `(params, buffers, batch, **options)` as the others."""

from __future__ import annotations

from typing import Any

import graphc as gx
from benchmarks.heldout import GROUPS, STAGES
from benchmarks.systems.graphc_models import cross_entropy, layer_norm, linear
from graphc import Tensor, nn


def vit(params: Any, buffers: Any, batch: Any, *, patch: int, heads: int) -> tuple[Tensor, Any]:
    images, y = batch
    count, channels, height, width = images.shape
    cut = images.reshape(count, channels, height // patch, patch, width // patch, patch)
    cut = gx.permute_dims(cut, (0, 2, 4, 1, 3, 5)).reshape(count, -1, channels * patch * patch)
    token = gx.broadcast_to(params["token"], (count, 1, params["token"].shape[-1]))
    x = gx.concat([token, linear(params["patch"], cut)], axis=1) + params["positions"]
    for p in params["blocks"]:
        q, k, v = heads_of(linear(p["qkv"], layer_norm(p["norm1"], x)), heads)
        mixed = gx.permute_dims(nn.attention(q, k, v), (0, 2, 1, 3)).reshape(x.shape)
        x = x + linear(p["out"], mixed)
        x = x + linear(p["down"], nn.gelu(linear(p["up"], layer_norm(p["norm2"], x))))
    return cross_entropy(linear(params["head"], layer_norm(params["norm"], x)[:, 0]), y), buffers


def heads_of(qkv: Tensor, heads: int) -> Any:
    batch, time, width = qkv.shape
    return gx.permute_dims(qkv.reshape(batch, time, 3, heads, width // 3 // heads), (2, 0, 3, 1, 4))


def resnet(params: Any, buffers: Any, batch: Any) -> tuple[Tensor, Any]:
    x, y = batch

    def normed(p: Any, running: Any, x: Tensor, **options: Any) -> tuple[Tensor, Any]:
        x = nn.conv2d(x, p["conv"], padding=p["conv"].shape[-1] // 2, **options)
        x, mean, var = nn.batch_norm(
            x, p["scale"], p["bias"], running["mean"], running["var"], training=True, layout="NCHW"
        )
        return x, {"mean": mean, "var": var}

    x, stem = normed(params["stem"], buffers["stem"], x)
    x, blocks = nn.relu(x), []
    for p, s, (_, _, stride) in zip(params["blocks"], buffers["blocks"], STAGES, strict=True):
        new: dict[str, Any] = {}
        h, new["reduce"] = normed(p["reduce"], s["reduce"], x)
        h = nn.relu(h)
        h, new["grouped"] = normed(p["grouped"], s["grouped"], h, stride=stride, groups=GROUPS)
        h, new["expand"] = normed(p["expand"], s["expand"], nn.relu(h))
        around, new["around"] = normed(p["around"], s["around"], x, stride=stride)
        x = nn.relu(h + around)
        blocks.append(new)
    logits = linear(params["head"], gx.mean(x, axis=(2, 3)))
    return cross_entropy(logits, y), {"stem": stem, "blocks": blocks}


def gru(params: Any, buffers: Any, batch: Any) -> tuple[Tensor, Any]:
    tokens, targets = batch
    x = nn.embedding(params["embedding"], tokens)
    start = gx.zeros((tokens.shape[1], params["w_hh"].shape[0]))
    weights = (params[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh"))
    hidden, _ = nn.gru(x, start, *weights)
    return cross_entropy(linear(params["head"], hidden), targets), buffers


def autoencoder(params: Any, buffers: Any, batch: Any) -> tuple[Tensor, Any]:
    (images,) = batch
    x = images
    for p in params["encoder"]:
        x = nn.conv2d(x, p["weight"], stride=2, padding=1) + p["bias"][:, None, None]
        x = nn.silu(x)
    for k, p in enumerate(params["decoder"]):
        x = nn.silu(x) if k else x
        x = nn.conv_transpose2d(x, p["weight"], stride=2, padding=1) + p["bias"][:, None, None]
    return gx.mean((x - images) ** 2), buffers


def llama(
    params: Any, buffers: Any, batch: Any, *, heads: int, kv_heads: int
) -> tuple[Tensor, Any]:
    tokens, targets = batch
    x = nn.embedding(params["tokens"], tokens)

    def split(t: Tensor, count: int) -> Tensor:
        return gx.permute_dims(t.reshape(*t.shape[:2], count, -1), (0, 2, 1, 3))

    for p in params["blocks"]:
        h = nn.rms_norm(x, p["norm1"])
        q, k = nn.rope(split(h @ p["q"], heads)), nn.rope(split(h @ p["k"], kv_heads))
        mixed = nn.attention(q, k, split(h @ p["v"], kv_heads), causal=True)
        x = x + gx.permute_dims(mixed, (0, 2, 1, 3)).reshape(x.shape) @ p["out"]
        h = nn.rms_norm(x, p["norm2"])
        x = x + (nn.silu(h @ p["gate"]) * (h @ p["up"])) @ p["down"]
    return cross_entropy(nn.rms_norm(x, params["norm"]) @ params["head"], targets), buffers


MODELS = {f.__name__: f for f in (vit, resnet, gru, autoencoder, llama)}
