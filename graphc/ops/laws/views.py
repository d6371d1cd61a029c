"""Laws of views: of several that follow one another at most one of each kind is left."""

from __future__ import annotations

from graphc import ops
from graphc.ir.graph import Op, Value, apply
from graphc.ops.families import Elementwise
from graphc.ops.laws.table import filling, law
from graphc.ops.shape import Broadcast, Permute, Reshape
from graphc.ops.slicing import Slice


def wide_axes(shape: tuple[int, ...]) -> list[int]:
    """The axes that count: those of an extent other than 1."""
    return [a for a, n in enumerate(shape) if n != 1]


def same_but_for_ones(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return [n for n in a if n != 1] == [n for n in b if n != 1]


@law(Elementwise)
def reshape_last(op: Op, *inputs: Value) -> Value | None:
    """f(reshape(x), reshape(y)) = reshape(f(x, y)) where only axes of 1 come or go: what reductions
    kept for the sake of broadcasting meets the broadcast, and is gone"""
    moved = [v for v in inputs if isinstance(v.node.op, Reshape) and filling(v) is None]
    sources = [v.node.inputs[0] for v in moved]
    shapes = {x.shape for x in sources}
    if len(shapes) != 1 or not same_but_for_ones(sources[0].shape, moved[0].shape):
        return None
    operands: list[Value] = []
    for value in inputs:
        number = filling(value)
        if number is not None:
            operands.append(ops.full(sources[0].shape, number, value.dtype))
        elif value in moved:
            operands.append(value.node.inputs[0])
        else:
            return None
    return ops.reshape(apply(op, *operands)[0], inputs[0].shape)


@law(Reshape)
def reshape_to_the_same(op: Reshape, x: Value) -> Value | None:
    """x in its own shape = x"""
    return x if op.shape == x.shape else None


@law(Reshape)
def reshape_twice(op: Reshape, x: Value) -> Value | None:
    """reshape(reshape(x)) = reshape(x)"""
    return ops.reshape(x.node.inputs[0], op.shape) if isinstance(x.node.op, Reshape) else None


@law(Reshape)
def reshape_of_a_broadcast(op: Reshape, x: Value) -> Value | None:
    """reshape(broadcast(x)) = broadcast(x) where x is one number, or only axes of 1 come or go"""
    spread = x.node.op
    if not isinstance(spread, Broadcast):
        return None
    source = x.node.inputs[0]
    if source.shape == ():
        return ops.broadcast(source, op.shape)
    if 1 in source.shape or not same_but_for_ones(x.shape, op.shape):
        return None
    moved = dict(zip(wide_axes(x.shape), wide_axes(op.shape), strict=True))
    return ops.broadcast(source, op.shape, tuple(moved[a] for a in spread.axes))


@law(Permute)
def permute_to_the_same(op: Permute, x: Value) -> Value | None:
    """x with its axes in their own order = x"""
    return x if op.axes == tuple(range(len(op.axes))) else None


@law(Permute)
def permute_twice(op: Permute, x: Value) -> Value | None:
    """permute(permute(x)) = permute(x)"""
    if isinstance(x.node.op, Permute):
        inner = x.node.op.axes
        return ops.permute(x.node.inputs[0], tuple(inner[a] for a in op.axes))
    return None


@law(Permute)
def permute_of_ones(op: Permute, x: Value) -> Value | None:
    """permute(x) = reshape(x) where only axes of extent 1 change places"""
    wide = [a for a in op.axes if x.shape[a] != 1]
    return ops.reshape(x, op.infer(x.type)[0].shape) if wide == sorted(wide) else None


@law(Permute)
def permute_of_a_broadcast(op: Permute, x: Value) -> Value | None:
    """permute(broadcast(x)) = broadcast(permute(x)), on the smaller array"""
    spread = x.node.op
    if not isinstance(spread, Broadcast):
        return None
    places = {axis: k for k, axis in enumerate(spread.axes)}
    order = [a for a in op.axes if a in places]
    source = ops.permute(x.node.inputs[0], tuple(places[a] for a in order))
    shape = tuple(x.shape[a] for a in op.axes)
    return ops.broadcast(source, shape, tuple(op.axes.index(a) for a in order))


@law(Broadcast)
def broadcast_of_nothing_new(op: Broadcast, x: Value) -> Value | None:
    """broadcast(x) = reshape(x) where it repeats nothing"""
    return ops.reshape(x, op.shape) if same_but_for_ones(x.shape, op.shape) else None


@law(Broadcast)
def broadcast_twice(op: Broadcast, x: Value) -> Value | None:
    """broadcast(broadcast(x)) = broadcast(x)"""
    if isinstance(x.node.op, Broadcast):
        inner = x.node.op.axes
        return ops.broadcast(x.node.inputs[0], op.shape, tuple(op.axes[a] for a in inner))
    return None


@law(Broadcast)
def broadcast_of_a_reshape(op: Broadcast, x: Value) -> Value | None:
    """broadcast(reshape(x)) = broadcast(x) where the reshape only adds or drops axes of 1"""
    if not isinstance(x.node.op, Reshape) or 1 not in x.shape:
        return None
    source = x.node.inputs[0]
    if not same_but_for_ones(source.shape, x.shape):
        return None
    bare = ops.reshape(source, tuple(n for n in source.shape if n != 1))
    return ops.broadcast(bare, op.shape, tuple(op.axes[k] for k in wide_axes(x.shape)))


@law(Slice)
def slice_of_everything(op: Slice, x: Value) -> Value | None:
    """x[:] = x"""
    kept = all(
        length == extent and (extent <= 1 or step == 1)
        for length, extent, step in zip(op.lengths, x.shape, op.steps, strict=True)
    )
    return x if kept else None


@law(Slice)
def slice_twice(op: Slice, x: Value) -> Value | None:
    """x[a:…:s][b:…:t] = x[a + s·b:…:s·t]"""
    if not isinstance(x.node.op, Slice):
        return None
    inner = x.node.op
    starts = tuple(a + s * b for a, s, b in zip(inner.starts, inner.steps, op.starts, strict=True))
    steps = tuple(s * t for s, t in zip(inner.steps, op.steps, strict=True))
    return ops.slice(x.node.inputs[0], starts, op.lengths, steps)


@law(Slice)
def slice_of_a_broadcast(op: Slice, x: Value) -> Value | None:
    """broadcast(x)[s] = broadcast(x[s']) with s' = s on the axes that x has"""
    spread = x.node.op
    if not isinstance(spread, Broadcast):
        return None
    source = x.node.inputs[0]
    own = [source.shape[k] == spread.shape[a] for k, a in enumerate(spread.axes)]
    part = ops.slice(
        source,
        tuple(op.starts[a] if has else 0 for a, has in zip(spread.axes, own, strict=True)),
        tuple(op.lengths[a] if has else 1 for a, has in zip(spread.axes, own, strict=True)),
        tuple(op.steps[a] if has else 1 for a, has in zip(spread.axes, own, strict=True)),
    )
    return ops.broadcast(part, op.lengths, spread.axes)
