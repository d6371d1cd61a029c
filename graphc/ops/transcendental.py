"""Elementwise transcendental functions: runtime/math*.h computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.ir.expr import Expr, call
from graphc.ir.graph import Node, Value
from graphc.ops.families import Elementwise


class Function(Elementwise):
    """A function of the runtime, `gx_<name>_<dtype>`."""

    cost = 12

    def expr(self, *operands: Expr) -> Expr:
        dtype = operands[0].dtype
        return call(f"gx_{self.name}_{dtype.suffix}", dtype, *operands)


@dataclass(frozen=True)
class Exp(Function):
    name = "exp"
    numpy = np.exp

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, node.outputs[0])


@dataclass(frozen=True)
class Log(Function):
    name = "log"
    numpy = np.log

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(g, node.inputs[0])


@dataclass(frozen=True)
class Log1p(Function):
    name = "log1p"
    numpy = np.log1p

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.divide(g, ops.add(1, node.inputs[0]))


@dataclass(frozen=True)
class Sin(Function):
    name = "sin"
    numpy = np.sin

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.cos(node.inputs[0]))


@dataclass(frozen=True)
class Cos(Function):
    name = "cos"
    numpy = np.cos

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.negative(ops.multiply(g, ops.sin(node.inputs[0])))


@dataclass(frozen=True)
class Tanh(Function):
    name = "tanh"
    numpy = np.tanh

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        return ops.multiply(g, ops.subtract(1, ops.square(node.outputs[0])))


@dataclass(frozen=True)
class Sigmoid(Function):
    """1 / (1 + exp(-x)), without overflow."""

    name = "sigmoid"

    @staticmethod
    def numpy(x: np.ndarray) -> np.ndarray:
        small = np.exp(-np.abs(x))
        return (np.where(x >= 0, 1, small) / (1 + small)).astype(x.dtype)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        y = node.outputs[0]
        return ops.multiply(g, ops.multiply(y, ops.subtract(1, y)))


@dataclass(frozen=True)
class Erf(Function):
    name = "erf"

    @staticmethod
    def numpy(x: np.ndarray) -> np.ndarray:
        return np.vectorize(math.erf, otypes=[x.dtype])(x)

    def partial(self, node: Node, operand: int, g: Value) -> Value:
        bell = ops.exp(ops.negative(ops.square(node.inputs[0])))
        return ops.multiply(g, ops.multiply(2 / math.sqrt(math.pi), bell))
