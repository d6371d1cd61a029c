"""Windows whose place comes from data: dynamic_slice and dynamic_update_slice, as JAX clamps them.

A negative start counts from the end of its axis; then the window is moved inside the array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, TensorType, float32, float64, int32, int64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import INDEX, Expr, call, cast, index, logical, select
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Pointwise, Reader
from graphc.ir.terms import Term
from graphc.ops.families import Linear
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class Windowed(Op):
    """Operators on a window of x[b…, n…], with one integer start [b…] for each axis n…; the first
    `batches` axes b… belong to x and to the starts alike.
    """

    batches: int = 0

    def check(self, x: TensorType, starts: Sequence[TensorType], window: tuple[int, ...]) -> None:
        what = f"{self.name}({x}, window {window})"
        extents = x.shape[self.batches :]
        if len(starts) != len(extents) or len(window) != len(extents):
            raise ShapeError(located(f"{what}: {len(starts)} starts for {len(extents)} axes"))
        if any(w > n for w, n in zip(window, extents, strict=True)):
            raise ShapeError(located(f"{what}: the window is larger than the array"))
        for start in starts:
            if not start.dtype.is_integer:
                raise DTypeError(located(f"{what}: integer starts required, got {start}"))
            if start.shape != x.shape[: self.batches]:
                raise ShapeError(
                    located(f"{what}: starts of shape {x.shape[: self.batches]} required")
                )

    def corner(
        self, x: TensorType, window: tuple[int, ...], i: Index, read: Reader, first: int
    ) -> list[Expr]:
        """Where the window begins along n…; the inputs from `first` on are the starts."""
        lead = i[: self.batches]
        return [
            call("gx_window", INDEX, cast(read(first + k, lead), INDEX), index(n), index(w))
            for k, (n, w) in enumerate(zip(x.shape[self.batches :], window, strict=True))
        ]


@dataclass(frozen=True)
class DynamicSlice(Windowed, Linear):
    """The window of `lengths` elements of x that begins at the starts."""

    name = "dynamic_slice"
    lengths: tuple[int, ...] = ()

    def infer(self, x: TensorType, *starts: TensorType) -> tuple[TensorType, ...]:
        self.check(x, starts, self.lengths)
        return (x.with_shape((*x.shape[: self.batches], *self.lengths)),)

    def reference(self, x: np.ndarray, *starts: np.ndarray) -> np.ndarray:
        return plain.dynamic_slice(x, starts, self.lengths)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        x, *starts = operands
        lengths = Term(str(self.lengths))
        return to.plain("dynamic_slice", x, to.sequence(starts), lengths)

    def onnx(
        self, to: Builder, types: Sequence[TensorType], *operands: str
    ) -> Sequence[str] | None:
        if self.batches or not self.lengths:
            return None if self.batches else operands
        x, *starts = operands
        begin = _begin(to, types[0], self.lengths, starts)
        end = to.node("Add", begin, to.constant(list(self.lengths)))
        return (to.node("Slice", x, begin, end, to.constant(list(range(len(starts))))),)

    def spec(self, x: TensorType, *starts: TensorType) -> Pointwise:
        def body(i: Index, read: Reader) -> Expr:
            begin = self.corner(x, self.lengths, i, read, 1)
            inner = [b + k for b, k in zip(begin, i[self.batches :], strict=True)]
            return read(0, (*i[: self.batches], *inner))

        return Pointwise(body, cost=2)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, *starts = node.inputs
        placed = apply(DynamicUpdateSlice(self.batches), ops.zeros_like(x), g, *starts)[0]
        return (placed, *[None] * len(starts))

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        every = ops.batch_all(size, inputs, batched)
        return apply(DynamicSlice(self.batches + 1, self.lengths), *every), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in ALL:
            at = np.array(1), np.array(-2)
            yield Sample(
                f"ordinary {dtype}", cls(0, (2, 2)), (source.array((4, 5), dtype), *at), True
            )
        for note, shape, batches, window, starts in window_cases():
            yield Sample(note, cls(batches, window), (source.array(shape, float64), *starts), True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        x, at = ((4, 5), float32), ((), int64)
        yield refuses(cls(0, (2, 2)), ShapeError, "1 starts for 2 axes", x, at)
        yield refuses(cls(0, (2, 6)), ShapeError, "larger than the array", x, at, at)
        yield refuses(cls(0, (2, 2)), DTypeError, "integer starts", x, at, ((), float32))
        yield refuses(cls(1, (2,)), ShapeError, "starts of shape (4,) required", x, at)


class DynamicUpdateSlice(Windowed, Linear):
    """x with the window of the update's shape that begins at the starts replaced by it."""

    name = "dynamic_update_slice"

    def infer(
        self, x: TensorType, update: TensorType, *starts: TensorType
    ) -> tuple[TensorType, ...]:
        self.check(x, starts, update.shape[self.batches :])
        if update.dtype is not x.dtype:
            raise DTypeError(located(f"{self.name}({x}, {update}): dtypes differ"))
        if update.shape[: self.batches] != x.shape[: self.batches]:
            raise ShapeError(located(f"{self.name}({x}, {update}): leading axes differ"))
        return (x,)

    def reference(self, x: np.ndarray, update: np.ndarray, *starts: np.ndarray) -> np.ndarray:
        return plain.dynamic_update_slice(x, update, starts)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        x, update, *starts = operands
        return to.plain("dynamic_update_slice", x, update, to.sequence(starts))

    def onnx(
        self, to: Builder, types: Sequence[TensorType], *operands: str
    ) -> Sequence[str] | None:
        x, update, *starts = operands
        window = types[1].shape
        if self.batches:
            return None
        if not starts or types[1].size == 0:
            return (x if starts else update,)
        inside = np.moveaxis(np.indices(window, dtype=np.int64), 0, -1)
        places = to.node("Add", to.constant(inside), _begin(to, types[0], window, starts))
        return (to.node("ScatterND", x, places, update),)

    def spec(self, x: TensorType, update: TensorType, *starts: TensorType) -> Pointwise:
        window = update.shape[self.batches :]

        def body(i: Index, read: Reader) -> Expr:
            if update.size == 0:
                return read(0, i)
            inside: Expr | None = None
            inner = []
            begin = self.corner(x, window, i, read, 2)
            for b, k, w in zip(begin, i[self.batches :], window, strict=True):
                at = k - b
                here = logical("&&", at >= 0, at < w)
                inside = here if inside is None else logical("&&", inside, here)
                inner.append(at)
            new = read(1, (*i[: self.batches], *inner))
            return new if inside is None else select(inside, new, read(0, i))

        return Pointwise(body, cost=3)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        _, update, *starts = node.inputs
        kept = apply(self, g, ops.zeros_like(update), *starts)[0]
        window = update.shape[self.batches :]
        passed = apply(DynamicSlice(self.batches, window), g, *starts)[0]
        return (kept, passed, *[None] * len(starts))

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        every = ops.batch_all(size, inputs, batched)
        return apply(DynamicUpdateSlice(self.batches + 1), *every), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in ALL:
            arrays = source.array((4, 5), dtype), source.array((2, 2), dtype)
            yield Sample(f"ordinary {dtype}", cls(), (*arrays, np.array(1), np.array(-2)), True)
        for note, shape, batches, window, starts in window_cases():
            update = source.array((*shape[:batches], *window), float64)
            arrays = source.array(shape, float64), update, *starts
            yield Sample(note, cls(batches), arrays, True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        x, part, at = ((4, 5), float32), ((2, 2), float32), ((), int64)
        yield refuses(cls(), ShapeError, "1 starts for 2 axes", x, part, at)
        yield refuses(cls(), ShapeError, "larger than", x, ((2, 6), float32), at, at)
        yield refuses(cls(), DTypeError, "dtypes differ", x, ((2, 2), float64), at, at)
        yield refuses(cls(1), ShapeError, "leading axes differ", x, part, ((4,), int32))


def _begin(to: Builder, x: TensorType, window: Sequence[int], starts: Sequence[str]) -> str:
    """Where a window of x begins, int64[axes]: starts count from the end where they are negative,
    and are moved so that the window lies inside.
    """
    zero, begins = to.constant(np.array(0)), []
    for start, n, w in zip(starts, x.shape, window, strict=True):
        at = to.cast(start, int64)
        ahead = to.node("Add", at, to.constant(np.array(n)))
        at = to.node("Where", to.node("Less", at, zero), ahead, at)
        at = to.node("Min", to.node("Max", at, zero), to.constant(np.array(n - w)))
        begins.append(to.node("Unsqueeze", at, to.constant([0])))
    return to.node("Concat", *begins, axis=0)


def window_cases() -> Iterator[tuple]:
    """Note, shape of x, number of batch axes, window and starts."""
    yield "past the end", (4, 5), 0, (2, 3), (np.array(9), np.array(-99))
    yield "whole", (3,), 0, (3,), (np.array(1, np.int32),)
    yield "0-d", (), 0, (), ()
    yield "empty window", (3,), 0, (0,), (np.array(3, np.uint8),)
    yield "zero-size", (0, 2), 0, (0, 1), (np.array(0), np.array(1))
    yield "batched", (3, 5, 2), 1, (2, 1), (np.array([0, -1, 7]), np.array([1, 0, 5]))


def dynamic_slice(x: Value, starts: Sequence[Value], lengths: tuple[int, ...]) -> Value:
    return apply(DynamicSlice(0, lengths), x, *starts)[0]


def dynamic_update_slice(x: Value, update: Value, starts: Sequence[Value]) -> Value:
    return apply(DynamicUpdateSlice(), x, update, *starts)[0]
