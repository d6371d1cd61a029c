"""Cumulative folds along an axis, and the linear recurrence that is the derivative of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, TensorType, float32, float64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Expr, cast
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Nest, NestIO
from graphc.ir.terms import Term
from graphc.ops.arithmetic import Add, Maximum, Minimum, Multiply
from graphc.ops.exponential import Logaddexp
from graphc.ops.families import Elementwise, Linear, kind_names
from graphc.ops.nests import folded_along
from graphc.ops.samples import Refusal, Sample, Source, of_dtypes, refuses


@dataclass(frozen=True)
class AlongAxis(Op):
    """An operator on every line along `axis`; results have the inputs' one type."""

    kinds: ClassVar[str] = "uif"
    arity: ClassVar[int] = 1
    axis: int

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        what = f"{self.name}({', '.join(map(str, types))}, axis={self.axis})"
        first = types[0]
        if len(types) != self.arity or any(t != first for t in types):
            raise ShapeError(located(f"{what}: {self.arity} operands of one type required"))
        if not 0 <= self.axis < first.ndim:
            raise ShapeError(located(f"{what}: no such axis"))
        if first.dtype.kind not in self.kinds:
            raise DTypeError(located(f"{what}: required {kind_names(self.kinds)}"))
        return (first,)

    def flops(self, *types: TensorType) -> int:
        return types[0].size * self.arity if types[0].dtype.is_float else 0

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        moved = type(self)(self.axis + 1)
        return apply(moved, *ops.batch_all(size, inputs, batched)), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)

        def arrays(shape: tuple[int, ...], dtype=float64, domain=(-1.2, 1.2)) -> tuple:
            return tuple(source.array(shape, dtype, domain) for _ in range(cls.arity))

        for dtype in of_dtypes(ALL, cls.kinds):
            yield Sample(f"ordinary {dtype}", cls(1), arrays((3, 6), dtype), True)
        for shape, axis in (((5, 2), 0), ((2, 4, 3), 1), ((1, 1), 0), ((0, 3), 1), ((3, 0), 1)):
            yield Sample(f"{shape} along {axis}", cls(axis), arrays(shape), True)
        yield Sample("long", cls(1), arrays((2, 1500), float32, (-1.0, 1.0)))
        for beside in ((150,), (4, 5, 6)):
            yield Sample(f"{beside} side by side", cls(1), arrays((2, 3, *beside), float32))
        (rows,) = arrays((6, 5))[:1]
        for row, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
            rows[row, row] = value
        rows[4, :] = -np.inf
        rows[5, 1:3] = 0
        yield Sample("special", cls(1), (rows,) * cls.arity)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        good = ((3, 4), float64)
        yield refuses(cls(0), ShapeError, "of one type required", *[good] * (cls.arity + 1))
        yield refuses(cls(2), ShapeError, "no such axis", *[good] * cls.arity)
        for dtype in [d for d in ALL if d.kind not in cls.kinds][:1]:
            yield refuses(cls(0), DTypeError, "required", *[((3, 4), dtype)] * cls.arity)


class Cumulative(AlongAxis):
    """y[0] = x[0], y[k] = step(y[k-1], x[k]) along an axis. Sums, products and log-sum-exps of
    float32 are carried in double.
    """

    step: ClassVar[Elementwise]
    wide: ClassVar[bool] = True
    #: What PyTorch calls it, and which of its results it is.
    torch: ClassVar[tuple[str, str]]

    def reference(self, x: np.ndarray) -> np.ndarray:
        carried = self.wide and x.dtype == np.float32
        with np.errstate(all="ignore"):
            operand = x.astype(np.float64) if carried else x
            ufunc = type(self.step).numpy
            assert isinstance(ufunc, np.ufunc)
            return ufunc.accumulate(operand, self.axis, operand.dtype).astype(x.dtype)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        if not to.is_numpy:
            name, result = self.torch
            # PyTorch adds and multiplies integers in 64 bits.
            wide = {} if result or self.kinds == "f" else {"dtype": to.dtype(types[0].dtype)}
            return Term(to.function(name, *operands, **to.axis(self.axis), **wide).text + result)
        ufunc = type(self.step).numpy
        dtype = to.dtype(types[0].dtype)
        return to.function(
            f"{ufunc.__name__}.accumulate", *operands, **to.axis(self.axis), dtype=dtype
        )

    def spec(self, x: TensorType) -> Nest:
        carried = float64 if self.wide and x.dtype is float32 else x.dtype

        def first(io: NestIO, at: Index) -> Expr:
            return cast(io.read(0, at), carried)

        def following(io: NestIO, total: Expr, at: Index) -> Expr:
            return self.step.expr(total, first(io, at))

        return folded_along(x, self.axis, carried, first, following, self.step.cost)

    def slopes(self, node: Node) -> tuple[Value, Value]:
        """∂y[k]/∂y[k-1] and ∂y[k]/∂x[k] for k = 1, 2, …: what differentiates the step."""
        before = ops.part(node.outputs[0], self.axis, 0, -1)
        entry = ops.part(node.inputs[0], self.axis, 1, 0)
        step = apply(self.step, before, entry)[0].node
        one = ops.full_like(entry, 1)
        carry, entering = (self.step.partial(step, k, one) for k in (0, 1))
        assert carry is not None and entering is not None
        return carry, entering

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        if g.shape[self.axis] == 0:
            return (g,)
        carry, entering = self.slopes(node)
        # What each y[k] is worth, in all later ones too.
        worth = _backward(carry, g, self.axis)
        one = ops.full_like(ops.part(g, self.axis, 0, 1), 1)
        return (ops.multiply(worth, ops.concat([one, entering], self.axis)),)

    def jvp(self, node: Node, t: Value | None) -> Sequence[Value | None]:
        if t is None or t.shape[self.axis] == 0:
            return (t,)
        carry, entering = self.slopes(node)
        first = ops.part(t, self.axis, 0, 1)
        moved = ops.multiply(ops.part(t, self.axis, 1, 0), entering)
        return (
            ops.recurrence(
                ops.concat([first, carry], self.axis),
                ops.concat([first, moved], self.axis),
                self.axis,
            ),
        )


class CumulativeSum(Linear, Cumulative):
    name = "cumulative_sum"
    torch = ("cumsum", "")
    step = Add()

    def onnx(
        self, to: Builder, types: Sequence[TensorType], *operands: str
    ) -> Sequence[str] | None:
        if types[0].dtype.kind == "u":
            return None
        return (to.node("CumSum", *operands, to.constant(np.array(self.axis))),)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        return (ops.flip(apply(self, ops.flip(g, (self.axis,)))[0], (self.axis,)),)


class CumulativeProd(Cumulative):
    """The derivative is right where factors are zero."""

    name = "cumulative_prod"
    torch = ("cumprod", "")
    step = Multiply()


class CumulativeLogsumexp(Cumulative):
    name = "cumulative_logsumexp"
    torch = ("logcumsumexp", "")
    kinds = "f"
    step = Logaddexp()


class CumulativeMax(Cumulative):
    """NaN wins; equal elements share the gradient as `maximum` shares it, step by step."""

    name = "cumulative_max"
    torch = ("cummax", ".values")
    kinds = "buif"
    step = Maximum()
    wide = False


class CumulativeMin(Cumulative):
    __doc__ = CumulativeMax.__doc__
    name = "cumulative_min"
    torch = ("cummin", ".values")
    kinds = "buif"
    step = Minimum()
    wide = False


class Recurrence(AlongAxis):
    """h[0] = b[0], h[k] = a[k]·h[k-1] + b[k] along an axis; a[0] does not matter. float32 is
    carried in double.
    """

    name = "recurrence"
    kinds = "f"
    arity = 2

    def reference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return plain.recurrence(a, b, self.axis)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return to.plain("recurrence", *operands, Term(str(self.axis)))

    def spec(self, a: TensorType, b: TensorType) -> Nest:
        def first(io: NestIO, at: Index) -> Expr:
            return cast(io.read(1, at), float64)

        def following(io: NestIO, state: Expr, at: Index) -> Expr:
            return cast(io.read(0, at), float64) * state + first(io, at)

        return folded_along(a, self.axis, float64, first, following, 2)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        if g.shape[self.axis] == 0:
            return (g, g)
        worth = _backward(ops.part(node.inputs[0], self.axis, 1, 0), g, self.axis)
        before = ops.preceding(node.outputs[0], self.axis, 0)
        return (ops.multiply(worth, before), worth)

    def jvp(self, node: Node, ta: Value | None, tb: Value | None) -> Sequence[Value | None]:
        terms = [] if tb is None else [tb]
        if ta is not None:
            terms.append(ops.multiply(ta, ops.preceding(node.outputs[0], self.axis, 0)))
        moved = ops.add_all(terms)
        return (None if moved is None else ops.recurrence(node.inputs[0], moved, self.axis),)


def _backward(carry: Value, g: Value, axis: int) -> Value:
    """w[k] = g[k] + carry[k]·w[k+1] from the end, where `carry` is one shorter than g."""
    last = ops.part(g, axis, -1, 0)
    factors = ops.flip(ops.concat([carry, last], axis), (axis,))
    return ops.flip(ops.recurrence(factors, ops.flip(g, (axis,)), axis), (axis,))


def part(x: Value, axis: int, begin: int, end: int) -> Value:
    """The elements from `begin` up to `end` along an axis; negative ones, and an `end` of 0, count
    from its end.
    """
    extent = x.shape[axis]
    begin = begin + extent if begin < 0 else begin
    end = end + extent if end <= 0 else end
    starts, lengths = [0] * len(x.shape), list(x.shape)
    starts[axis], lengths[axis] = begin, end - begin
    return ops.slice(x, tuple(starts), tuple(lengths), (1,) * len(starts))


def preceding(x: Value, axis: int, first: float) -> Value:
    """Position k holds x[k-1] along an axis, position 0 holds `first`."""
    if x.shape[axis] == 0:
        return x
    starts = tuple(int(a == axis) for a in range(len(x.shape)))
    return ops.pad(part(x, axis, 0, -1), ops.constant(first, x.dtype), x.shape, starts)


def cumulative_sum(x: Value, axis: int) -> Value:
    return apply(CumulativeSum(axis), x)[0]


def cumulative_prod(x: Value, axis: int) -> Value:
    return apply(CumulativeProd(axis), x)[0]


def cumulative_logsumexp(x: Value, axis: int) -> Value:
    return apply(CumulativeLogsumexp(axis), x)[0]


def cumulative_max(x: Value, axis: int) -> Value:
    return apply(CumulativeMax(axis), x)[0]


def cumulative_min(x: Value, axis: int) -> Value:
    return apply(CumulativeMin(axis), x)[0]


def recurrence(a: Value, b: Value, axis: int) -> Value:
    return apply(Recurrence(axis), a, b)[0]
