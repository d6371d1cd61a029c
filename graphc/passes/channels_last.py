"""Layouts: a computed array keeps the order of axes in which it is computed until something asks
for another one.

Laws: f(permute(x), …) = permute(f(x, …)) for f elementwise, and a reduction of a permuted array is
one of the array itself, its remaining axes permuted. So the permutation that follows a convolution,
which has its channels last, moves towards the results, and disappears where it meets its inverse
before the next convolution; broadcasts and inputs beside it get the inverse in front. What is left
are views of inputs and of results.

A sum is taken in the order of the array's own axes: moved in front of a permutation it may round
differently. So this is a pass and not a law of `graphc.ops.laws`, which hold to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc import ops
from graphc.ir.graph import Graph, Input, Node, Value, apply, standing_in_for
from graphc.ir.spec import Reduce, Scalar, View
from graphc.ops.laws.table import filling
from graphc.ops.reduction import Reduction
from graphc.ops.shape import Broadcast, Permute


def channels_last(graph: Graph) -> Graph:
    """The graph with permutations behind what reads them; itself if none moves."""

    def rewrite(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        axes = next((a for v in inputs if (a := _permuted(v)) is not None), None)
        if axes is None or not node.op.pure or not all(_follows(v, axes) for v in inputs):
            return None
        with standing_in_for(node):
            spec = node.op.spec(*[v.type for v in inputs])
            if isinstance(spec, Scalar):
                return (_elementwise(node, inputs, axes),)
            if isinstance(spec, Reduce) and isinstance(node.op, Reduction):
                return _reduced(node.op, spec, inputs[0].node.inputs[0], axes)
        return None

    return graph.map(rewrite)


def _permuted(value: Value) -> tuple[int, ...] | None:
    """The order of axes of a permutation of something computed."""
    op = value.node.op
    if not isinstance(op, Permute):
        return None
    source = value.node.inputs[0].node
    if isinstance(source.op, Input) or not source.inputs:
        return None
    spec = source.op.spec(*[v.type for v in source.inputs])
    return None if isinstance(spec, View) else op.axes


def _follows(value: Value, axes: tuple[int, ...]) -> bool:
    """Whether an operand is permuted alike, or can be permuted at no cost: then nothing is computed
    in another order of axes only to be permuted back.
    """
    op = value.node.op
    if isinstance(op, Permute):
        return op.axes == axes
    return isinstance(op, (Broadcast, Input)) or filling(value) is not None


def _elementwise(node: Node, inputs: Sequence[Value], axes: tuple[int, ...]) -> Value:
    back = tuple(axes.index(a) for a in range(len(axes)))
    operands = []
    for value in inputs:
        number = filling(value)
        if number is not None:
            shape = tuple(value.shape[a] for a in back)
            operands.append(ops.full(shape, number, value.dtype))
        elif isinstance(value.node.op, Permute) and value.node.op.axes == axes:
            operands.append(value.node.inputs[0])
        else:
            operands.append(ops.permute(value, back))
    return ops.permute(apply(node.op, *operands)[0], axes)


def _reduced(
    op: Reduction, spec: Reduce, source: Value, axes: tuple[int, ...]
) -> tuple[Value, ...] | None:
    folded = [axes[a] for a in op.axes]
    if spec.whole and folded != sorted(folded):
        # It numbers the elements in the order of the axes.
        return None
    kept = [axes[a] for a in range(len(axes)) if a not in op.axes]
    result = apply(type(op)(tuple(sorted(folded))), source)[0]
    return (ops.permute(result, tuple(sorted(kept).index(a) for a in kept)),)
