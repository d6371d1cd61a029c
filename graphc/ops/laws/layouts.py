"""Permutations behind what reads them: f(permute(x), …) = permute(f(x, …)) for f elementwise, for
concatenations and slices, and for what reshapes or repeats axes of space alone; a reduction of a
permuted array is one of the array itself, its remaining axes permuted.

A sum is taken in the order of the array's own axes, so moved in front of a permutation it may round
differently: these are not laws that hold to the bit, and `passes/channels_last.py` alone uses them.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc import ops
from graphc.ir.graph import Input, Op, Value, apply
from graphc.ir.spec import Reduce, Scalar
from graphc.ops.laws.table import filling
from graphc.ops.placing import Concat
from graphc.ops.reduction import Reduction
from graphc.ops.shape import Broadcast, IndexMap, Permute, Reshape
from graphc.ops.slicing import Slice


def permuted_last(op: Op, *inputs: Value) -> Value | None:
    """The application with the permutation of its operands behind it; None where they have none, or
    not the same.
    """
    if isinstance(op, Reshape):
        return _reshaped(op, inputs[0])
    axes = next((a for v in inputs if (a := _order(v)) is not None), None)
    if axes is None or not all(_follows(v, axes) for v in inputs):
        return None
    spec = op.spec(*[v.type for v in inputs])
    if isinstance(spec, Scalar):
        return _applied(op, inputs, axes)
    if isinstance(spec, Reduce) and isinstance(op, Reduction):
        return _reduced(op, spec, inputs[0].node.inputs[0], axes)
    if isinstance(op, Concat) and len(axes) > 3:
        return _applied(Concat(axes[op.axis]), inputs, axes)
    if isinstance(op, Slice):
        back = _inverse(axes)
        starts, lengths, steps = (
            tuple(numbers[a] for a in back) for numbers in (op.starts, op.lengths, op.steps)
        )
        return _applied(Slice(starts, lengths, steps), inputs, axes)
    return None


def _order(value: Value) -> tuple[int, ...] | None:
    """The order of axes of something computed whose channels a permutation put first:
    [n, …, c] as [n, c, …]. Other permutations prepare operands of products, and stay.
    """
    op = value.node.op
    if not isinstance(op, Permute) or op.axes[:2] != (0, len(op.axes) - 1):
        return None
    if list(op.axes[2:]) != list(range(1, len(op.axes) - 1)):
        return None
    source = value.node.inputs[0].node
    while isinstance(source.op, IndexMap):
        source = source.inputs[0].node
    return op.axes if source.inputs else None


def _follows(value: Value, axes: tuple[int, ...]) -> bool:
    """Whether an operand is permuted alike, or can be permuted at no cost: then nothing is computed
    in another order of axes only to be permuted back.
    """
    op = value.node.op
    if isinstance(op, Permute):
        return op.axes == axes
    return isinstance(op, (Broadcast, Input)) or filling(value) is not None


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(a) for a in range(len(axes)))


def _applied(op: Op, inputs: Sequence[Value], axes: tuple[int, ...]) -> Value:
    """The application to operands whose permutation is taken away, and put behind it."""
    back = _inverse(axes)
    operands = []
    for value in inputs:
        number = filling(value)
        if number is not None:
            shape = tuple(value.shape[a] for a in back)
            operands.append(ops.full(shape, number, value.dtype))
        elif isinstance(value.node.op, Permute):
            operands.append(value.node.inputs[0])
        else:
            operands.append(ops.permute(value, back))
    return ops.permute(apply(op, *operands)[0], axes)


def _reshaped(op: Reshape, x: Value) -> Value | None:
    """reshape(permute(x)), or of its broadcast along new axes of space, where batch and channels
    stay what they are.
    """
    spread = x.node.op
    first = x.node.inputs[0] if isinstance(spread, Broadcast) else x
    if _order(first) is None or len(op.shape) < 3 or op.shape[:2] != first.shape[:2]:
        return None
    last = first.node.inputs[0]
    if isinstance(spread, Broadcast):
        if spread.axes[:2] != (0, 1) or spread.shape[:2] != first.shape[:2]:
            return None
        channel = len(spread.shape) - 1
        places = (0, *(a - 1 for a in spread.axes[2:]), channel)
        last = ops.broadcast(last, _channels_last(spread.shape), places)
    shape = _channels_last(op.shape)
    return ops.permute(ops.reshape(last, shape), (0, len(shape) - 1, *range(1, len(shape) - 1)))


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1])


def _reduced(op: Reduction, spec: Reduce, source: Value, axes: tuple[int, ...]) -> Value | None:
    folded = [axes[a] for a in op.axes]
    if spec.whole and folded != sorted(folded):
        # It numbers the elements in the order of the axes.
        return None
    kept = [axes[a] for a in range(len(axes)) if a not in op.axes]
    result = apply(type(op)(tuple(sorted(folded))), source)[0]
    return ops.permute(result, tuple(sorted(kept).index(a) for a in kept))
