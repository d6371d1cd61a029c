"""Elementwise activations. Convention at kinks: relu'(0) = 0, leaky_relu'(0) = slope."""

from __future__ import annotations

import math
from typing import Any

from graphc import functions as F
from graphc.functions.promotion import as_value
from graphc.ops import activation
from graphc.tensor import Tensor


def relu(x: Any) -> Tensor:
    """max(x, 0); the derivative at 0 is 0."""
    return Tensor(activation.relu(as_value(x)))


def leaky_relu(x: Any, slope: float = 0.01) -> Tensor:
    """x where x > 0, slope·x elsewhere."""
    return F.where(x > 0, x, slope * x)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha·(exp(x) - 1) elsewhere."""
    # exp overflows for a large x, and inf · 0 in its derivative would be NaN.
    below = F.where(x > 0, 0.0, x)
    return F.where(x > 0, x, alpha * F.expm1(below))


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x)), without overflow."""
    return F.sigmoid(x)


def silu(x: Any) -> Tensor:
    """x·sigmoid(x), also known as swish."""
    return x * F.sigmoid(x)


def softplus(x: Any) -> Tensor:
    """log(1 + exp(x)), without overflow; its derivative is sigmoid(x), at 0 too."""
    return F.logaddexp(x, 0.0)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x·Φ(x), with Φ the normal distribution function; with `approximate` the tanh form
    x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))). Source: Hendrycks and Gimpel, arXiv:1606.08415.
    """
    if approximate:
        inner = math.sqrt(2 / math.pi) * (x * (1 + 0.044715 * F.square(x)))
        return 0.5 * x * (1 + F.tanh(inner))
    return 0.5 * x * (1 + F.erf(x * math.sqrt(0.5)))
