"""Softmax and its logarithm: macro operators, for their derivatives read the result alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, float32, float64, int64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Expand
from graphc.ir.terms import Term
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class Normalized(Op):
    """What a softmax and its logarithm share: floats of any shape, over `axes` (sorted)."""

    in_onnx: ClassVar[str]
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if not x.dtype.is_float:
            raise DTypeError(located(f"{self.name}({x}): required float"))
        if list(self.axes) != sorted(set(self.axes)) or any(not 0 <= a < x.ndim for a in self.axes):
            raise ShapeError(located(f"{self.name}({x}): axes {self.axes} do not fit"))
        return (x,)

    def flops(self, x: TensorType) -> int:
        """A shift, an exponential, a sum and a scaling of each element."""
        return x.size * (3 + ops.exponential.Exp.cost)

    def spec(self, x: TensorType) -> Expand:
        return Expand(self.decompose)

    def decompose(self, x: Value) -> Sequence[Value]:
        raise TypeError

    def shifted(self, x: Value) -> Value:
        """x less its largest element, which keeps exp from overflowing."""
        if any(x.shape[a] == 0 for a in self.axes):
            return x
        return ops.subtract(x, self.along(ops.max(x, self.axes), x))

    def along(self, by_row: Value, x: Value) -> Value:
        """A number of each row, at every element of the row."""
        kept = tuple(a for a in range(len(x.shape)) if a not in self.axes)
        return ops.broadcast(by_row, x.shape, kept)

    def moved(self, node: Node, t: Value) -> Value:
        """The derivative of the result along t."""
        raise TypeError

    def jvp(self, node: Node, t: Value) -> Sequence[Value | None]:
        return (self.moved(node, t),)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(type(self)(tuple(a + 1 for a in self.axes)), inputs[0]), (True,)

    def numpy_shifted(self, x: np.ndarray) -> np.ndarray:
        if any(x.shape[a] == 0 for a in self.axes):
            return x
        return x - x.max(self.axes, keepdims=True)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        if not to.is_numpy and len(self.axes) == 1:
            return to.function(self.name, *operands, **to.axis(*self.axes))
        return to.plain(self.name, *operands, Term(str(self.axes)))

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        if len(self.axes) == 1:
            return (to.node(self.in_onnx, *operands, axis=self.axes[0]),)
        axes = to.constant(list(self.axes))
        z = to.node("Sub", *operands, to.node("ReduceMax", *operands, axes, keepdims=1))
        e = to.node("Exp", z)
        return (self.onnx_quotient(to, z, e, to.node("ReduceSum", e, axes, keepdims=1)),)

    def onnx_quotient(self, to: Builder, z: str, e: str, total: str) -> str:
        """The result, of the shifted z, of e = exp(z) and its sum."""
        raise TypeError

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for shape, axes, dtype in (
            ((3, 5), (1,), float64),
            ((3, 5), (0,), float64),
            ((2, 3, 4), (0, 2), float64),
            ((7,), (0,), float64),
            ((4, 1), (1,), float64),
            ((), (), float64),
            ((6, 700), (1,), float32),
        ):
            yield Sample(f"{shape} {dtype}", cls(axes), (source.floats(shape, dtype),), True)
        yield Sample("of nothing", cls((1,)), (source.floats((3, 0), float64),))
        rows = source.floats((6, 5), float64)
        rows[0, 1], rows[1, 2], rows[2, 3] = np.nan, np.inf, -np.inf
        rows[3], rows[4] = -np.inf, 1e300 * rows[4]
        yield Sample("special", cls((1,)), (rows,))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls((0,)), DTypeError, "required float", ((3,), int64))
        yield refuses(cls((1,)), ShapeError, "axes (1,) do not fit", ((3,), float32))


class Softmax(Normalized):
    """y = exp(x) / Σ exp(x). Its Jacobian diag(y) - y yᵀ is symmetric, so one rule, of which the
    *result* is all that is kept, serves both modes: y∘(t - ⟨t, y⟩).
    """

    name = "softmax"
    in_onnx = "Softmax"

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            e = np.exp(self.numpy_shifted(x))
            return e / e.sum(self.axes, keepdims=True)

    def decompose(self, x: Value) -> Sequence[Value]:
        e = ops.exp(self.shifted(x))
        # The reciprocal is one division a row.
        return (ops.multiply(e, self.along(ops.reciprocal(ops.sum(e, self.axes)), x)),)

    def onnx_quotient(self, to: Builder, z: str, e: str, total: str) -> str:
        return to.node("Div", e, total)

    def moved(self, node: Node, t: Value) -> Value:
        y = node.outputs[0]
        common = ops.sum(ops.multiply(t, y), self.axes)
        return ops.multiply(y, ops.subtract(t, self.along(common, y)))

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return (self.moved(node, g),)


class LogSoftmax(Normalized):
    """y = x - log Σ exp(x); exp(y) is the softmax."""

    name = "log_softmax"
    in_onnx = "LogSoftmax"

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            z = self.numpy_shifted(x)
            return z - np.log(np.exp(z).sum(self.axes, keepdims=True))

    def decompose(self, x: Value) -> Sequence[Value]:
        z = self.shifted(x)
        return (ops.subtract(z, self.along(ops.log(ops.sum(ops.exp(z), self.axes)), x)),)

    def onnx_quotient(self, to: Builder, z: str, e: str, total: str) -> str:
        return to.node("Sub", z, to.node("Log", total))

    def moved(self, node: Node, t: Value) -> Value:
        y = node.outputs[0]
        common = ops.sum(ops.multiply(t, ops.exp(y)), self.axes)
        return ops.subtract(t, self.along(common, y))

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        y = node.outputs[0]
        return (ops.subtract(g, ops.multiply(ops.exp(y), self.along(ops.sum(g, self.axes), y))),)


def softmax(x: Value, axes: tuple[int, ...]) -> Value:
    return apply(Softmax(axes), x)[0]


def log_softmax(x: Value, axes: tuple[int, ...]) -> Value:
    return apply(LogSoftmax(axes), x)[0]
