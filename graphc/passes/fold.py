"""Constant folding.

Law: a pure operator applied to constants is a constant, and its value is what the operator's
reference computes, if reference and C agree to the bit on that dtype (`Op.exact`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc import ops
from graphc.ir.graph import Graph, Node, Value, standing_in_for

#: Bytes: larger constants are not worth the text that they take in the generated C.
MAX_BYTES = 4096


def fold(graph: Graph) -> Graph:
    """Computes what is constant, unless that makes data out of a repetition, which is free, or
    more than `MAX_BYTES`. The graph itself if there is nothing to fold.
    """

    def rewrite(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        operands = [v.node.op.literal for v in inputs]
        if not operands or not node.op.pure:
            return None
        known = [x for x in operands if x is not None]
        if len(known) < len(operands) or not all(x.dtype.kind in node.op.exact for x in known):
            return None
        if sum(t.size for t in node.types) > sum(x.size for x in known):
            return None
        if max(t.nbytes for t in (*node.types, *[v.type for v in inputs])) > MAX_BYTES:
            return None
        results = node.op.reference(*known)
        arrays = results if isinstance(results, tuple) else (results,)
        with standing_in_for(node):
            return [
                ops.constant(np.asarray(x), t.dtype)
                for x, t in zip(arrays, node.types, strict=True)
            ]

    return graph.map(rewrite)
