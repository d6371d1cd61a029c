"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from graphc import functions as F
from graphc import ops
from graphc.functions.promotion import as_value, axis_tuple
from graphc.tensor import Tensor
from graphc.transforms import stop_gradient


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """exp(x) / Σ exp(x) over `axis`, without overflow. A row of nothing but -inf gives NaN."""
    value = as_value(x)
    return Tensor(ops.softmax(value, axis_tuple(axis, len(value.shape), "softmax")))


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """x - log Σ exp(x) over `axis`, without overflow."""
    value = as_value(x)
    return Tensor(ops.log_softmax(value, axis_tuple(axis, len(value.shape), "log_softmax")))


def shifted(x: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    """x less its largest element over `axis`: what does not change a softmax, and keeps exp from
    overflowing. The largest is a mere shift, so it carries no derivative.
    """
    axes = axis_tuple(axis, x.ndim, "softmax")
    if any(x.shape[a] == 0 for a in axes):
        return x
    return x - stop_gradient(F.max(x, axis=axes, keepdims=True))
