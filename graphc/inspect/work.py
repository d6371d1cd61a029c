"""What kernels compute, those of loops and choices inside of them too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from graphc.ir.graph import Graph, Node
from graphc.ir.phases import Phase, phases
from graphc.schedule.kernel import Kernel


class Work(NamedTuple):
    """A node with its phase, and the floating-point operations that it is in one step."""

    node: Node
    phase: Phase
    flops: int


def work(kernel: Kernel, phase_of: Mapping[Node, Phase]) -> list[Work]:
    """What a kernel computes; in the place of an operator that owns graphs, what these compute.
    They share the operator's flops: those of one turn count as often as there are turns.
    """
    if not kernel.programs:
        return [Work(n, phase_of[n], _flops(n)) for n in kernel.computed]
    (owner,) = kernel.nodes
    inner = [
        w
        for program in kernel.programs
        for k in program.kernels
        for w in work(k, inner_phases(owner, phase_of[owner], program.graph))
    ]
    once = max(1, sum(w.flops for w in inner))
    return [w._replace(flops=w.flops * kernel.flops // once) for w in inner]


def inner_phases(owner: Node, phase: Phase, body: Graph) -> Mapping[Node, Phase]:
    """The phases in a body: its own, as of a loop over strips of rows, which goes forward and back
    in one turn; the owner's, if it is the update or itself the derivative of a loop.
    """
    rule = owner.meta.rule
    if phase is Phase.UPDATE or (rule is not None and rule.op.bodies):
        return dict.fromkeys(body.nodes, phase)
    return phases(body)


def everything(kernel: Kernel) -> Iterator[Node]:
    """All nodes that a kernel computes, and those inside of them."""
    yield from kernel.computed
    for program in kernel.programs:
        for inner in program.kernels:
            yield from everything(inner)


def _flops(node: Node) -> int:
    return node.op.flops(*[v.type for v in node.inputs])
