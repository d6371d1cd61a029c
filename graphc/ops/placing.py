"""Operators that place their inputs into a larger array: pad and concat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, TensorType, bool_, float64, int32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Expr, logical, select
from graphc.ir.graph import Node, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain.in_numpy import place
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Pointwise, Reader
from graphc.ir.terms import Term
from graphc.ops.families import Linear
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class Pad(Linear):
    """x placed into a larger array of `fill` (a scalar input): element i of x lands at
    `starts + i·steps`. The transpose of a slice.
    """

    name = "pad"
    exact = "buif"
    shape: tuple[int, ...]
    starts: tuple[int, ...]
    steps: tuple[int, ...]

    def infer(self, x: TensorType, fill: TensorType) -> tuple[TensorType, ...]:
        if fill.shape != () or fill.dtype is not x.dtype:
            raise DTypeError(located(f"pad({x}, {fill}): required a scalar of the same dtype"))
        if len(self.shape) != x.ndim:
            raise ShapeError(located(f"pad({x}) to {self.shape}: numbers of axes differ"))
        for extent, n, start, step in self._axes(x.shape):
            last = start + (n - 1) * step
            if n and not (0 <= start < extent and 0 <= last < extent):
                raise ShapeError(
                    located(f"pad({x}): {start}…{last} is outside an axis of {extent}")
                )
        return (x.with_shape(self.shape),)

    def _axes(self, inner: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
        return zip(self.shape, inner, self.starts, self.steps, strict=True)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        sizes = [Term(str(v)) for v in (self.shape, self.starts, self.steps)]
        return to.plain("place", *operands, *sizes)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        """Every position reads an element of x, and the fill is chosen where there is none."""
        x, fill = operands
        if types[0].size == 0:
            return (to.node("Expand", fill, to.constant(list(self.shape))),)
        inside = np.ones(self.shape, bool)
        for axis, (extent, n, start, step) in enumerate(self._axes(types[0].shape)):
            source = np.full(extent, -1)
            source[start + step * np.arange(n)] = np.arange(n)
            along = [-1 if a == axis else 1 for a in range(len(self.shape))]
            inside &= (source >= 0).reshape(along)
            x = to.node("Gather", x, to.constant(np.maximum(source, 0)), axis=axis)
        return (to.node("Where", to.constant(inside), x, fill),)

    def reference(self, x: np.ndarray, fill: np.ndarray) -> np.ndarray:
        return place(x, fill, self.shape, self.starts, self.steps)

    def spec(self, x: TensorType, fill: TensorType) -> Pointwise:
        def body(i: Index, read: Reader) -> Expr:
            if x.size == 0:
                return read(1, ())
            tests: list[Expr] = []
            source = []
            for k, (extent, n, start, step) in zip(i, self._axes(x.shape), strict=True):
                stride = abs(step)
                ahead = start if step > 0 else extent - 1 - start
                beyond = k - start if step > 0 else start - k
                source.append(beyond // stride)
                if ahead > 0:
                    tests.append(beyond >= 0)
                if ahead + (n - 1) * stride < extent - 1:
                    tests.append(beyond < (n - 1) * stride + 1)
                if stride > 1:
                    tests.append(beyond % stride < 1)
            value = read(0, tuple(source))
            if not tests:
                return value
            inside = tests[0]
            for test in tests[1:]:
                inside = logical("&&", inside, test)
            return select(inside, value, read(1, ()))

        return Pointwise(body, cost=2)

    def inside(self, inner: tuple[int, ...]) -> Value:
        """Where the result (bool) comes from x of a shape."""
        ones = ops.full(inner, True, bool_)
        return apply(self, ones, ops.constant(False, bool_))[0]

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x = node.inputs[0]
        part = ops.slice(g, self.starts, x.shape, self.steps)
        rest = ops.where(self.inside(x.shape), ops.zeros_like(g), g)
        return (part, ops.sum_all(rest))

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        x, fill = inputs
        shape = (size, *self.shape)
        whole = Pad(shape, (0, *self.starts), (1, *self.steps))
        if not batched[1]:
            return apply(whole, x, fill), (True,)
        x, fill = ops.batch_all(size, inputs, batched)
        padded = apply(whole, x, ops.constant(0, x.dtype))[0]
        return (ops.where(whole.inside(x.shape), padded, ops.broadcast(fill, shape, (0,))),), (
            True,
        )

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in ALL:
            arrays = source.array((2, 3), dtype), source.array((), dtype)
            yield Sample(f"ordinary {dtype}", cls((4, 6), (1, 2), (1, 1)), arrays, True)
        for note, op, shape in (
            ("spread", cls((7, 9), (1, 0), (2, 4)), (3, 3)),
            ("reversed", cls((5, 6), (4, 5), (-1, -2)), (5, 3)),
            ("at the end", cls((5,), (2,), (1,)), (3,)),
            ("0-d", cls((), (), ()), ()),
            ("of nothing", cls((3, 2), (0, 0), (1, 1)), (0, 2)),
            ("zero-size", cls((0, 4), (0, 1), (1, 1)), (0, 2)),
        ):
            arrays = source.array(shape, float64), source.array((), float64)
            yield Sample(note, op, arrays, True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls((5,), (3,), (1,))
        yield refuses(op, ShapeError, "outside an axis of 5", ((3,), float64), ((), float64))
        yield refuses(op, ShapeError, "numbers of axes differ", ((3, 1), float64), ((), float64))
        yield refuses(op, DTypeError, "scalar of the same dtype", ((1,), float64), ((), int32))


@dataclass(frozen=True)
class Concat(Linear):
    """The inputs one after another along an axis."""

    name = "concat"
    exact = "buif"
    flattens = True
    axis: int

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        first = types[0]
        if not 0 <= self.axis < first.ndim:
            raise ShapeError(located(f"concat({first}, axis={self.axis}): no such axis"))
        total = 0
        for x in types:
            rest = (*x.shape[: self.axis], *x.shape[self.axis + 1 :])
            want = (*first.shape[: self.axis], *first.shape[self.axis + 1 :])
            if x.ndim != first.ndim or rest != want:
                raise ShapeError(
                    located(f"concat({first}, {x}, axis={self.axis}): other axes differ")
                )
            if x.dtype is not first.dtype:
                raise DTypeError(located(f"concat({first}, {x}): dtypes differ"))
            total += x.shape[self.axis]
        shape = list(first.shape)
        shape[self.axis] = total
        return (first.with_shape(tuple(shape)),)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        parts = to.sequence(operands)
        return to.function(to.either("concatenate", "cat"), parts, **to.axis(self.axis))

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return (to.node("Concat", *operands, axis=self.axis),)

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        return np.concatenate(arrays, self.axis)

    def spec(self, *types: TensorType) -> Pointwise:
        def body(i: Index, read: Reader) -> Expr:
            at = i[self.axis]
            ends = np.cumsum([x.shape[self.axis] for x in types]).tolist()
            result: Expr | None = None
            for k in reversed(range(len(types))):
                extent = types[k].shape[self.axis]
                if extent == 0:
                    continue
                local = (*i[: self.axis], at - (ends[k] - extent), *i[self.axis + 1 :])
                value = read(k, local)
                result = value if result is None else select(at < ends[k], value, result)
            return result if result is not None else read(0, i)

        return Pointwise(body, cost=len(types))

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        parts = []
        start = 0
        for x in node.inputs:
            starts = [0] * len(x.shape)
            starts[self.axis] = start
            start += x.shape[self.axis]
            parts.append(ops.slice(g, tuple(starts), x.shape, (1,) * len(x.shape)))
        return parts

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(Concat(self.axis + 1), *ops.batch_all(size, inputs, batched)), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in ALL:
            arrays = source.array((2, 3), dtype), source.array((2, 1), dtype)
            yield Sample(f"ordinary {dtype}", cls(1), arrays, True)
        for note, axis, shapes in (
            ("three", 0, ((1, 2), (3, 2), (2, 2))),
            ("with nothing", 1, ((2, 0, 3), (2, 2, 3), (2, 0, 3))),
            ("of nothing", 0, ((0,), (0,))),
            ("zero-size", 0, ((2, 0), (3, 0))),
            ("one", 0, ((3,),)),
        ):
            parts = tuple(source.array(shape, float64) for shape in shapes)
            yield Sample(note, cls(axis), parts, True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        row = ((3,), float64)
        yield refuses(cls(1), ShapeError, "no such axis", row, row)
        yield refuses(cls(0), ShapeError, "other axes differ", ((2, 3), float64), ((2, 4), float64))
        yield refuses(cls(0), DTypeError, "dtypes differ", row, ((3,), int32))


def pad(
    x: Value,
    fill: Value,
    shape: tuple[int, ...],
    starts: tuple[int, ...],
    steps: tuple[int, ...] | None = None,
) -> Value:
    return apply(Pad(shape, starts, steps or (1,) * len(shape)), x, fill)[0]


def unslice(
    g: Value, shape: tuple[int, ...], starts: tuple[int, ...], steps: tuple[int, ...]
) -> Value:
    """The transpose of `slice`: g at its places, zero elsewhere."""
    return pad(g, ops.constant(0, g.dtype), shape, starts, steps)


def concat(values: Sequence[Value], axis: int) -> Value:
    return values[0] if len(values) == 1 else apply(Concat(axis), *values)[0]
