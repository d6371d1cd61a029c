"""What it costs to compute a node again."""

from __future__ import annotations

from graphc.ir.graph import Input, Node
from graphc.ir.spec import Contract, Nest, Pointwise, Scalar, Spec, View

#: An elementwise operation on one element costs as much as moving this many bytes, per simple
#: operation: what tips the scales between two cuts of about equal size.
BYTES_PER_OPERATION = 1 / 32


def spec_of(node: Node) -> Spec:
    return node.op.spec(*[v.type for v in node.inputs])


def is_pure(node: Node) -> bool:
    return node.op.pure and not isinstance(node.op, Input)


def is_light(node: Node) -> bool:
    """Whether computing a node again costs little more than reading what it is computed from."""
    return is_pure(node) and isinstance(spec_of(node), (Scalar, View, Pointwise))


def work(node: Node) -> int:
    """Simple operations that computing a node takes."""
    spec = spec_of(node)
    if isinstance(spec, View) or all(t.size <= 1 for t in node.types):
        return 0
    if isinstance(spec, (Scalar, Pointwise)):
        return node.types[0].size * spec.cost
    flops = node.op.flops(*[v.type for v in node.inputs])
    if isinstance(spec, Contract):
        return flops
    loops = spec.parallel * spec.cost if isinstance(spec, Nest) else 0
    return max(flops, loops, *(v.type.size for v in (*node.inputs, *node.outputs)))
