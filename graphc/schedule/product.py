"""The kernel of a matrix product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from graphc.dtypes import DType
from graphc.ir.graph import Node, Value
from graphc.ir.spec import Scalar
from graphc.schedule.cost import PACK, PACK_TURNED, Work
from graphc.schedule.encoding import ROWS, Bits
from graphc.schedule.kernel import PointKernel, Workspace, one_stride
from graphc.schedule.tiles import Tiling, choose_tiling, round_up, tile_cycles, tilings

#: Multiply-adds that are worth another thread.
PRODUCT_GRAIN = 1 << 18


class Product(PointKernel):
    """A matrix product, and the elementwise nodes that are applied to its tiles.

    A unit of work is a block of rows of a group of panels of columns, of one product of the batch.
    Threads share the units and never wait for one another.
    """

    @property
    def product(self) -> Node:
        return self.nodes[0]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, m, n, k)."""
        x, y = self.product.inputs
        *lead, m, k = x.shape
        return math.prod(lead), m, y.shape[-1], k

    @cached_property
    def tiling(self) -> Tiling:
        tiling = self.chosen if self.choices else choose_tiling(*self._cut)
        block = math.lcm(tiling.rows, self.in_whole_bytes(1, self.shape[2]))
        return replace(tiling, block=round_up(tiling.block, block))

    @property
    def candidates(self) -> Sequence[Tiling]:
        return tilings(*self._cut)

    @property
    def _cut(self) -> tuple[str, DType, tuple[int, int, int, int], bool, bool]:
        left, right = (self.storage.places[v].strided.strides[-1] for v in self.product.inputs)
        return self.isa, self.product.types[0].dtype, self.shape, left != 1, right != 1

    def can_pack(self, value: Value, bits: Bits) -> bool:
        batch, m, n, _ = self.shape
        return bits.columns == n and (batch == 1 or m % ROWS == 0)

    @cached_property
    def is_flat(self) -> bool:
        """Whether all that an epilogue reads and writes lies as the elements of one product of the
        batch do, or is one number: then rows and columns are one loop.
        """
        first = self.axes(self.shape[0])
        written = [(v, self.strides(v.node, self.storage.places[v].strided)) for v in self.writes]
        read = [(root, strides) for n in self.nodes[1:] for root, strides, _ in self.accesses(n)]
        if any(v in self.storage.packed for v in (*self.reads, *self.writes)):
            return False
        return all(
            isinstance(self.spec(n), Scalar) and all(map(self._is_at_hand, n.inputs))
            for n in self.nodes[1:]
        ) and all(
            one_stride(strides[first:], self.dims[first:]) is not None
            for _, strides in written + read
        )

    def _is_at_hand(self, value: Value) -> bool:
        """Whether a value is in memory, made here, or the same everywhere."""
        return value in self.storage.places or self.storage.is_uniform(value)

    def axes(self, extent: int) -> int:
        """How many of the leading axes make up an extent."""
        covered, axis = 1, 0
        while covered < extent:
            covered *= self.dims[axis]
            axis += 1
        return axis

    @property
    def groups(self) -> int:
        return -(-self.shape[2] // (self.tiling.columns * self.tiling.group))

    @property
    def blocks(self) -> int:
        return -(-self.shape[1] // self.tiling.block)

    @property
    def units(self) -> int:
        return self.shape[0] * self.groups * self.blocks

    @property
    def grain(self) -> int:
        """Units that one thread takes at least."""
        t = self.tiling
        return max(1, PRODUCT_GRAIN // max(1, t.block * t.columns * t.group * self.shape[3]))

    def workers(self, threads: int) -> int:
        return min(threads, max(1, -(-self.units // self.grain)))

    @property
    def in_depth_blocks(self) -> bool:
        return self.shape[3] > self.tiling.depth

    @property
    def panel_bytes(self) -> int:
        """The packed panel of the right operand."""
        t = self.tiling
        return round_up(t.columns * t.depth * self._itemsize, 64) if t.packs else 0

    @property
    def left_bytes(self) -> int:
        """The packed block of the left operand."""
        t = self.tiling
        return round_up(t.block * t.depth * self._itemsize, 64) if t.group > 1 else 0

    @property
    def sums_bytes(self) -> int:
        """The tiles of a unit, while they wait for the next block of terms."""
        if not self.in_depth_blocks:
            return 0
        t = self.tiling
        return round_up(t.block * t.columns * t.group * self._itemsize, 64)

    @property
    def _itemsize(self) -> int:
        return self.product.types[0].dtype.itemsize

    @property
    def work(self) -> Work:
        """Its tiles, what is packed before, and what is done with the results."""
        batch, m, n, k = self.shape
        t, dtype = self.tiling, self.product.types[0].dtype
        tiles = tile_cycles(self.isa, dtype, (m, n, k), (t.rows, t.columns))
        right = self.groups * t.group * t.columns * k if t.packs else 0
        left = self.groups * m * k if t.group > 1 else 0
        turned = self.storage.places[self.product.inputs[1]].strided.strides[-1] != 1
        rate = PACK_TURNED if turned else PACK
        packing = (
            right * (self.blocks if t.group > 1 else 1) * rate + left * PACK
        ) * dtype.itemsize
        behind = self.nodes[1:]
        lines = 1 if self.is_flat else m
        epilogue = lines * self.elementwise(behind, self.writes, m * n // lines) if behind else 0.0
        return Work(batch * (tiles + packing + epilogue), self.units)

    @property
    def workspace(self) -> Workspace:
        return Workspace(per_thread=self.left_bytes + self.sums_bytes + self.panel_bytes)
