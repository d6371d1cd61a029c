"""Scaled dot-product attention and rotary positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import functions as F
from graphc.errors import DTypeError, ShapeError
from graphc.functions.promotion import as_tensor
from graphc.ir.site import located
from graphc.tensor import Tensor
from graphc.transforms import stop_gradient


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    causal: bool = False,
    mask: Any = None,
    scale: float | None = None,
) -> Tensor:
    """softmax(scale·q kᵀ + mask) v, one head at a time.

    `q` is [batch, heads, time, width], `k` [batch, kv_heads, keys, width], `v` [batch, kv_heads,
    keys, value_width]; `kv_heads` divides `heads`, and head h reads kv head h // (heads /
    kv_heads). `scale` is 1/√width by default. With `causal` query i sees keys 0 … i (aligned
    top-left, whatever the lengths). `mask` broadcasts to [batch, heads, time, keys]: bool, True
    attends; or float, added. A query that sees no key gives 0, and gradient 0.
    Raises ShapeError for shapes that do not fit and DTypeError for an integer mask.
    """
    q, k, v = as_tensor(q), as_tensor(k), as_tensor(v)
    batch, heads, time, width, kv_heads, keys = _checked(q, k, v)
    group = heads // kv_heads
    # Query heads that share a key head are rows of one product: keys are never repeated.
    rows = F.reshape(q, (batch, kv_heads, group * time, width))
    products = F.reshape(F.matmul(rows, F.matrix_transpose(k)), (batch, heads, time, keys))
    scores = products * _scale(scale, width)
    weights = _softmax_or_nothing(_masked(scores, causal, mask))
    mixed = F.matmul(F.reshape(weights, (batch, kv_heads, group * time, keys)), v)
    return F.reshape(mixed, (batch, heads, time, v.shape[-1]))


def rope(
    x: Any, positions: Any = None, *, base: float = 10000.0, interleaved: bool = False
) -> Tensor:
    """Rotary position embedding: turns pair j of the last axis by position / base^(2j / width).

    `x` is [… , time, width] with an even width; `positions` is integer or float[time], or
    broadcasts against [… , time]; by default 0, 1, 2, …. Pair j is (x[j], x[j + width/2]) as in
    GPT-NeoX and LLaMA, with `interleaved` (x[2j], x[2j + 1]) as in the paper, arXiv:2104.09864.
    """
    x = as_tensor(x)
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ShapeError(located(f"rope: [… , time, even width] required, got {x.type}"))
    half = x.shape[-1] // 2
    speed = base ** (-np.arange(half) / half)
    if positions is None:
        angle = np.arange(x.shape[-2])[:, None] * speed
        cos = F.asarray(np.cos(angle).astype(x.dtype.numpy))
        sin = F.asarray(np.sin(angle).astype(x.dtype.numpy))
    else:
        turns = F.expand_dims(F.astype(positions, x.dtype), axis=-1)
        angle = turns * speed.astype(x.dtype.numpy)
        cos, sin = F.cos(angle), F.sin(angle)
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
    else:
        a, b = x[..., :half], x[..., half:]
    turned = [a * cos - b * sin, a * sin + b * cos]
    if not interleaved:
        return F.concat(turned, axis=-1)
    return F.reshape(F.stack(turned, axis=-1), x.shape)


def _checked(q: Tensor, k: Tensor, v: Tensor) -> tuple[int, int, int, int, int, int]:
    what = f"attention({q.type}, {k.type}, {v.type})"
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ShapeError(located(f"{what}: [batch, heads, time, width] required"))
    batch, heads, time, width = q.shape
    kv_heads, keys = k.shape[1:3]
    if k.shape[0] != batch or k.shape[3] != width or v.shape[:3] != k.shape[:3]:
        raise ShapeError(located(f"{what}: batch, width or number of keys differ"))
    if kv_heads == 0 or heads % kv_heads:
        raise ShapeError(located(f"{what}: {kv_heads} key heads do not divide {heads} heads"))
    return batch, heads, time, width, kv_heads, keys


def _scale(scale: float | None, width: int) -> float:
    return 1 / math.sqrt(max(width, 1)) if scale is None else scale


def _masked(scores: Tensor, causal: bool, mask: Any) -> Tensor:
    if mask is not None:
        mask = as_tensor(mask)
        if mask.dtype.is_integer:
            raise DTypeError(located(f"attention: a bool or float mask required, got {mask.type}"))
        mask = F.broadcast_to(mask, scores.shape)
        scores = scores + mask if mask.dtype.is_float else F.where(mask, scores, -math.inf)
    if causal:
        time, keys = scores.shape[-2:]
        scores = F.where(F.arange(keys) <= F.arange(time)[:, None], scores, -math.inf)
    return scores


def _softmax_or_nothing(scores: Tensor) -> Tensor:
    """Softmax over the last axis where a row of nothing but -inf gives zeros instead of NaN."""
    if scores.shape[-1] == 0:
        return scores
    largest = stop_gradient(F.max(scores, axis=-1, keepdims=True))
    e = F.exp(scores - F.where(largest == -math.inf, 0.0, largest))
    total = F.sum(e, axis=-1, keepdims=True)
    return e * F.reciprocal(F.where(total == 0, 1.0, total))
