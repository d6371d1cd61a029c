"""What families of operators share: type rules, linearity, batching, samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc import dtypes, ops
from graphc.dtypes import TensorType
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Expr, call
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Scalar
from graphc.ir.terms import Term, infix, prefix
from graphc.ops.samples import (
    EDGE_SHAPES,
    Refusal,
    Sample,
    Source,
    of_dtypes,
    refuses,
    special_operands,
)


@dataclass(frozen=True)
class Elementwise(Op):
    """out[i] = f(in0[i], in1[i], …) on equal shapes and dtypes.

    A subclass gives `numpy` (the reference), `expr` (the scalar C expression), `kinds` (the dtype
    kinds that it takes), `arity` and, where it has a derivative, `partial`.
    """

    numpy: ClassVar[Callable[..., np.ndarray]]
    arity: ClassVar[int] = 1
    kinds: ClassVar[str] = "f"
    exact = "buif"
    #: Simple operations per element: what a kernel's cost counts.
    cost: ClassVar[int] = 1
    #: Where the samples of each operand lie (the last one serves all further operands); the
    #: function is smooth inside, but for kinks that samples miss.
    domains: ClassVar[tuple[tuple[float, float], ...]] = ((-3.0, 3.0),)
    #: The derivative is that of the reference.
    smooth: ClassVar[bool] = True
    #: The operator as it stands between or before its operands, in Python too.
    symbol: ClassVar[str] = ""
    #: ONNX's operator, where it has one.
    in_onnx: ClassVar[str] = ""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        if len(types) != self.arity:
            raise ShapeError(located(f"{self.signature(types)}: {self.arity} operands required"))
        first = types[0]
        for other in types[1:]:
            if other.shape != first.shape:
                raise ShapeError(located(f"{self.signature(types)}: shapes differ"))
            if other.dtype is not first.dtype:
                raise DTypeError(located(f"{self.signature(types)}: dtypes differ"))
        if first.dtype.kind not in self.kinds:
            raise DTypeError(located(f"{self.signature(types)}: required {kind_names(self.kinds)}"))
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

    def formula(self, *operands: Term) -> Term:
        if not self.symbol:
            return super().formula(*operands)
        if len(operands) == 1:
            return prefix(self.symbol, *operands)
        return infix(self.symbol, *operands)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        if self.symbol:
            return self.formula(*operands)
        if not to.is_numpy:
            return to.function(self.name, *operands)
        numpy = getattr(type(self), "numpy", None)
        name = getattr(numpy, "__name__", "")
        if numpy is None or getattr(np, name, None) is not numpy:
            return super().python(to, types, *operands)
        return to.function(name, *operands)

    def onnx(
        self, to: Builder, types: Sequence[TensorType], *operands: str
    ) -> Sequence[str] | None:
        return (to.node(self.in_onnx, *operands),) if self.in_onnx else None

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

    @classmethod
    def variants(cls) -> Sequence[Elementwise]:
        """Instances to test: one for each way in which the parameters matter."""
        return (cls(),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        taken = list(of_dtypes(dtypes.ALL, cls.kinds))
        for op in cls.variants():
            source = Source(f"{op.name} {op.attributes()}")
            for dtype in taken:
                drawn = op.operands(source, (3, 4), dtype)
                yield Sample(f"ordinary {dtype}", op, drawn, cls.smooth)
                yield Sample(f"special {dtype}", op, op.special(dtype))
            for note, shape in EDGE_SHAPES.items():
                yield Sample(note, op, op.operands(source, shape, taken[-1]), cls.smooth)
            swapped = tuple(x.T for x in op.operands(source, (2, 5), taken[-1]))
            yield Sample("strided", op, swapped, cls.smooth)

    def operands(
        self, source: Source, shape: tuple[int, ...], dtype: dtypes.DType
    ) -> tuple[np.ndarray, ...]:
        """Ordinary operands of a shape and dtype, drawn from `domains`."""
        return tuple(
            source.array(shape, dtype, self.domains[min(k, len(self.domains) - 1)])
            for k in range(self.arity)
        )

    def special(self, dtype: dtypes.DType) -> tuple[np.ndarray, ...]:
        """All combinations of extreme operands."""
        return special_operands(dtype, self.arity)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls.variants()[0]
        taken = list(of_dtypes(dtypes.ALL, cls.kinds))
        good = ((3,), taken[-1])
        yield refuses(op, ShapeError, "operands required", *[good] * (cls.arity + 1))
        for other in [d for d in dtypes.ALL if d not in taken][:1]:
            yield refuses(op, DTypeError, "required", *[((3,), other)] * cls.arity)
        if cls.arity == 2:
            yield refuses(op, ShapeError, "shapes differ", good, ((4,), taken[-1]))
            wrong = next(d for d in dtypes.ALL if d is not taken[-1])
            yield refuses(op, DTypeError, "dtypes differ", good, ((3,), wrong))


class Binary(Elementwise):
    """An elementwise operator with two operands."""

    arity = 2


class Flat(Elementwise):
    """An elementwise operator whose derivative is zero wherever it exists."""

    def partial(self, node: Node, operand: int, g: Value) -> Value | None:
        return None


class Function(Elementwise):
    """A function of the runtime, `gx_<name>_<dtype>`, by default of floats.

    The reference is computed in double and rounded once, so a float32 result of it is the nearest
    one in all but one of many millions of cases.
    """

    cost = 12
    exact = ""

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        if arrays[0].dtype.kind != "f":
            return super().reference(*arrays)
        with np.errstate(all="ignore"):
            wide = type(self).numpy(*[x.astype(np.float64) for x in arrays])
            return np.asarray(wide).astype(arrays[0].dtype)

    def expr(self, *operands: Expr) -> Expr:
        dtype = operands[0].dtype
        return call(f"gx_{self.name}_{dtype.suffix}", dtype, *operands)


class Discrete(Op):
    """An operator through which nothing moves: its results are integers, truth values or fixed."""

    def vjp(self, node: Node, *cotangents: Value | None) -> Sequence[Value | None]:
        return [None] * len(node.inputs)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        return [None] * len(node.outputs)


class Linear(Op):
    """An operator that is linear in its float inputs: its tangent is itself of the tangents. What
    other inputs say (positions, for example) stays as it is.
    """

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        if all(t is None for t in tangents):
            return [None] * len(node.outputs)
        moved = []
        for v, t in zip(node.inputs, tangents, strict=True):
            still = ops.zeros_like(v) if v.dtype.is_float else v
            moved.append(still if t is None else t)
        return apply(self, *moved)


def c_library(name: str, *operands: Expr) -> Expr:
    """A function of C's <math.h> in the operands' precision: `floorf` or `floor`."""
    dtype = operands[0].dtype
    return call(f"{name}f" if dtype.itemsize == 4 else name, dtype, *operands)


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
