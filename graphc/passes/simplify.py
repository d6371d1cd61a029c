"""Simplification: every node is replaced by what the laws of its operator say, until none fits.

Law: each law of `graphc.ops.laws` is an equation that holds to the bit, so putting one side for the
other anywhere keeps the graph's values.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import GraphcError
from graphc.ir.graph import Graph, Node, Op, Value, next_serial, standing_in_for
from graphc.ir.toposort import toposort
from graphc.ops.laws import laws_of

#: Sweeps over what laws made for one node. Real chains of laws take a few.
MAX_SWEEPS = 200


def simplify(graph: Graph) -> Graph:
    """Applies all laws to all nodes, and to what they make. The graph itself if none fits."""

    def rewrite(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if not node.op.pure:
            return None
        since = next_serial()
        with standing_in_for(node):
            value = _by_law(node.op, inputs)
            return None if value is None else (_settled(value, since),)

    return graph.map(rewrite)


def _by_law(op: Op, inputs: Sequence[Value]) -> Value | None:
    """What the first law that fits makes of an application; None where none fits."""
    for law in laws_of(type(op)):
        value = law(op, *inputs)
        if value is not None:
            return value
    return None


def _settled(value: Value, since: int) -> Value:
    """Applies laws to the nodes that laws made (those with a serial of at least `since`; all others
    have been simplified before) until none fits.
    """
    for _ in range(MAX_SWEEPS):
        new: dict[Value, Value] = {}
        settled = True
        for node in toposort([value], since):
            inputs = tuple([new.get(v, v) for v in node.inputs])
            found = _by_law(node.op, inputs)
            if found is not None:
                settled = False
                new[node.outputs[0]] = found
            elif inputs != node.inputs:
                new.update(zip(node.outputs, node.with_inputs(inputs).outputs, strict=True))
        value = new.get(value, value)
        if settled:
            return value
    raise GraphcError(f"the laws of operators do not come to an end at {value}")
