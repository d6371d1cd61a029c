"""Laws of operators that put arrays side by side: pad, concat, and slices of them.

Gradients of the slices of one array arrive as a sum of pads. Where windows touch, they become one
concatenation, which is written once where each pad and each addition would write the whole array.
"""

from __future__ import annotations

import numpy as np

from graphc import ops
from graphc.dtypes import int32
from graphc.ir.graph import Op, Value, apply
from graphc.ops.arithmetic import Add
from graphc.ops.constant import Constant
from graphc.ops.families import Elementwise
from graphc.ops.indexing import Gather, Pick
from graphc.ops.laws.arithmetic import plus_zero
from graphc.ops.laws.table import filling, is_filled, law
from graphc.ops.placing import Concat, Pad
from graphc.ops.scatter import ScatterAdd
from graphc.ops.shape import Broadcast, Permute
from graphc.ops.slicing import Slice

#: Rows for each row that is touched, and bytes, of an array of which only those are worth storing.
FEW_ROWS, LARGE = 8, 1 << 18


@law(Constant)
def uniform_array(op: Constant) -> Value | None:
    """an array of equal bits = the broadcast of one number"""
    data, size = op.data, op.type.dtype.itemsize
    if op.type.size < 2 or data != data[:size] * op.type.size:
        return None
    number = np.frombuffer(data[:size], op.type.dtype.numpy)[0]
    return ops.full(op.type.shape, number, op.type.dtype)


@law(Concat)
def concat_without_the_empty(op: Concat, *parts: Value) -> Value | None:
    """concat(x, empty, y) = concat(x, y), concat(x) = x"""
    full = [v for v in parts if v.shape[op.axis] != 0] or [parts[0]]
    return ops.concat(full, op.axis) if len(full) < len(parts) or len(parts) == 1 else None


@law(Concat)
def concat_of_neighbours(op: Concat, *parts: Value) -> Value | None:
    """concat(x[a:b], x[b:c]) = x[a:c]"""
    joined = [parts[0]]
    for part in parts[1:]:
        whole = _joined(joined[-1], part, op.axis)
        if whole is None:
            joined.append(part)
        else:
            joined[-1] = whole
    return ops.concat(joined, op.axis) if len(joined) < len(parts) else None


def _joined(x: Value, y: Value, axis: int) -> Value | None:
    """One slice for two of the same array, of which the second goes on where the first ends."""
    a, b = x.node.op, y.node.op
    if not isinstance(a, Slice) or not isinstance(b, Slice):
        return None
    if x.node.inputs[0] is not y.node.inputs[0] or a.steps != b.steps:
        return None
    follows = list(a.starts)
    follows[axis] += a.lengths[axis] * a.steps[axis]
    if tuple(follows) != b.starts:
        return None
    lengths = list(a.lengths)
    lengths[axis] += b.lengths[axis]
    return ops.slice(x.node.inputs[0], a.starts, tuple(lengths), a.steps)


@law(Permute)
def permute_of_a_concat(op: Permute, x: Value) -> Value | None:
    """concat(x, y)ᵀ = concat(xᵀ, yᵀ): moving the parts costs nothing, moving the whole a copy.
    Images keep their channels last: `laws/layouts.py`"""
    if not isinstance(x.node.op, Concat) or op.channels_first:
        return None
    parts = [ops.permute(part, op.axes) for part in x.node.inputs]
    return ops.concat(parts, op.axes.index(x.node.op.axis))


@law(Permute)
def permute_of_a_number_and_a_concat(op: Permute, x: Value) -> Value | None:
    """f(concat(x, y), c)ᵀ = f(concat(x, y)ᵀ, c) for a number c, so that the transposition reaches
    the parts"""
    if not isinstance(x.node.op, Elementwise) or op.channels_first:
        return None
    operands = []
    for value in x.node.inputs:
        number = filling(value)
        if number is None and not isinstance(value.node.op, Concat):
            return None
        if number is None:
            operands.append(ops.permute(value, op.axes))
        else:
            operands.append(ops.full(tuple(x.shape[a] for a in op.axes), number, value.dtype))
    return apply(x.node.op, *operands)[0]


@law(Slice)
def slice_of_a_concat(op: Slice, x: Value) -> Value | None:
    """concat(x, y)[s] = x[s] where s reads x alone"""
    if not isinstance(x.node.op, Concat):
        return None
    axis = x.node.op.axis
    if op.lengths[axis] == 0:
        return None
    ends = sorted((op.starts[axis], op.starts[axis] + (op.lengths[axis] - 1) * op.steps[axis]))
    begin = 0
    for part in x.node.inputs:
        if begin <= ends[0] and ends[1] < begin + part.shape[axis]:
            starts = list(op.starts)
            starts[axis] -= begin
            return ops.slice(part, tuple(starts), op.lengths, op.steps)
        begin += part.shape[axis]
    return None


@law(Slice)
def slice_of_a_pad(op: Slice, x: Value) -> Value | None:
    """pad(x)[s] = x[s'] where s reads x alone, and the fill where it reads nothing of x"""
    pad = x.node.op
    if not isinstance(pad, Pad) or 0 in op.lengths or any(step != 1 for step in pad.steps):
        return None
    source, fill = x.node.inputs
    inside = True
    for start, length, step, begin, extent in zip(
        op.starts, op.lengths, op.steps, pad.starts, source.shape, strict=True
    ):
        low, high = sorted((start, start + (length - 1) * step))
        if high < begin or low >= begin + extent:
            return ops.broadcast(fill, op.lengths)
        inside = inside and begin <= low and high < begin + extent
    if not inside:
        return None
    shifted = tuple(start - begin for start, begin in zip(op.starts, pad.starts, strict=True))
    return ops.slice(source, shifted, op.lengths, op.steps)


@law(Pad)
def pad_by_nothing(op: Pad, x: Value, fill: Value) -> Value | None:
    """pad(x) = x where the result has x's shape and order"""
    in_order = all(s == 1 or n <= 1 for s, n in zip(op.steps, x.shape, strict=True))
    return x if in_order and x.shape == op.shape else None


@law(Pad)
def pad_with_the_same(op: Pad, x: Value, fill: Value) -> Value | None:
    """pad(x) = the fill everywhere, where x is that number everywhere or empty"""
    number = filling(fill)
    same = number is not None and is_filled(x, number.item())
    return ops.broadcast(fill, op.shape) if same or x.type.size == 0 else None


@law(Pad)
def pad_twice(op: Pad, x: Value, fill: Value) -> Value | None:
    """pad(pad(x)) = pad(x) for one fill"""
    inner = x.node.op
    if not isinstance(inner, Pad) or not _same_number(x.node.inputs[1], fill):
        return None
    starts = tuple(b + t * a for a, b, t in zip(inner.starts, op.starts, op.steps, strict=True))
    steps = tuple(s * t for s, t in zip(inner.steps, op.steps, strict=True))
    return ops.pad(x.node.inputs[0], fill, op.shape, starts, steps)


def _same_number(a: Value, b: Value) -> bool:
    x, y = filling(a), filling(b)
    return a is b or (x is not None and y is not None and x.tobytes() == y.tobytes())


@law(Add)
def sum_of_touching_pads(op: Op, x: Value, y: Value) -> Value | None:
    """pad(x) + pad(y) = pad(concat(x, y)) + 0.0 where the windows touch and the fills are 0"""
    axis = _touching(x, y)
    if axis is None:
        return None
    first, second = sorted((x.node, y.node), key=lambda n: _pad(n.op).starts[axis])
    both = ops.concat([first.inputs[0], second.inputs[0]], axis)
    return plus_zero(ops.pad(both, first.inputs[1], x.shape, _pad(first.op).starts))


@law(Add)
def touching_pads_first(op: Op, x: Value, y: Value) -> Value | None:
    """(z + pad(x)) + pad(y) = z + (pad(x) + pad(y)) where the windows touch and the fills are 0:
    at every place two of the three are 0.0 or one is z, so nothing is rounded in another order"""
    for inner, outer in ((x, y), (y, x)):
        if isinstance(inner.node.op, Add):
            left, right = inner.node.inputs
            for rest, pad in ((left, right), (right, left)):
                if _touching(pad, outer) is not None:
                    return ops.add(rest, ops.add(pad, outer))
    return None


def _pad(op: Op) -> Pad:
    assert isinstance(op, Pad)
    return op


def _touching(x: Value, y: Value) -> int | None:
    """The axis along which the windows of two pads of zeros are neighbours, alike in all others."""
    a, b = x.node.op, y.node.op
    if not isinstance(a, Pad) or not isinstance(b, Pad) or {*a.steps, *b.steps} - {1}:
        return None
    inner, other = x.node.inputs[0].shape, y.node.inputs[0].shape
    differ = [k for k in range(len(a.shape)) if (a.starts[k], inner[k]) != (b.starts[k], other[k])]
    if len(differ) != 1 or not all(is_filled(v.node.inputs[1], 0.0) for v in (x, y)):
        return None
    axis = differ[0]
    neighbours = (a.starts[axis] + inner[axis] == b.starts[axis]) or (
        b.starts[axis] + other[axis] == a.starts[axis]
    )
    return axis if neighbours else None


@law(Gather, Pick)
def taking_from_one_number(op: Op, x: Value, *indices: Value) -> Value | None:
    """any element of an array filled with one number = that number"""
    number = filling(x)
    if number is None or x.type.size == 0:
        return None
    result = op.infer(x.type, *[v.type for v in indices])[0]
    return ops.full(result.shape, number, result.dtype)


@law(ScatterAdd)
def sum_of_few_rows(op: ScatterAdd, x: Value, updates: Value, *indices: Value) -> Value | None:
    """scatter_add(0, u, i) = gather(scatter_add(0, u, place[i]), place): the rows that are touched,
    and one of zeros for all the others, where `place` says which. Few rows stand for a large array
    that whoever reads it row by row need not have in memory"""
    count = indices[0].type.size
    few = op.count == 1 and op.batches == 0 and FEW_ROWS * count <= x.shape[0]
    if not few or not is_filled(x, 0.0) or x.type.nbytes < LARGE or count == 0:
        return None
    numbers = ops.reshape(ops.iota((count,), 0, int32), indices[0].shape)
    places = ops.scatter_set(ops.full(x.shape[:1], count, int32), numbers, indices)
    zeros = ops.full((count + 1, *x.shape[1:]), 0, x.dtype)
    rows = ops.scatter_add(zeros, updates, [ops.gather(places, indices)])
    return ops.gather(rows, [places])


@law(Pick)
def pick_first(op: Pick, x: Value, label: Value) -> Value | None:
    """pick(f(x, y), i) = f(pick(x, i), pick(y, i)): of the whole only what is picked is computed"""
    if not isinstance(x.node.op, Elementwise) or not x.node.op.pure:
        return None
    return apply(x.node.op, *[ops.pick(v, label) for v in x.node.inputs])[0]


@law(Pick)
def pick_of_a_broadcast(op: Pick, x: Value, label: Value) -> Value | None:
    """pick(broadcast(x), i) = broadcast(x) where all of a row is one number"""
    spread, last = x.node.op, len(x.shape) - 1
    if not isinstance(spread, Broadcast):
        return None
    source, axes = x.node.inputs[0], spread.axes
    if last in axes:
        if source.shape[-1] != 1:
            return None
        source, axes = ops.reshape(source, source.shape[:-1]), axes[:-1]
    return ops.broadcast(source, label.shape, axes)
