"""Expansion of macro operators.

Law: a node whose declaration is `Expand` equals the graph that it builds of its operands. The
operator existed for a derivative better than that of its parts, and every derivative is taken now.
"""

from __future__ import annotations

from graphc.ir.expansion import expanded
from graphc.ir.graph import Graph
from graphc.ir.spec import Expand


def expand(graph: Graph) -> Graph:
    """Macro operators replaced by what they stand for, also inside other expansions. The graph
    itself if there is none.
    """
    return expanded(graph, Expand)
