"""Groups: nodes that are computed in one loop nest."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from graphc.ir.graph import Node, Value


class Kind(Enum):
    LOOPS = auto()
    COLUMNS = auto()
    CONTRACT = auto()
    CORRELATE = auto()
    WEIGHTS = auto()
    ATTENTION = auto()
    ALONE = auto()
    REPEAT = auto()
    CHOOSE = auto()


class Level(Enum):
    """FULL: once per element; ROW: once per row."""

    FULL = auto()
    ROW = auto()


@dataclass(eq=False)
class Group:
    """Nodes computed together over `size` elements.

    `row`: length of a row where the group reduces rows, of which there are `rows`; with `whole`
    each has to be folded in one piece. `columns`: (outer, reduced, inner) extents
    where it sums over leading axes. `cuts`: the strides at which some member's axes meet.
    """

    order: int
    kind: Kind
    shape: tuple[int, ...]
    size: int
    cuts: frozenset[int]
    members: list[Node] = field(default_factory=list)
    level: dict[Node, Level] = field(default_factory=dict)
    row: int | None = None
    rows: int = 1
    whole: bool = False
    columns: tuple[int, int, int] | None = None
    cost: int = 0
    arrays: set[Value] = field(default_factory=set)

    def add(self, node: Node, level: Level, cuts: frozenset[int], cost: int) -> None:
        self.members.append(node)
        self.level[node] = level
        self.cuts = cuts
        self.cost += cost
