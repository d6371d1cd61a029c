"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.functions.promotion import as_value, axis_tuple
from graphc.tensor import Tensor


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """exp(x) / Σ exp(x) over `axis`, without overflow. A row of nothing but -inf gives NaN."""
    value = as_value(x)
    return Tensor(ops.softmax(value, axis_tuple(axis, len(value.shape), "softmax")))


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """x - log Σ exp(x) over `axis`, without overflow."""
    value = as_value(x)
    return Tensor(ops.log_softmax(value, axis_tuple(axis, len(value.shape), "log_softmax")))
