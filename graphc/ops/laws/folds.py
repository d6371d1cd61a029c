"""Laws of reductions.

The chain of a sum begins with 0.0 (runtime/reduce.h), and an addition gives -0.0 only of two -0.0,
so a sum is never -0.0.
"""

from __future__ import annotations

from graphc import ops
from graphc.ir.graph import Value, apply
from graphc.ops.laws.arithmetic import plus_zero
from graphc.ops.laws.table import is_filled, law
from graphc.ops.reduction import Extremum, Prod, Reduction, Sum
from graphc.ops.shape import Broadcast


@law(Sum, Prod, Extremum)
def fold_of_one(op: Reduction, x: Value) -> Value | None:
    """a fold of single elements = those elements (+ 0.0 for a sum)"""
    if any(x.shape[a] != 1 for a in op.axes):
        return None
    result = ops.reshape(x, op.infer(x.type)[0].shape)
    return plus_zero(result) if isinstance(op, Sum) else result


@law(Sum)
def sum_of_zeros(op: Sum, x: Value) -> Value | None:
    """0 + … + 0 = 0, for -0.0 too"""
    if not is_filled(x, 0.0) and not is_filled(x, -0.0):
        return None
    result = op.infer(x.type)[0]
    return ops.full(result.shape, 0, result.dtype)


@law(Extremum)
def extremum_of_repetitions(op: Extremum, x: Value) -> Value | None:
    """max(broadcast(x)) = broadcast(max(x)) over the axes that x has, and so for min"""
    spread = x.node.op
    if not isinstance(spread, Broadcast):
        return None
    source = x.node.inputs[0]
    if x.type.size == 0 or source.type.size >= x.type.size:
        return None
    own = [k for k, a in enumerate(spread.axes) if a in op.axes]
    folded = apply(type(op)(tuple(own)), source)[0] if own else source
    result = op.infer(x.type)[0]
    places = [a for a in range(len(x.shape)) if a not in op.axes]
    axes = tuple(places.index(a) for a in spread.axes if a not in op.axes)
    return ops.broadcast(folded, result.shape, axes)
