"""What a product's epilogue leaves to the kernels behind it.

An epilogue stores each of its results that another kernel reads. Where the product itself is in
memory anyway, a result that is only folded, as those in front of a normalization's sums are, is
better computed from the product where it is folded: then it is never stored.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir.graph import Graph, Node
from graphc.ir.phases import Phase
from graphc.ir.spec import Pointwise, Reduce, Scalar
from graphc.schedule.storage import Role, Storage


class Leaving:
    """`folded`: elementwise nodes whose results are read by folds, by what stands behind these, and
    by other such nodes. `stored`: nodes whose results something reads that is not elementwise.
    """

    def __init__(self, graph: Graph, storage: Storage, phase: Mapping[Node, Phase]):
        places = storage.places
        readers: dict[Node, list[Node]] = {}
        depth: dict[Node, int] = {}
        for node in graph.nodes:
            before = [depth[v.node] + _is_fold(v.node, storage) for v in node.inputs]
            depth[node] = max(before, default=0)
            if storage.role[node] is Role.COMPUTED:
                for root in storage.roots(node):
                    readers.setdefault(root.node, []).append(node)
        outside = {places[v].root.node for v in graph.outputs if v in places}
        self.stored = {n for n, rs in readers.items() if not all(_is_point(r, storage) for r in rs)}
        self.stored |= outside
        self.folded: set[Node] = set()
        for node in reversed(graph.nodes):
            if node in outside or node not in readers or not _is_point(node, storage):
                continue
            if all(
                phase[r] is phase[node]
                and (r in self.folded or _is_fold(r, storage) or depth[r] > depth[node])
                for r in readers[node]
            ):
                self.folded.add(node)


def _is_fold(node: Node, storage: Storage) -> bool:
    return isinstance(storage.spec.get(node), Reduce)


def _is_point(node: Node, storage: Storage) -> bool:
    return isinstance(storage.spec.get(node), (Scalar, Pointwise))
