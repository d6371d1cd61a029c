"""Elementwise activations. Convention at kinks: relu'(0) = 0, leaky_relu'(0) = slope."""

from __future__ import annotations

import math
from typing import Any

from graphc import functions as F
from graphc.functions.promotion import as_tensor, as_value
from graphc.ops import activation
from graphc.tensor import Tensor
from graphc.transforms.frozen import detached


def relu(x: Any) -> Tensor:
    """max(x, 0); the derivative at 0 is 0."""
    return Tensor(activation.relu(as_value(x)))


def leaky_relu(x: Any, slope: float = 0.01) -> Tensor:
    """x where x > 0, slope·x elsewhere."""
    x = as_tensor(x)
    return F.where(x > 0, x, slope * x)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha·(exp(x) - 1) elsewhere."""
    x = as_tensor(x)
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
        return Tensor(activation.gelu_tanh(as_value(x)))
    x = as_tensor(x)
    return 0.5 * x * (1 + F.erf(x * math.sqrt(0.5)))


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent."""
    return F.tanh(x)


def log_sigmoid(x: Any) -> Tensor:
    """log(1 / (1 + exp(-x))), without overflow."""
    x = as_tensor(x)
    return -softplus(-x)


def soft_sign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    x = as_tensor(x)
    return x / (1 + F.abs(x))


def hard_tanh(x: Any) -> Tensor:
    """x limited to [-1, 1]; the derivative at both ends is 0."""
    return _limited(x, -1.0, 1.0)


def relu6(x: Any) -> Tensor:
    """x limited to [0, 6]; the derivative at both ends is 0. Source: arXiv:1704.04861."""
    return _limited(x, 0.0, 6.0)


def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6. Source: MobileNetV3, arXiv:1905.02244."""
    x = as_tensor(x)
    return relu6(x + 3) * (1 / 6)


def hard_silu(x: Any) -> Tensor:
    """x·hard_sigmoid(x), also known as hard swish."""
    return x * hard_sigmoid(x)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha·(exp(x / alpha) - 1) elsewhere. Source: arXiv:1704.07483."""
    x = as_tensor(x)
    below = F.where(x > 0, 0.0, x)
    return F.where(x > 0, x, alpha * F.expm1(below / alpha))


def selu(x: Any) -> Tensor:
    """1.0507…·elu(x, 1.6732…), whose fixed point is mean 0 and variance 1. Source: Klambauer and
    others, arXiv:1706.02515.
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def mish(x: Any) -> Tensor:
    """x·tanh(softplus(x)). Source: Misra, arXiv:1908.08681."""
    return x * F.tanh(softplus(x))


def glu(x: Any, axis: int = -1) -> Tensor:
    """a·sigmoid(b) of the halves a and b of an axis. Source: arXiv:1612.08083."""
    a, b = F.split(x, 2, axis=axis)
    return a * F.sigmoid(b)


def _limited(x: Any, low: float, high: float) -> Tensor:
    x = as_tensor(x)
    inside = (x > low) & (x < high)
    return F.where(inside, x, F.clip(detached(x), low, high))
