"""Elementwise special functions: runtime/math_erf.h and math_gamma.h compute them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial

from graphc import ops
from graphc.dtypes import TensorType, int32
from graphc.ir.expr import Expr, call, const
from graphc.ir.graph import Node, Value
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.terms import Term
from graphc.ir.terms import call as written_call
from graphc.ops.families import Function

#: Bernoulli numbers B2, B4, …, B20: coefficients of the Euler–Maclaurin formula.
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798,
    -174611 / 330,
)  # fmt: skip


def _each(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of Python floats, element by element, in double."""
    return np.vectorize(function, otypes=[np.float64])


class OfNumbers(Function):
    """A function of Python's `math` module."""

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        if not to.is_numpy:
            return super().python(to, types, *operands)
        to.imported("math")
        return to.plain("each", Term(f"math.{self.name}"), *operands)


class Erf(OfNumbers):
    name = "erf"
    in_onnx = "Erf"
    numpy = _each(math.erf)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, _bell(2 / math.sqrt(math.pi), node.inputs[0]))


class Erfc(OfNumbers):
    """1 - erf(x), without cancellation for large x."""

    name = "erfc"
    numpy = _each(math.erfc)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        one = to.constant(np.array(1, types[0].dtype.numpy))
        return (to.node("Sub", one, to.node("Erf", *operands)),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, _bell(-2 / math.sqrt(math.pi), node.inputs[0]))


def _bell(scale: float, x: Value) -> Value:
    return ops.multiply(scale, ops.exp(ops.negative(ops.square(x))))


#: From here on log Γ passes the largest double, where math.lgamma would raise.
_LGAMMA_OVERFLOW = 2.5563481638716e305


def _lgamma(x: float) -> float:
    if math.isinf(x) or x > _LGAMMA_OVERFLOW or (x <= 0 and x == math.floor(x)):
        return math.inf
    return math.lgamma(x)


class Lgamma(OfNumbers):
    """log|Γ(x)|; inf at the poles 0, -1, -2, …"""

    name = "lgamma"
    cost = 40
    numpy = _each(_lgamma)
    domains = ((0.2, 6.0),)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.digamma(node.inputs[0]))


class Digamma(Function):
    """ψ(x) = Γ'(x) / Γ(x); at the poles -inf at 0, inf at -0, NaN at -1, -2, …; NaN at -inf."""

    name = "digamma"
    cost = 40
    domains = Lgamma.domains

    @staticmethod
    def numpy(x: np.ndarray) -> np.ndarray:
        return polygamma(0, x)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        if not to.is_numpy:
            return super().python(to, types, *operands)
        to.imported("scipy.special")
        return to.cast(written_call("scipy.special.digamma", *operands), types[0].dtype)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.polygamma(1, node.inputs[0]))


@dataclass(frozen=True)
class Polygamma(Function):
    """The `order`-th derivative of digamma, order >= 1. At the poles 0, -1, -2, … it is infinite,
    with the sign that it has to the right of 0; at -inf NaN.
    """

    name = "polygamma"
    cost = 60
    domains = Lgamma.domains
    order: int

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        (x,) = arrays
        with np.errstate(all="ignore"):
            return polygamma(self.order, x.astype(np.float64)).astype(x.dtype)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        order = Term(str(self.order))
        if not to.is_numpy:
            return written_call("torch.polygamma", order, *operands)
        to.imported("scipy.special")
        return to.cast(written_call("scipy.special.polygamma", order, *operands), types[0].dtype)

    def expr(self, x: Expr) -> Expr:
        order = const(self.order, int32)
        return call(f"gx_polygamma_{x.dtype.suffix}", x.dtype, order, x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.polygamma(self.order + 1, node.inputs[0]))

    @classmethod
    def variants(cls) -> Sequence[Polygamma]:
        return tuple(cls(order) for order in (1, 2, 5))


def polygamma(order: int, x: np.ndarray) -> np.ndarray:
    """ψ⁽ⁿ⁾(x) in double for n >= 0.

    From x on, the terms of ψ⁽ⁿ⁾(x) = (-1)ⁿ⁺¹ n! Σ (x+k)⁻ⁿ⁻¹ are added until the argument passes
    20, then the rest is the Euler–Maclaurin series (Abramowitz and Stegun 6.3.18, 6.4.11). Left of
    zero, ψ⁽ⁿ⁾(1-x) - (-1)ⁿ ψ⁽ⁿ⁾(x) = (-1)ⁿ π dⁿ/dxⁿ cot πx (6.3.7, 6.4.7).
    """
    x = np.asarray(x, np.float64)
    left = x < 0
    right = _polygamma_right(order, np.where(left, 1 - x, x))
    reflected = (-1) ** order * (right - (-1) ** order * _cotangent_slope(order, x))
    at_pole: np.ndarray | float = (-1.0) ** (order + 1) * np.inf
    if order == 0:
        at_pole = np.where(x == 0, -np.copysign(np.inf, x), np.nan)
    result = np.where(left, reflected, right)
    pole_of_zero = (-1.0) ** (order + 1) * math.factorial(order) * x ** -(order + 1.0)
    result = np.where(np.abs(x) < 1e-100, pole_of_zero, result)
    result = np.where((x <= 0) & (x == np.floor(x)), at_pole, result)
    return np.where(x == -np.inf, np.nan, result)


def _polygamma_right(n: int, x: np.ndarray) -> np.ndarray:
    sign = (-1.0) ** (n + 1)
    steps = np.clip(np.ceil(20.0 - x), 0, 20)
    steps = np.where(np.isnan(steps), 0, steps)
    head = np.zeros_like(x)
    for k in range(20):
        head += np.where(k < steps, (x + k) ** -(n + 1.0), 0)
    y = x + steps
    tail = -np.log(y) if n == 0 else y**-n / n
    tail = tail + 0.5 * y ** -(n + 1.0)
    for j, bernoulli in enumerate(_BERNOULLI, start=1):
        rising = math.factorial(2 * j + n - 1) / (math.factorial(2 * j) * math.factorial(n))
        tail = tail + bernoulli * rising * y ** -(2.0 * j + n)
    return sign * math.factorial(n) * (head + tail)


def _cotangent_slope(n: int, x: np.ndarray) -> np.ndarray:
    """π times the n-th derivative of cot πx: a polynomial in the cotangent, by the chain rule."""
    phase = x - np.round(x)
    cotangent = np.cos(np.pi * phase) / np.sin(np.pi * phase)
    polynomial = Polynomial([0.0, 1.0])
    for _ in range(n):
        polynomial = polynomial.deriv() * Polynomial([-1.0, 0.0, -1.0])
    return math.pi ** (n + 1) * polynomial(cotangent)
