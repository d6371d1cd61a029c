"""Operators that read or write at computed positions: pad, concat, gather, scatter-add, pick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, bool_
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import INDEX, Expr, call, cast, index, logical, select
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.site import located
from graphc.ir.spec import Index, Pointwise, Reader, Scatter
from graphc.ops.families import Linear


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
        for extent, n, start, step in zip(
            self.shape, x.shape, self.starts, self.steps, strict=True
        ):
            last = start + (n - 1) * step
            if n and not (0 <= start < extent and 0 <= last < extent):
                raise ShapeError(
                    located(f"pad({x}): {start}…{last} is outside an axis of {extent}")
                )
        return (x.with_shape(self.shape),)

    def places(self, x: np.ndarray) -> tuple:
        return np.ix_(
            *[
                start + step * np.arange(n)
                for start, step, n in zip(self.starts, self.steps, x.shape, strict=True)
            ]
        )

    def reference(self, x: np.ndarray, fill: np.ndarray) -> np.ndarray:
        out = np.full(self.shape, fill, x.dtype)
        if x.ndim:
            out[self.places(x)] = x
        else:
            out[...] = x
        return out

    def spec(self, x: TensorType, fill: TensorType) -> Pointwise:
        def body(i: Index, read: Reader) -> Expr:
            inside: Expr | None = None
            source = []
            for k, start, step, n, extent in zip(
                i, self.starts, self.steps, x.shape, self.shape, strict=True
            ):
                shifted = (k - start) if step > 0 else (start - k)
                stride = abs(step)
                source.append(shifted // stride)
                tests = []
                if not (step == 1 and start == 0) and start != (0 if step > 0 else extent - 1):
                    tests.append(shifted >= 0)
                if (n - 1) * stride + (start if step > 0 else extent - 1 - start) < extent - 1:
                    tests.append(shifted < (n - 1) * stride + 1)
                if stride > 1:
                    tests.append(shifted % stride < 1)
                for test in tests:
                    inside = test if inside is None else logical("&&", inside, test)
            if x.size == 0:
                return read(1, ())
            value = read(0, tuple(source))
            return value if inside is None else select(inside, value, read(1, ()))

        return Pointwise(body, cost=2)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x = node.inputs[0]
        part = ops.slice(g, self.starts, x.shape, self.steps)
        rest = ops.subtract(ops.sum_all(g), ops.sum_all(part))
        return (part, rest)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        x, fill = inputs
        if batched[1]:
            ones = apply(Pad(self.shape, self.starts, self.steps), _ones(x, batched[0]), _zero())
            inside = ops.broadcast(ones[0], (size, *self.shape))
            padded = self.batch(size, (x, ops.constant(0, x.dtype)), (batched[0], False))[0][0]
            spread = ops.broadcast(fill, (size, *self.shape), (0,))
            if not batched[0]:
                padded = ops.broadcast(padded, (size, *self.shape))
            return (ops.where(inside, padded, spread),), (True,)
        op = Pad((size, *self.shape), (0, *self.starts), (1, *self.steps))
        return apply(op, x, fill), (True,)


def _ones(x: Value, batched: bool) -> Value:
    shape = x.shape[1:] if batched else x.shape
    return ops.broadcast(ops.constant(True, bool_), shape)


def _zero() -> Value:
    return ops.constant(False, bool_)


@dataclass(frozen=True)
class Concat(Linear):
    """The inputs one after another along an axis."""

    name = "concat"
    exact = "buif"
    flattens = True
    axis: int

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        first = types[0]
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


def _resolved(position: Expr, extent: int) -> Expr:
    """A user's index made safe: negative counts from the end, then clamped into the axis."""
    return call("gx_position", INDEX, cast(position, INDEX), index(extent))


def resolve(positions: np.ndarray, extent: int) -> np.ndarray:
    """The reference of `gx_position`: negative from the end, then clamped."""
    at = np.asarray(positions).astype(np.int64)
    return np.clip(np.where(at < 0, at + extent, at), 0, max(extent - 1, 0))


@dataclass(frozen=True)
class Gather(Linear):
    """out[i…, r…] = x[j0[i…], j1[i…], …, r…]: the first `count` axes of x are indexed by integer
    arrays of one shape. Negative indices count from the end; indices outside the axis are clamped
    (an error in debug builds).
    """

    name = "gather"
    exact = "buif"
    count: int

    def infer(self, x: TensorType, *indices: TensorType) -> tuple[TensorType, ...]:
        _check_indices(self.name, x, indices, self.count)
        if indices[0].size and 0 in x.shape[: self.count]:
            raise ShapeError(located(f"gather from {x}: an indexed axis has no elements"))
        return (x.with_shape((*indices[0].shape, *x.shape[self.count :])),)

    def reference(self, x: np.ndarray, *indices: np.ndarray) -> np.ndarray:
        return x[tuple(resolve(j, n) for j, n in zip(indices, x.shape, strict=False))]

    def spec(self, x: TensorType, *indices: TensorType) -> Pointwise:
        lead = indices[0].ndim

        def body(i: Index, read: Reader) -> Expr:
            at = [_resolved(read(k + 1, i[:lead]), x.shape[k]) for k in range(self.count)]
            return read(0, (*at, *i[lead:]))

        return Pointwise(body, cost=2)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, *indices = node.inputs
        summed = apply(ScatterAdd(self.count), ops.zeros_like(x), g, *indices)[0]
        return (summed, *[None] * self.count)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        return (None,) if tangents[0] is None else apply(self, tangents[0], *node.inputs[1:])

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        x, *indices = inputs
        if not batched[0]:
            indices = ops.batch_all(size, indices, batched[1:])
            return apply(self, x, *indices), (True,)
        indices = ops.batch_all(size, indices, batched[1:])
        rows = ops.iota(indices[0].shape, 0)
        return apply(Gather(self.count + 1), x, rows, *indices), (True,)


@dataclass(frozen=True)
class ScatterAdd(Op):
    """out = x, then out[j0[i…], j1[i…], …, r…] += updates[i…, r…] for all i in row-major order,
    so equal positions accumulate in a fixed order. Positions as in `gather`.
    """

    name = "scatter_add"
    count: int

    def infer(
        self, x: TensorType, updates: TensorType, *indices: TensorType
    ) -> tuple[TensorType, ...]:
        _check_indices(self.name, x, indices, self.count)
        if updates.shape != (*indices[0].shape, *x.shape[self.count :]):
            raise ShapeError(
                located(
                    f"scatter_add({x}, {updates}): updates of shape "
                    f"{(*indices[0].shape, *x.shape[self.count :])} required"
                )
            )
        if updates.dtype is not x.dtype:
            raise DTypeError(located(f"scatter_add({x}, {updates}): dtypes differ"))
        return (x,)

    def reference(self, x: np.ndarray, updates: np.ndarray, *indices: np.ndarray) -> np.ndarray:
        out = x.copy()
        places = tuple(resolve(j, n) for j, n in zip(indices, x.shape, strict=False))
        np.add.at(out, places, updates)
        return out

    def spec(self, x: TensorType, updates: TensorType, *indices: TensorType) -> Scatter:
        def position(read: Reader, i: Index) -> Index:
            return tuple(_resolved(read(k + 2, i), x.shape[k]) for k in range(self.count))

        return Scatter(position, self.count)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        indices = node.inputs[2:]
        return (g, apply(Gather(self.count), g, *indices)[0], *[None] * self.count)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        x, updates, *indices = node.inputs
        if tangents[0] is None and tangents[1] is None:
            return (None,)
        moved = [
            ops.zeros_like(v) if t is None else t
            for v, t in ((x, tangents[0]), (updates, tangents[1]))
        ]
        return apply(self, *moved, *indices)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        x, updates, *indices = ops.batch_all(size, inputs, batched)
        rows = ops.iota(indices[0].shape, 0)
        return apply(ScatterAdd(self.count + 1), x, updates, rows, *indices), (True,)


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
            raise ShapeError(located(f"pick from {x}: the last axis has no elements"))
        return (x.with_shape(label.shape),)

    def reference(self, x: np.ndarray, label: np.ndarray) -> np.ndarray:
        at = resolve(label, x.shape[-1])
        return np.take_along_axis(x, at[..., None], -1)[..., 0]

    def spec(self, x: TensorType, label: TensorType) -> Pointwise:
        return Pointwise(lambda i, read: read(0, (*i, _resolved(read(1, i), x.shape[-1]))), cost=2)

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, label = node.inputs
        width = x.shape[-1]
        last = len(x.shape) - 1
        lead = tuple(range(last))
        wrapped = ops.where(ops.less(label, 0), ops.add(label, ops.full_like(label, width)), label)
        inside = ops.clip(wrapped, 0, width - 1)
        chosen = ops.equal(
            ops.iota(x.shape, last, label.dtype), ops.broadcast(inside, x.shape, lead)
        )
        return (ops.where(chosen, ops.broadcast(g, x.shape, lead), ops.zeros_like(x)), None)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        return (None,) if tangents[0] is None else apply(self, tangents[0], node.inputs[1])

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(self, *ops.batch_all(size, inputs, batched)), (True,)


def _check_indices(name: str, x: TensorType, indices: Sequence[TensorType], count: int) -> None:
    if len(indices) != count or count < 1 or count > x.ndim:
        raise ShapeError(located(f"{name}({x}): {len(indices)} indices for {x.ndim} axes"))
    for j in indices:
        if not j.dtype.is_integer:
            raise DTypeError(located(f"{name}({x}): integer indices required, got {j}"))
        if j.shape != indices[0].shape:
            raise ShapeError(located(f"{name}({x}): index shapes differ, {indices[0]} and {j}"))


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


def gather(x: Value, indices: Sequence[Value]) -> Value:
    return apply(Gather(len(indices)), x, *indices)[0]


def scatter_add(x: Value, updates: Value, indices: Sequence[Value]) -> Value:
    return apply(ScatterAdd(len(indices)), x, updates, *indices)[0]


def pick(x: Value, label: Value) -> Value:
    return apply(Pick(), x, label)[0]
