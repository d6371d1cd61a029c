"""Reductions over some axes, which disappear: sum, prod, max, min, all, any, argmax, argmin."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, DType, TensorType, bool_, int32, int64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Reduce
from graphc.ir.terms import Term
from graphc.ops.families import Discrete, kind_names
from graphc.ops.samples import Refusal, Sample, Source, of_dtypes, refuses


@dataclass(frozen=True)
class Reduction(Op):
    """Folds `axes` (sorted, not negative) of one input. A subclass gives `kind`, which names the
    runtime's fold, and `fold`, NumPy's.
    """

    kind: ClassVar[str]
    #: What PyTorch calls it.
    torch: ClassVar[str]
    #: ONNX's operator, where it has one.
    in_onnx: ClassVar[str] = ""
    kinds: ClassVar[str] = "uif"
    exact = "bui"
    empty: ClassVar[bool] = True
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if x.dtype.kind not in self.kinds:
            raise DTypeError(located(f"{self.name}({x}): required {kind_names(self.kinds)}"))
        if list(self.axes) != sorted(set(self.axes)) or builtins.any(
            not 0 <= a < x.ndim for a in self.axes
        ):
            raise ShapeError(located(f"{self.name}({x}): axes {self.axes} do not fit"))
        if not self.empty and builtins.any(x.shape[a] == 0 for a in self.axes):
            raise ShapeError(
                located(f"{self.name}({x}, axes={self.axes}): no elements to choose from")
            )
        shape = tuple(n for a, n in enumerate(x.shape) if a not in self.axes)
        return (x.with_shape(shape),)

    def fold(self, x: np.ndarray) -> np.ndarray:
        raise TypeError

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self.fold(x))

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return to.function(to.either(self.name, self.torch), *operands, **to.axis(*self.axes))

    def onnx(
        self, to: Builder, types: Sequence[TensorType], *operands: str
    ) -> Sequence[str] | None:
        if not self.in_onnx:
            return None
        return (to.node(self.in_onnx, *operands, to.constant(list(self.axes)), keepdims=0),)

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

    #: Shapes and axes to test, in each dtype or in the last one alone.
    shapes: ClassVar[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = (
        ((2, 3, 4), (0, 2)),
        ((2, 3, 4), (0, 1, 2)),
        ((2, 3, 4), (0,)),
        ((3, 4), (1,)),
        ((1, 1), (0,)),
        ((37,), (0,)),
        ((5, 1500), (1,)),
        ((300, 7), (0,)),
        ((3, 0), (0,)),
    )

    @classmethod
    def draw(cls, source: Source, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
        """Elements around which the fold is smooth."""
        return source.array(shape, dtype, (0.9, 1.1))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        taken = list(of_dtypes(ALL, cls.kinds))
        (shape, axes), *_ = cls.shapes
        for dtype in taken:
            yield Sample(f"ordinary {dtype}", cls(axes), (cls.draw(source, shape, dtype),), True)
        for shape, axes in cls.shapes:
            drawn = cls.draw(source, shape, taken[-1])
            yield Sample(f"{shape} {taken[-1]}", cls(axes), (drawn,), True)
        if cls.empty:
            yield Sample("of nothing", cls((0,)), (source.array((0, 3), taken[-1]),), True)
        for dtype in of_dtypes(taken, "f"):
            rows = source.array((6, 5), dtype)
            for row, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
                rows[row, row] = value
            rows[4, :2] = np.inf, -np.inf
            yield Sample(f"special {dtype}", cls((1,)), (rows,))
        ties = source.integers((4, 6), int64, 0, 2).astype(taken[-1].numpy)
        yield Sample("ties", cls((1,)), (ties,))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        good = ALL[-1] if "f" in cls.kinds else bool_
        yield refuses(cls((2,)), ShapeError, "do not fit", ((3, 4), good))
        for dtype in [d for d in ALL if d.kind not in cls.kinds][:1]:
            yield refuses(cls((0,)), DTypeError, "required", ((3, 4), dtype))
        if not cls.empty:
            yield refuses(cls((0,)), ShapeError, "no elements to choose from", ((0, 4), good))


class Sum(Reduction):
    name = "sum"
    in_onnx = "ReduceSum"
    kind = "sum"
    torch = "sum"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.sum(self.axes, dtype=x.dtype)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        # The libraries sum integers in 64 bits.
        wide = {} if types[0].dtype.is_float else {"dtype": to.dtype(types[0].dtype)}
        return to.function("sum", *operands, **to.axis(*self.axes), **wide)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return (self.spread(g, node.inputs[0]),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        return (None,) if t is None else apply(self, t)


class Prod(Reduction):
    name = "prod"
    in_onnx = "ReduceProd"
    kind = "prod"
    torch = "prod"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.prod(self.axes, dtype=x.dtype)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        wide = {} if types[0].dtype.is_float else {"dtype": to.dtype(types[0].dtype)}
        if to.is_numpy:
            return to.function("prod", *operands, **to.axis(*self.axes), **wide)
        (term,) = operands
        # PyTorch multiplies along one axis at a time, the last one first.
        for axis in reversed(self.axes):
            term = to.function("prod", term, **to.axis(axis), **wide)
        return term

    def others(self, x: Value) -> Value:
        """For each element the product of all others: right also where some are zero."""
        kept = tuple(a for a in range(len(x.shape)) if a not in self.axes)
        order = (*kept, *self.axes)
        sizes = tuple(x.shape[a] for a in order)
        last = len(kept)
        flat = ops.reshape(ops.permute(x, order), (*sizes[:last], math.prod(sizes[last:])))
        before = ops.preceding(ops.cumulative_prod(flat, last), last, 1)
        turned = ops.flip(flat, (last,))
        after = ops.flip(ops.preceding(ops.cumulative_prod(turned, last), last, 1), (last,))
        back = tuple(order.index(a) for a in range(len(order)))
        return ops.permute(ops.reshape(ops.multiply(before, after), sizes), back)

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

    #: The fold of truth values.
    logical: ClassVar[str]

    def spec(self, x: TensorType) -> Reduce:
        return Reduce(self.logical if x.dtype is bool_ else self.kind, self.axes)

    @classmethod
    def draw(cls, source: Source, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
        return source.distinct(shape, dtype)

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
    in_onnx = "ReduceMax"
    kind = "max"
    torch = "amax"
    logical = "any"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.max(self.axes)


class Min(Extremum):
    name = "min"
    in_onnx = "ReduceMin"
    kind = "min"
    torch = "amin"
    logical = "all"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.min(self.axes)


class All(Discrete, Reduction):
    """Whether all elements hold; true of nothing."""

    name = "all"
    kind = "all"
    torch = "all"
    kinds = "b"

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        axes = to.constant(list(self.axes))
        found = to.node("ReduceMin", to.cast(operands[0], int32), axes, keepdims=0)
        return (to.cast(found, bool_),)

    def fold(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x.all(self.axes))


class Any(Discrete, Reduction):
    """Whether any element holds; false of nothing."""

    name = "any"
    kind = "any"
    torch = "any"
    kinds = "b"

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        axes = to.constant(list(self.axes))
        found = to.node("ReduceMax", to.cast(operands[0], int32), axes, keepdims=0)
        return (to.cast(found, bool_),)

    def fold(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x.any(self.axes))


class ArgExtremum(Discrete, Reduction):
    """Position (int64) of the first extreme element along the one axis; NaN wins."""

    kinds = "buif"
    empty = False
    shapes = tuple((shape, axes) for shape, axes in Reduction.shapes if len(axes) == 1)

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if len(self.axes) != 1:
            raise ShapeError(located(f"{self.name}({x}): one axis required, got {self.axes}"))
        return (super().infer(x)[0].with_dtype(int64),)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        if types[0].dtype is bool_ and not to.is_numpy:
            operands = (to.cast(operands[0], int32),)
        return super().python(to, types, *operands)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        kind = "ArgMax" if self.kind == "argmax" else "ArgMin"
        return (to.node(kind, *operands, axis=self.axes[0], keepdims=0),)

    def spec(self, x: TensorType) -> Reduce:
        return Reduce(self.kind, self.axes, whole=True)


class Argmax(ArgExtremum):
    name = "argmax"
    kind = "argmax"
    torch = "argmax"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.argmax(self.axes[0])


class Argmin(ArgExtremum):
    name = "argmin"
    kind = "argmin"
    torch = "argmin"

    def fold(self, x: np.ndarray) -> np.ndarray:
        return x.argmin(self.axes[0])


def _reduction(op: type[Reduction]) -> Callable[[Value, tuple[int, ...]], Value]:
    def constructor(x: Value, axes: tuple[int, ...]) -> Value:
        unchanged = not axes and not issubclass(op, ArgExtremum)
        return x if unchanged else apply(op(tuple(axes)), x)[0]

    constructor.__name__ = op.name
    constructor.__doc__ = op.__doc__
    return constructor


sum = _reduction(Sum)
prod = _reduction(Prod)
max = _reduction(Max)
min = _reduction(Min)
all = _reduction(All)
any = _reduction(Any)
argmax = _reduction(Argmax)
argmin = _reduction(Argmin)


def sum_all(x: Value) -> Value:
    return sum(x, tuple(range(len(x.shape))))


def count_nonzero(x: Value, axes: tuple[int, ...]) -> Value:
    """How many elements (int64) are not zero; NaN is not."""
    return sum(ops.astype(ops.astype(x, bool_), int64), axes)
