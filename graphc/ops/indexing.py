"""Operators that read at positions which come from data: gather and pick.

A negative position counts from the end; one outside the axis is moved to its nearest element.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, DType, TensorType, float32, float64, int32, int64, uint8, uint32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import INDEX, Expr, call, cast, index
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Pointwise, Reader
from graphc.ir.terms import Term
from graphc.ops.families import Linear
from graphc.ops.samples import Refusal, Sample, Source, refuses


def resolve(positions: np.ndarray, extent: int) -> np.ndarray:
    """The reference of `gx_position`: negative from the end, then limited to the axis."""
    at = np.asarray(positions).astype(np.int64)
    return np.clip(np.where(at < 0, at + extent, at), 0, max(extent - 1, 0))


def resolved(position: Expr, extent: int) -> Expr:
    """A position that is inside its axis whatever the data says."""
    return call("gx_position", INDEX, cast(position, INDEX), index(extent))


@dataclass(frozen=True)
class Indexed(Op):
    """Operators on x[b…, n…, r…] at positions given by one integer array [b…, i…] for each of the
    `count` axes n…; the first `batch` axes b… belong to x and to the positions alike.
    """

    count: int
    batches: int = 0

    def check(self, x: TensorType, indices: Sequence[TensorType]) -> None:
        lead = self.batches
        if len(indices) != self.count or self.count < 1 or lead + self.count > x.ndim:
            raise ShapeError(located(f"{self.name}({x}): {len(indices)} indices for {x.ndim} axes"))
        for j in indices:
            if not j.dtype.is_integer:
                raise DTypeError(located(f"{self.name}({x}): integer indices required, got {j}"))
            if j.shape != indices[0].shape:
                raise ShapeError(
                    located(f"{self.name}({x}): index shapes differ, {indices[0]} and {j}")
                )
        if indices[0].shape[:lead] != x.shape[:lead]:
            raise ShapeError(
                located(f"{self.name}({x}): indices {indices[0]} do not begin as {x.shape[:lead]}")
            )
        if indices[0].size and 0 in x.shape[lead : lead + self.count]:
            raise ShapeError(located(f"{self.name}({x}): an indexed axis has no elements"))

    #: The operand from which on positions stand.
    first_index: ClassVar[int] = 1

    def positions(self, x: TensorType, *types: TensorType) -> Sequence[tuple[int, int]]:
        extents = x.shape[self.batches : self.batches + self.count]
        return list(enumerate(extents, self.first_index))

    def taken(self, x: TensorType, indices: Sequence[TensorType]) -> tuple[int, ...]:
        """The shape [b…, i…, r…] of the elements at all positions."""
        return (*indices[0].shape, *x.shape[self.batches + self.count :])

    def places(self, x: np.ndarray, indices: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """NumPy index arrays for the axes b… and n… of x."""
        ndim = indices[0].ndim
        lead = [
            np.arange(x.shape[a]).reshape([-1 if d == a else 1 for d in range(ndim)])
            for a in range(self.batches)
        ]
        extents = x.shape[self.batches : self.batches + self.count]
        return (*lead, *[resolve(j, n) for j, n in zip(indices, extents, strict=True)])

    def index_text(
        self, to: Dialect, x: TensorType, at: Sequence[TensorType], indices: Sequence[Term]
    ) -> str:
        """The index in Python. Positions outside an axis are an error there."""
        lead = []
        for a in range(self.batches):
            shape = [-1 if d == a else 1 for d in range(at[0].ndim)]
            steps = to.function("arange", Term(str(x.shape[a])))
            lead.append(f"{steps.text}.reshape({tuple(shape)})")
        if not to.is_numpy:
            indices = [Term(f"{t.atom}.long()") for t in indices]
        return ", ".join([*lead, *[t.text for t in indices]])

    def onnx_positions(
        self, to: Builder, x: TensorType, at: TensorType, indices: Sequence[str]
    ) -> str:
        """int64[b…, i…, k]: the position along every axis b… and n…"""
        columns = []
        for a in range(self.batches):
            along = [-1 if d == a else 1 for d in range(at.ndim)]
            numbers = np.broadcast_to(np.arange(x.shape[a]).reshape(along), at.shape)
            columns.append(to.constant(np.ascontiguousarray(numbers)))
        for name, extent in zip(indices, x.shape[self.batches :], strict=False):
            given = to.cast(name, int64)
            size, zero = to.constant(np.array(extent)), to.constant(np.array(0))
            ahead = to.node("Add", given, size)
            inside = to.node("Where", to.node("Less", given, zero), ahead, given)
            most = to.constant(np.array(max(extent - 1, 0)))
            columns.append(to.node("Min", to.node("Max", inside, zero), most))
        last = to.constant([at.ndim])
        return to.node("Concat", *[to.node("Unsqueeze", c, last) for c in columns], axis=at.ndim)

    def position(self, x: TensorType, i: Index, read: Reader, first: int) -> Index:
        """Where element i = (b…, i…) lies along b… and n…; inputs from `first` on are indices."""
        found = [resolved(read(first + k, i), x.shape[self.batches + k]) for k in range(self.count)]
        return (*i[: self.batches], *found)


class Gather(Indexed, Linear):
    """out[b…, i…, r…] = x[b…, j0[b…, i…], j1[b…, i…], …, r…]."""

    name = "gather"
    exact = "buif"

    def infer(self, x: TensorType, *indices: TensorType) -> tuple[TensorType, ...]:
        self.check(x, indices)
        return (x.with_shape(self.taken(x, indices)),)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        x, *at = types
        return Term(f"{operands[0].atom}[{self.index_text(to, x, at, operands[1:])}]")

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        x, *indices = operands
        return (to.node("GatherND", x, self.onnx_positions(to, types[0], types[1], indices)),)

    def reference(self, x: np.ndarray, *indices: np.ndarray) -> np.ndarray:
        return x[self.places(x, indices)]

    def spec(self, x: TensorType, *indices: TensorType) -> Pointwise:
        lead = indices[0].ndim

        def body(i: Index, read: Reader) -> Expr:
            return read(0, (*self.position(x, i[:lead], read, 1), *i[lead:]))

        return Pointwise(body, cost=2)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, *indices = node.inputs
        summed = ops.scatter_add(ops.zeros_like(x), g, indices, self.batches)
        return (summed, *[None] * self.count)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        if batched[0] or self.batches:
            x, *indices = ops.batch_all(size, inputs, batched)
            return apply(Gather(self.count, self.batches + 1), x, *indices), (True,)
        x, *indices = inputs
        return apply(self, x, *ops.batch_all(size, indices, batched[1:])), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in ALL:
            at = source.integers((4, 2), int64, -7, 7)
            yield Sample(f"ordinary {dtype}", cls(1), (source.array((5, 3), dtype), at), True)
        for op, shape, at_shape, at_dtype in index_cases(cls):
            places = [source.integers(at_shape, at_dtype, 0, 4) for _ in range(op.count)]
            note = f"{shape} at {at_dtype}{at_shape}"
            yield Sample(note, op, (source.array(shape, float64), *places), True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield from index_refusals(cls, ())


@dataclass(frozen=True)
class Pick(Linear):
    """out[i…] = x[i…, j[i…]]: one element of each row, as a class label chooses a logit. Its
    derivative is a comparison with the label, which fuses, where gather's is a scatter.
    """

    name = "pick"
    exact = "buif"

    def infer(self, x: TensorType, label: TensorType) -> tuple[TensorType, ...]:
        if label.shape != x.shape[:-1] or x.ndim == 0:
            raise ShapeError(located(f"pick({x}, {label}): labels of {x.shape[:-1]} required"))
        if not label.dtype.is_integer:
            raise DTypeError(located(f"pick({x}, {label}): integer labels required"))
        if x.shape[-1] == 0 and label.size:
            raise ShapeError(located(f"pick({x}, {label}): the last axis has no elements"))
        return (x.with_shape(label.shape),)

    def positions(self, x: TensorType, label: TensorType) -> Sequence[tuple[int, int]]:
        return ((1, x.shape[-1]),)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        x, label = operands
        if to.is_numpy:
            at, last = Term(f"{label.atom}[..., None]"), Term("-1")
            return Term(f"{to.function('take_along_axis', x, at, last).text}[..., 0]")
        return Term(f"{x.atom}.gather(-1, {label.atom}[..., None].long())[..., 0]")

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        x, label = operands
        last = to.constant([-1])
        at = to.node("Unsqueeze", to.node("Cast", label, to=to.dtype(int64)), last)
        return (to.node("Squeeze", to.node("GatherElements", x, at, axis=-1), last),)

    def reference(self, x: np.ndarray, label: np.ndarray) -> np.ndarray:
        at = resolve(label, x.shape[-1])
        return np.take_along_axis(x, at[..., None], -1)[..., 0]

    def spec(self, x: TensorType, label: TensorType) -> Pointwise:
        return Pointwise(lambda i, read: read(0, (*i, resolved(read(1, i), x.shape[-1]))), cost=2)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, label = node.inputs
        last = len(x.shape) - 1
        lead = tuple(range(last))
        inside = resolved_value(label, x.shape[-1])
        chosen = ops.equal(
            ops.iota(x.shape, last, inside.dtype), ops.broadcast(inside, x.shape, lead)
        )
        return (ops.where(chosen, ops.broadcast(g, x.shape, lead), ops.zeros_like(x)), None)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(self, *ops.batch_all(size, inputs, batched)), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in ALL:
            label = source.integers((4,), int64, -7, 7)
            yield Sample(f"ordinary {dtype}", cls(), (source.array((4, 5), dtype), label), True)
        for shape, dtype in (
            ((2, 3, 4), int32), ((3,), int64), ((0, 3), int32), ((0, 0), int32), ((1, 1), uint8),
            ((2, 300), uint8), ((2, 4), uint32),
        ):  # fmt: skip
            label = source.integers(shape[:-1], dtype, 0, 5)
            yield Sample(f"{shape} at {dtype}", cls(), (source.array(shape, float64), label), True)
        wild = np.array([2**63 - 1, -(2**63), 1])
        yield Sample("far outside", cls(), (source.array((3, 4), float64), wild), True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        x = ((2, 3), float32)
        yield refuses(cls(), ShapeError, "labels of (2,) required", x, ((3,), int32))
        yield refuses(cls(), DTypeError, "integer labels required", x, ((2,), float32))
        yield refuses(cls(), ShapeError, "has no elements", ((2, 0), float32), ((2,), int32))


def index_cases(op: type[Indexed]) -> Iterator[tuple[Indexed, tuple, tuple, DType]]:
    """Operators, shapes of x and of the indices, and index dtypes that are worth a sample."""
    yield op(2), (3, 4, 2), (5,), int32
    yield op(1), (4,), (), int64
    yield op(1), (4, 2), (0,), int64
    yield op(1), (0, 2), (0,), int64
    yield op(1), (5, 0), (2,), int64
    yield op(1), (1,), (1, 1), uint8
    yield op(1, 1), (3, 5), (3, 4), uint32
    yield op(1, 2), (2, 3, 4, 2), (2, 3, 2), int64
    yield op(2, 1), (2, 3, 4), (2, 6), int32


def index_refusals(op: type[Indexed], more: tuple) -> Iterator[Refusal]:
    """What every operator with indices refuses; `more` stands between x and the indices."""
    x, at = ((3, 4), float32), ((2,), int64)
    yield refuses(op(2), ShapeError, "1 indices for 2 axes", x, *more, at)
    yield refuses(op(1), DTypeError, "integer indices required", x, *more, ((2,), float32))
    yield refuses(op(2), ShapeError, "index shapes differ", x, *more, at, ((3,), int64))
    yield refuses(op(1, 1), ShapeError, "do not begin as (3,)", x, *more, at)
    yield refuses(op(1), ShapeError, "has no elements", ((0, 4), float32), *more, at)


def gather(x: Value, indices: Sequence[Value], batches: int = 0) -> Value:
    return apply(Gather(len(indices), batches), x, *indices)[0]


def pick(x: Value, label: Value) -> Value:
    return apply(Pick(), x, label)[0]


def take_along_axis(x: Value, at: Value, axis: int) -> Value:
    """out[…, k, …] = x[…, at[…, k, …], …]; the other axes are equal."""
    last = len(x.shape) - 1
    order = (*[a for a in range(last + 1) if a != axis], axis)
    back = tuple(order.index(a) for a in range(last + 1))
    taken = gather(ops.permute(x, order), [ops.permute(at, order)], last)
    return ops.permute(taken, back)


def resolved_value(position: Value, extent: int) -> Value:
    """Positions inside an axis, as `gather` reads them, in their dtype if the extent fits it."""
    fits = extent <= np.iinfo(position.dtype.numpy).max
    at = position if fits else ops.astype(position, int64)
    wrapped = ops.where(ops.less(at, ops.zeros_like(at)), ops.add(at, extent), at)
    return ops.clip(wrapped, 0, extent - 1)
