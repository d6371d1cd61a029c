"""The kernel of reductions over leading axes."""

from __future__ import annotations

from graphc.ir.graph import Node, Value
from graphc.ir.spec import Reduce
from graphc.schedule.cost import LOOP, Work, vectors
from graphc.schedule.encoding import ROWS, Bits
from graphc.schedule.kernel import PointKernel, Workspace, grain
from graphc.schedule.tiles import round_up

#: Rows that one partial column sum covers: a law of shape alone.
COLUMN_ROWS = 128
#: Cycles in which a vector of a row is added to sums in memory.
ADDING = 0.5
#: Bytes of column sums that are in work at a time: a local array.
COLUMN_BYTES = 4096


class Columns(PointKernel):
    """Reductions over leading axes: blocks of rows are folded, then the blocks' results."""

    @property
    def extents(self) -> tuple[int, int, int]:
        assert self.group.columns is not None
        return self.group.columns

    @property
    def folds(self) -> list[Node]:
        return [n for n in self.nodes if isinstance(self.spec(n), Reduce)]

    @property
    def blocks(self) -> int:
        return max(1, -(-self.extents[1] // COLUMN_ROWS))

    @property
    def tile(self) -> int:
        """Columns folded at a time."""
        widest = max(n.types[0].dtype.itemsize for n in self.folds)
        return min(COLUMN_BYTES // widest, max(1, self.extents[2]))

    @property
    def unit_cost(self) -> int:
        """Simple operations of a block of rows of a tile of columns."""
        rows = min(COLUMN_ROWS, max(1, self.extents[1]))
        return rows * self.tile * max(1, self.group.cost)

    def workers(self, threads: int) -> int:
        outer, _, inner = self.extents
        units = outer * self.blocks * max(1, -(-inner // self.tile))
        return min(threads, max(1, -(-units // grain(self.unit_cost))))

    @property
    def synchronizes(self) -> bool:
        return self.blocks > 1

    @property
    def work(self) -> Work:
        """Every row of a tile is added to its sums; then the blocks' sums are added."""
        outer, reduced, inner = self.extents
        tiles = max(1, -(-inner // self.tile))
        members = [n for n in self.nodes if self.is_full(n)]
        stores = [v for v in self.writes if self.is_full(v.node)]
        width = min(self.tile, max(1, inner))
        dtype = self.folds[0].inputs[0].dtype
        adding = vectors(width, self.isa, dtype) * len(self.folds) * ADDING
        once = self.elementwise(members, stores, width) + adding
        cycles = outer * tiles * (reduced * once + self.blocks * (adding + LOOP))
        return Work(cycles, outer * self.blocks * tiles, int(self.synchronizes))

    def partial_bytes(self, fold: Node) -> int:
        outer, _, inner = self.extents
        return round_up(outer * self.blocks * inner * fold.types[0].dtype.itemsize, 64)

    @property
    def workspace(self) -> Workspace:
        if self.blocks == 1:
            return Workspace()
        return Workspace(shared=sum(self.partial_bytes(n) for n in self.folds))

    def can_pack(self, value: Value, bits: Bits) -> bool:
        """Blocks of COLUMN_ROWS rows are whole bytes."""
        outer, reduced, inner = self.extents
        whole = outer == 1 or reduced % ROWS == 0
        return self.is_full(value.node) and bits.columns == inner and whole

    def may_overwrite(self, root: Value, write: Value) -> bool:
        return self.is_full(write.node) and super().may_overwrite(root, write)
