"""Scaled dot-product attention and rotary positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import functions as F
from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.functions.promotion import as_tensor, promoted
from graphc.ir.site import located
from graphc.tensor import Tensor


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
    operands = [q, k, v]
    if mask is not None:
        mask = as_tensor(mask)
        if mask.dtype.is_integer:
            raise DTypeError(located(f"attention: a bool or float mask required, got {mask.type}"))
        operands += [mask] if mask.dtype.is_float else []
    values = promoted("attention", *operands)
    if any(v.type.ndim == 0 for v in values):
        raise ShapeError(located("attention: arrays of four axes required, got a number"))
    if mask is not None:
        of_scores = Tensor(values.pop()) if mask.dtype.is_float else mask
        scores = (*values[0].shape[:3], *values[1].shape[2:3])
        values.append(F.broadcast_to(of_scores, scores).value)
    factor = 1 / math.sqrt(max(values[0].shape[-1], 1)) if scale is None else scale
    return Tensor(ops.attention(*values, scale=factor, causal=causal))


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
