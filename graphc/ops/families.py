"""What families of operators share: type rules, linearity, batching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Expr
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.site import located
from graphc.ir.spec import Scalar


class Elementwise(Op):
    """out[i] = f(in0[i], in1[i], …) on equal shapes and dtypes.

    A subclass gives `numpy` (the reference), `expr` (the scalar C expression), `kinds` (the dtype
    kinds that it takes) and, where it has a derivative, `partial`.
    """

    numpy: ClassVar[Callable[..., np.ndarray]]
    kinds: ClassVar[str] = "f"
    #: Simple operations per element: what a kernel's cost counts.
    cost: ClassVar[int] = 1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        first = types[0]
        for other in types[1:]:
            if other.shape != first.shape:
                raise ShapeError(located(f"{self.signature(types)}: shapes differ"))
            if other.dtype is not first.dtype:
                raise DTypeError(located(f"{self.signature(types)}: dtypes differ"))
        if first.dtype.kind not in self.kinds:
            raise DTypeError(
                located(f"{self.signature(types)}: required {kind_names(self.kinds)}")
            )
        return (self.result(first),)

    def result(self, operand: TensorType) -> TensorType:
        """The result's type, given that of the operands."""
        return operand

    def signature(self, types: Sequence[TensorType]) -> str:
        return f"{self.name}({', '.join(map(str, types))})"

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return type(self).numpy(*arrays)

    def expr(self, *operands: Expr) -> Expr:
        raise TypeError(f"{type(self).__name__} has no scalar expression")

    def spec(self, *types: TensorType) -> Scalar:
        return Scalar(self.expr, self.cost)

    def flops(self, *types: TensorType) -> int:
        return types[0].size * self.cost if types[0].dtype.is_float else 0

    def partial(self, node: Node, operand: int, g: Value) -> Value | None:
        """`g` times the derivative of the result by one operand; None where that is zero.

        The Jacobian is diagonal, so this one rule serves reverse and forward mode.
        """
        raise ops.no_derivative(node)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return [
            self.partial(node, i, g) if v.dtype.is_float else None
            for i, v in enumerate(node.inputs)
        ]

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        parts = [self.partial(node, i, t) for i, t in enumerate(tangents) if t is not None]
        return [ops.add_all([p for p in parts if p is not None])]

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(self, *ops.batch_all(size, inputs, batched)), (True,)


class Flat(Elementwise):
    """An elementwise operator whose derivative is zero wherever it exists."""

    def partial(self, node: Node, operand: int, g: Value) -> Value | None:
        return None


class Linear(Op):
    """An operator that is linear in its float inputs: its tangent is itself of the tangents."""

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        if all(t is None for t in tangents):
            return [None] * len(node.outputs)
        moved = [
            ops.zeros_like(v) if t is None else t
            for t, v in zip(tangents, node.inputs, strict=True)
        ]
        return apply(self, *moved)


def kind_names(kinds: str) -> str:
    """Dtype kinds in words, for messages."""
    words = {"b": "bool", "u": "unsigned integer", "i": "integer", "f": "float"}
    return " or ".join(words[k] for k in kinds)


def normalized_axes(axes: Sequence[int], ndim: int, what: str) -> tuple[int, ...]:
    """Sorted axes in [0, ndim); raises ShapeError for a bad or repeated one."""
    result = []
    for axis in axes:
        if not -ndim <= axis < ndim:
            raise ShapeError(located(f"{what}: axis {axis} is out of range for {ndim} axes"))
        result.append(axis % ndim)
    if len(set(result)) != len(result):
        raise ShapeError(located(f"{what}: axes {tuple(axes)} repeat"))
    return tuple(sorted(result))
