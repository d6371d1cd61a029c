"""Layouts: a computed array keeps the order of axes in which it is computed until something asks
for another one.

Law: what is elementwise, and a reduction, may be computed before a permutation as well as behind
it. So the permutation that follows a convolution, which has its channels last, moves towards the
results, and disappears where it meets its inverse before the next convolution; broadcasts and
inputs beside it get the inverse in front. What is left are views of inputs and of results.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.graph import Graph, Node, Value, standing_in_for
from graphc.ops.laws.layouts import permuted_last


def channels_last(graph: Graph) -> Graph:
    """The graph with permutations behind what reads them; itself if none moves."""

    def rewrite(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if not node.op.pure:
            return None
        with standing_in_for(node):
            value = permuted_last(node.op, *inputs)
        return None if value is None else (value,)

    return graph.map(rewrite)
