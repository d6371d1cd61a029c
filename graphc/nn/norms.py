"""Normalization. Statistics are means of squared distances from the mean (two passes)."""

from __future__ import annotations

import math
from typing import Any

from graphc import functions as F
from graphc.errors import ArgumentError, ShapeError
from graphc.functions.promotion import as_tensor, whole
from graphc.ir.site import located
from graphc.tensor import Tensor
from graphc.transforms.frozen import detached


def layer_norm(x: Any, scale: Any = None, bias: Any = None, *, eps: float = 1e-5) -> Tensor:
    """(x - mean) / √(var + eps) over the last axis, times `scale`, plus `bias` (float[width])."""
    return _affine(_standardized(as_tensor(x), (-1,), eps), scale, bias)


def rms_norm(x: Any, scale: Any = None, *, eps: float = 1e-6) -> Tensor:
    """x / √(mean(x²) + eps) over the last axis, times `scale`. Source: arXiv:1910.07467."""
    mean_square = F.mean(F.square(x), axis=-1, keepdims=True)
    return _affine(x * F.rsqrt(mean_square + eps), scale, None)


def group_norm(
    x: Any,
    groups: int,
    scale: Any = None,
    bias: Any = None,
    *,
    eps: float = 1e-5,
    layout: str = "NCHW",
) -> Tensor:
    """Standardizes each example over space and over the channels of one group.

    `x` is [batch, channels, …space] for "NCHW" and [batch, …space, channels] for "NHWC"; `scale`
    and `bias` are float[channels]. Source: arXiv:1803.08494.
    """
    x, groups = as_tensor(x), whole(groups, "group_norm", "groups", 1)
    axis = _channel_axis(x, layout, "group_norm")
    channels = x.shape[axis]
    if channels % groups:
        raise ShapeError(located(f"group_norm: {channels} channels are not {groups} equal groups"))
    split = (*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    parts = F.reshape(x, split)
    inside = tuple(a for a in range(1, len(split)) if a != axis)
    normal = F.reshape(_standardized(parts, inside, eps), x.shape)
    return _affine(normal, _along(scale, axis, x.ndim), _along(bias, axis, x.ndim))


def batch_norm(
    x: Any,
    scale: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    layout: str = "NCHW",
) -> tuple[Tensor, Tensor, Tensor]:
    """Standardizes each channel over batch and space; gives (y, running_mean, running_var).

    `x` is [batch, channels, …space] for "NCHW" and [batch, …space, channels] for "NHWC"; the
    others are float[channels], `scale` and `bias` may be None. In training the batch's own
    statistics are used, and the new running ones are (1 - momentum)·old + momentum·batch, the
    variance with Bessel's correction, as in PyTorch; no gradient passes through them. Otherwise the
    running ones are used and returned. Source: arXiv:1502.03167.
    Raises ShapeError when training with one value a channel.
    """
    x, running_mean, running_var = map(as_tensor, (x, running_mean, running_var))
    axis = _channel_axis(x, layout, "batch_norm")
    over = tuple(a for a in range(x.ndim) if a != axis)
    if training:
        count = math.prod(x.shape[a] for a in over)
        if count < 2:
            raise ShapeError(located("batch_norm: training needs more than one value a channel"))
        mean = F.mean(x, axis=over, keepdims=True)
        distance = x - mean
        var = F.mean(F.square(distance), axis=over, keepdims=True)
        unbiased = detached(var) * (count / (count - 1))
        running_mean = _moved(running_mean, detached(mean), momentum)
        running_var = _moved(running_var, unbiased, momentum)
    else:
        distance = x - _along(running_mean, axis, x.ndim)
        var = _along(running_var, axis, x.ndim)
    y = distance * _times(F.rsqrt(var + eps), _along(scale, axis, x.ndim))
    return _affine(y, None, _along(bias, axis, x.ndim)), running_mean, running_var


def _standardized(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    distance = x - F.mean(x, axis=axes, keepdims=True)
    var = F.mean(F.square(distance), axis=axes, keepdims=True)
    return distance * F.rsqrt(var + eps)


def _affine(x: Tensor, scale: Any, bias: Any) -> Tensor:
    y = _times(x, scale)
    return y if bias is None else y + bias


def _times(x: Tensor, scale: Any) -> Tensor:
    return x if scale is None else x * scale


def _moved(old: Any, new: Tensor, momentum: float) -> Tensor:
    """A running statistic, in its own dtype, a step nearer to the batch's."""
    here = F.astype(F.reshape(new, old.shape), old.dtype)
    return (1 - momentum) * old + momentum * here


def _along(values: Any, axis: int, ndim: int) -> Any:
    """float[channels] as an array that broadcasts along an axis of the whole; None stays None."""
    if values is None:
        return None
    if axis == ndim - 1:
        return as_tensor(values)
    return F.reshape(values, (-1, *(1,) * (ndim - 1 - axis)))


def _channel_axis(x: Tensor, layout: str, what: str) -> int:
    if layout not in ("NCHW", "NHWC"):
        raise ArgumentError(located(f'{what}: layout is "NCHW" or "NHWC", got {layout!r}'))
    if x.ndim < 2:
        raise ShapeError(located(f"{what}: [batch, channels, …] required, got {x.type}"))
    return 1 if layout == "NCHW" else x.ndim - 1
