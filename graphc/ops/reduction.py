"""Reductions: sum, prod, max, min, argmax, argmin over some axes, which disappear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, int64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.site import located
from graphc.ir.spec import Reduce
from graphc.ops.families import kind_names


@dataclass(frozen=True)
class Reduction(Op):
    """Folds `axes` (sorted, not negative) of one input. A subclass gives `kind`, which names the
    runtime's fold, and `fold`, NumPy's.
    """

    kind: ClassVar[str]
    kinds: ClassVar[str] = "uif"
    exact = "bui"
    empty: ClassVar[bool] = True
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if x.dtype.kind not in self.kinds:
            raise DTypeError(located(f"{self.name}({x}): required {kind_names(self.kinds)}"))
        if list(self.axes) != sorted(set(self.axes)) or any(not 0 <= a < x.ndim for a in self.axes):
            raise ShapeError(located(f"{self.name}({x}): axes {self.axes} do not fit"))
        if not self.empty and any(x.shape[a] == 0 for a in self.axes):
            raise ShapeError(
                located(f"{self.name}({x}, axes={self.axes}): no elements to choose from")
            )
        shape = tuple(n for a, n in enumerate(x.shape) if a not in self.axes)
        return (x.with_shape(shape),)

    def fold(self, x: np.ndarray) -> np.ndarray:
        raise TypeError

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self.fold(x)).astype(self.infer(_type(x))[0].dtype.numpy)

    def spec(self, x: TensorType) -> Reduce:
        return Reduce(self.kind, self.axes)

    def flops(self, x: TensorType) -> int:
        return x.size if x.dtype.is_float else 0

    def spread(self, value: Value, like: Value) -> Value:
        """A reduced value repeated over the axes that were folded."""
        kept = tuple(a for a in range(len(like.shape)) if a not in self.axes)
        return ops.broadcast(value, like.shape, kept)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(type(self)(tuple(a + 1 for a in self.axes)), inputs[0]), (True,)


def _type(x: np.ndarray) -> TensorType:
    from graphc.dtypes import as_dtype

    return TensorType(x.shape, as_dtype(x.dtype))


class Sum(Reduction):
    name = "sum"
    kind = "sum"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.sum(self.axes, dtype=x.dtype)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return (self.spread(g, node.inputs[0]),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        return (None,) if t is None else apply(self, t)


class Prod(Reduction):
    name = "prod"
    kind = "prod"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.prod(self.axes, dtype=x.dtype)

    def others(self, x: Value) -> Value:
        """For each element the product of all others: right also where some are zero."""
        flat, back = ops.flatten_axes(x, self.axes)
        left = ops.cumulative_prod_exclusive(flat)
        right = ops.flip_last(ops.cumulative_prod_exclusive(ops.flip_last(flat)))
        return back(ops.multiply(left, right))

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x = node.inputs[0]
        return (ops.multiply(self.spread(g, x), self.others(x)),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        if t is None:
            return (None,)
        return (ops.sum(ops.multiply(t, self.others(node.inputs[0])), self.axes),)


class Extremum(Reduction):
    """max and min: NaN wins; the gradient is shared equally among ties."""

    kinds = "buif"
    empty = False

    def weights(self, node: Node) -> Value:
        x = node.inputs[0]
        ties = ops.astype(ops.equal(x, self.spread(node.outputs[0], x)), x.dtype)
        return ops.divide(ties, self.spread(ops.sum(ties, self.axes), x))

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return (ops.multiply(self.spread(g, node.inputs[0]), self.weights(node)),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        if t is None:
            return (None,)
        return (ops.sum(ops.multiply(t, self.weights(node)), self.axes),)


class Max(Extremum):
    name = "max"
    kind = "max"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.max(self.axes)


class Min(Extremum):
    name = "min"
    kind = "min"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.min(self.axes)


class ArgExtremum(Reduction):
    """Position (int64) of the first extreme element along the one axis; NaN wins."""

    kinds = "buif"
    empty = False

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if len(self.axes) != 1:
            raise ShapeError(located(f"{self.name}({x}): one axis required, got {self.axes}"))
        return (super().infer(x)[0].with_dtype(int64),)


class Argmax(ArgExtremum):
    name = "argmax"
    kind = "argmax"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.argmax(self.axes[0])


class Argmin(ArgExtremum):
    name = "argmin"
    kind = "argmin"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.argmin(self.axes[0])


def _reduce(op: type[Reduction]) -> Any:
    def constructor(x: Value, axes: tuple[int, ...]) -> Value:
        keeps = not axes and not issubclass(op, ArgExtremum)
        return x if keeps else apply(op(tuple(axes)), x)[0]

    return constructor


sum = _reduce(Sum)
prod = _reduce(Prod)
max = _reduce(Max)
min = _reduce(Min)
argmax = _reduce(Argmax)
argmin = _reduce(Argmin)


def sum_all(x: Value) -> Value:
    return sum(x, tuple(range(len(x.shape))))
