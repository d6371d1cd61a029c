"""The one topological order."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.ir.graph import Node, Value


def toposort(values: Sequence[Value], since: int = 0) -> tuple[Node, ...]:
    """All nodes that the values need by serial: inputs are made first, so the order is topological,
    and that of the program. Serials below `since`, and what only they need, are left out.
    """
    seen: set[Node] = set()
    stack = [v.node for v in values]
    while stack:
        node = stack.pop()
        if node not in seen and node.serial >= since:
            seen.add(node)
            stack.extend([v.node for v in node.inputs])
    return tuple(sorted(seen, key=attrgetter("serial")))
