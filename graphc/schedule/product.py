"""The kernel of a matrix product."""

from __future__ import annotations

from functools import cached_property

from graphc.ir.graph import Node
from graphc.schedule.kernel import PointKernel, Workspace
from graphc.schedule.tiles import PRIVATE_FLOPS, Tiling, choose_tiling, round_up

#: Multiply-adds that are worth another thread.
PRODUCT_GRAIN = 1 << 18


class Product(PointKernel):
    """A matrix product, and the elementwise nodes that are applied to its tiles."""

    @property
    def product(self) -> Node:
        return self.nodes[0]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, m, n, k)."""
        x, y = self.product.inputs
        *lead, m, k = x.shape
        batch = 1
        for extent in lead:
            batch *= extent
        return batch, m, y.shape[-1], k

    @cached_property
    def tiling(self) -> Tiling:
        _, m, n, k = self.shape
        return choose_tiling(self.isa, self.product.types[0].dtype, m, n, k)

    @property
    def is_private(self) -> bool:
        """Each thread computes whole products of the batch on its own."""
        batch, m, n, k = self.shape
        return batch > 1 and 2 * m * n * k < PRIVATE_FLOPS

    @property
    def synchronizes(self) -> bool:
        return not self.is_private and not self.tiling.by_panel

    @property
    def grain(self) -> int:
        """What one thread takes at least: products of the batch, columns, or rows of the result,
        in whole tiles.
        """
        _, m, n, k = self.shape
        if self.is_private:
            return max(1, PRODUCT_GRAIN // max(1, m * n * k))
        if self.tiling.by_panel:
            width = self.tiling.columns
            return width * max(1, PRODUCT_GRAIN // max(1, m * k * width))
        return self.tiling.rows * max(1, PRODUCT_GRAIN // max(1, self.tiling.rows * n * k))

    def workers(self, threads: int) -> int:
        batch, m, n, _ = self.shape
        units = batch if self.is_private else n if self.tiling.by_panel else m
        return min(threads, max(1, -(-units // self.grain)))

    @property
    def in_depth_blocks(self) -> bool:
        return self.shape[3] > self.tiling.depth

    @property
    def panel_bytes(self) -> int:
        """The packed right operand."""
        return round_up(self.tiling.panel * self.tiling.depth * self._itemsize, 64)

    @property
    def block_bytes(self) -> int:
        """The packed left operand of one thread."""
        return round_up(self.tiling.block * self.tiling.depth * self._itemsize, 64)

    @property
    def sums_bytes(self) -> int:
        """Tiles that wait for the next block of terms."""
        if not self.in_depth_blocks:
            return 0
        _, m, _, _ = self.shape
        rows = round_up(m, self.tiling.rows)
        return round_up(rows * self.tiling.panel * self._itemsize, 64)

    @property
    def _itemsize(self) -> int:
        return self.product.types[0].dtype.itemsize

    @property
    def workspace(self) -> Workspace:
        if self.is_private or self.tiling.by_panel:
            return Workspace(per_thread=self.panel_bytes + self.block_bytes + self.sums_bytes)
        return Workspace(self.panel_bytes + self.sums_bytes, self.block_bytes)
