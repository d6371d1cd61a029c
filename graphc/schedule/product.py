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
from graphc.schedule.kernel import Kernel, PointKernel, Workspace, one_stride
from graphc.schedule.share import row_axes
from graphc.schedule.storage import Place
from graphc.schedule.tiles import (
    CHAIN,
    PACKED_LEFT,
    STORED,
    Operands,
    Tiling,
    choose_tiling,
    fills_registers,
    is_better_turned,
    round_up,
    row_tiling,
    tile_cycles,
    tilings,
    vector_bytes,
)

#: Multiply-adds that are worth another thread.
PRODUCT_GRAIN = 1 << 18
#: Bytes of the largest right operand that a loop keeps a packed copy of.
PREPARED_BYTES = 1 << 24
#: Terms of a tile at least between two requests for what its epilogue will read.
ASKING_TERMS = 48
#: Bytes of a right operand that the caches near a core do not keep from step to step.
FORESEEN_BYTES = 1 << 20
#: The part of its memory that such a kernel does not wait for.
FORESEEN = 0.9
#: In how many parts a tile asks for its share of the next panel, where its epilogue reads nothing.
PANEL_PARTS = 4


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
        """(batch, m, n, k) of what is computed."""
        batch, m, n, k = self._whole
        return (batch, n, m, k) if self.is_turned else (batch, m, n, k)

    @property
    def _whole(self) -> tuple[int, int, int, int]:
        """(batch, m, n, k) of the operator."""
        x, y = self.product.inputs
        *lead, m, k = x.shape
        return math.prod(lead), m, y.shape[-1], k

    @property
    def is_turned(self) -> bool:
        """Whether the transposed product is computed, the right operand being the left one: tiles
        go along the columns of the result.
        """
        if self.share is not None or any(v in self.storage.packed for v in self.writes):
            return False
        x, y = (self._steps(v, False) for v in self.product.inputs)
        dtype = self.product.types[0].dtype
        return is_better_turned(self.isa, dtype, self._whole, (x, y, self.is_prepared))

    def _steps(self, value: Value, turned: bool) -> tuple[int, int]:
        """How far rows, and columns, of an operand lie apart."""
        *_, down, across = self.storage.places[value].strided.strides
        return (across, down) if turned else (down, across)

    @property
    def operands(self) -> tuple[Value, Value]:
        """The left and the right operand of what is computed."""
        x, y = self.product.inputs
        return (y, x) if self.is_turned else (x, y)

    @cached_property
    def tiling(self) -> Tiling:
        if self.share is not None:
            dtype = self.product.types[0].dtype
            return row_tiling(self.isa, dtype, self.shape, self.share.grain, self.is_prepared)
        tiling = self.chosen if self.choices else choose_tiling(*self._cut)
        block = math.lcm(tiling.rows, self.in_whole_bytes(1, self.shape[2]))
        return replace(tiling, block=round_up(tiling.block, block))

    @property
    def candidates(self) -> Sequence[Tiling]:
        return tilings(*self._cut) if self.share is None else ()

    @property
    def _cut(self) -> tuple[str, DType, tuple[int, int, int, int], Operands]:
        x, y = (self._steps(v, self.is_turned) for v in self.operands)
        return self.isa, self.product.types[0].dtype, self.shape, (x, y, self.is_prepared)

    @property
    def is_prepared(self) -> bool:
        """Whether all panels of the right operand are packed before the loop around the kernel."""
        batch, _, n, k = self._whole
        root = self.storage.places[self.product.inputs[1]].root
        small = k * n * self._itemsize <= PREPARED_BYTES
        return batch == 1 and k > 0 and small and root in self.storage.steady

    @property
    def panels(self) -> tuple[Place, int]:
        """What tells packed right operands apart: where they lay, and the columns of a panel."""
        return self.storage.places[self.product.inputs[1]], self.tiling.columns

    @property
    def prepared_bytes(self) -> int:
        if not self.is_prepared:
            return 0
        n = round_up(self.shape[2], self.tiling.columns)
        return round_up(n * self.shape[3] * self._itemsize, 64)

    @property
    def row_count(self) -> int:
        return self._whole[1] if self._whole[0] == 1 else 0

    def takes_rows(self, rows: int) -> bool:
        """Threads that share rows would all pack the right operand: it has to be there packed, or
        to be read where it lies.
        """
        _, _, n, k = self._whole
        right = self.storage.places[self.product.inputs[1]].strided
        lanes = vector_bytes(self.isa) // self._itemsize
        at_hand = self.is_prepared or (right.strides[-1] == 1 and n >= lanes)
        fits = rows == self.row_count and row_axes(self, rows) is not None
        return fits and at_hand and 0 < k <= CHAIN

    def can_pack(self, value: Value, bits: Bits) -> bool:
        batch, m, n, _ = self._whole
        return bits.columns == n and (batch == 1 or m % ROWS == 0)

    @cached_property
    def is_flat(self) -> bool:
        """Whether all that an epilogue reads and writes lies as the elements of one product of the
        batch do, or is one number: then rows and columns are one loop.
        """
        if self.is_turned:
            return False
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
            for root, strides in written + read
            if root not in self.alike
        )

    @cached_property
    def alike(self) -> frozenset[Value]:
        """The rows that an epilogue reads alike for every row of the product (a bias), where a tile
        has all columns and these are no whole vectors: repeated as often as a tile has rows they
        lie as the tile does.
        """
        _, _, n, _ = self.shape
        whole = n % (vector_bytes(self.isa) // self._itemsize) == 0
        if whole or n != self.tiling.columns:
            return frozenset()
        batch, column = self.axes(self.shape[0]), self.axes(self.shape[0] * self.shape[1])
        found: dict[Value, bool] = {}
        for root, strides, offset in (a for node in self.nodes[1:] for a in self.accesses(node)):
            across = one_stride(strides[column:], self.dims[column:])
            fits = not offset and across == 1 and not any(strides[:column]) and batch == 0
            found[root] = found.get(root, True) and fits
        return frozenset(v for v, fits in found.items() if fits and v not in self.writes)

    @cached_property
    def streams(self) -> tuple[tuple[Value, tuple[int, ...], int], ...]:
        """(root, strides, offset) of what an epilogue reads along the rows of a tile, rows that lie
        apart: hardware does not foresee them, so a tile asks for them before. What is only written
        does not keep it waiting.
        """
        batch, m, n, _ = self.shape
        if self.share is not None or self.is_turned or n <= self.tiling.columns:
            return ()
        row, column = self.axes(batch), self.axes(batch * m)
        read = (access for node in self.nodes[1:] for access in self.accesses(node))
        return tuple(
            (root, strides, offset)
            for root, strides, offset in dict.fromkeys(read)
            if root not in self.storage.packed
            and one_stride(strides[column:], self.dims[column:]) == 1
            and one_stride(strides[row:column], self.dims[row:column]) != 0
        )

    @cached_property
    def asks(self) -> int:
        """In how many parts a tile takes the last of its terms, with requests for the streams in
        between: so many lines at once would wait for one another.
        """
        whole = self.in_depth_blocks and self.tiling.depth % CHAIN == 0
        most = min(self.tiling.rows, self.last_terms // ASKING_TERMS)
        dtype, tile = self.product.types[0].dtype, (self.tiling.rows, self.tiling.columns)
        if not most or whole or self.last_terms > CHAIN or fills_registers(self.isa, dtype, tile):
            return 0
        if not self.streams:
            return min(most, PANEL_PARTS) if self.foresees else 0
        return -(-self.tiling.rows // -(-self.tiling.rows // most))

    @cached_property
    def foresees(self) -> bool:
        """Whether tiles ask for the panel that is packed next: where it comes from afar, and lies
        in lines that hardware does not foresee.
        """
        batch, _, n, k = self.shape
        t = self.tiling
        single = self.share is None and batch == 1 and n > t.columns and not self.in_depth_blocks
        far = k * n * self._itemsize > FORESEEN_BYTES
        return t.packs and single and far and not self.is_prepared and 1 in self._cut[3][1]

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
        if self.share is not None:
            return self.share.grains
        return self.shape[0] * self.groups * self.blocks

    @property
    def grain(self) -> int:
        """Units that one thread takes at least."""
        t = self.tiling
        return max(1, PRODUCT_GRAIN // max(1, t.block * t.columns * t.group * self.shape[3]))

    def workers(self, threads: int) -> int:
        if self.share is not None:
            return self.share.workers(threads)
        return min(threads, max(1, -(-self.units // self.grain)))

    @property
    def depth_blocks(self) -> int:
        return max(1, -(-self.shape[3] // max(1, self.tiling.depth)))

    @property
    def last_terms(self) -> int:
        """Terms of the last block."""
        return self.shape[3] - (self.depth_blocks - 1) * self.tiling.depth

    @property
    def in_depth_blocks(self) -> bool:
        return self.depth_blocks > 1

    @property
    def panel_bytes(self) -> int:
        """The packed panel of the right operand."""
        t = self.tiling
        packs = t.packs and not self.is_prepared
        return round_up(t.columns * t.depth * self._itemsize, 64) if packs else 0

    @property
    def left_bytes(self) -> int:
        """The packed block of the left operand."""
        t = self.tiling
        return round_up(t.block * t.depth * self._itemsize, 64) if t.packs_left else 0

    @property
    def sums_bytes(self) -> int:
        """The tiles of a unit, while they wait for the next block of terms."""
        if not self.in_depth_blocks:
            return 0
        t = self.tiling
        return round_up(t.block * t.columns * t.group * self._itemsize, 64)

    @property
    def totals_bytes(self) -> int:
        """The sums of the chains that are complete, where chains are taken in parts."""
        return self.sums_bytes if self.shape[3] > CHAIN and self.tiling.depth < CHAIN else 0

    @property
    def _itemsize(self) -> int:
        return self.product.types[0].dtype.itemsize

    @property
    def work(self) -> Work:
        """Its tiles, what is packed before, and what is done with the results."""
        batch, m, n, k = self.shape
        t, dtype = self.tiling, self.product.types[0].dtype
        lies = PACKED_LEFT if t.packs_left else self._cut[3][0]
        parts = max(1, -(-k // max(1, t.depth)))
        tiles = tile_cycles(self.isa, dtype, (m, n, k), (t.rows, t.columns), lies, parts)
        packs = t.packs and not self.is_prepared
        right = self.groups * t.group * t.columns * k if packs else 0
        left = self.groups * m * k if t.packs_left else 0
        rate = PACK_TURNED if self._cut[3][1][1] != 1 else PACK
        again = self.blocks if t.group > 1 or self.in_depth_blocks else 1
        packing = (right * again * rate + left * PACK) * dtype.itemsize
        behind = self.nodes[1:]
        lines = 1 if self.is_flat else m
        epilogue = lines * self.elementwise(behind, self.writes, m * n // lines) if behind else 0.0
        if self.is_turned and m > 1:
            epilogue += STORED * m * n
        foreseen = FORESEEN if self.asks else 0.0
        return Work(batch * (tiles + packing + epilogue), self.units, foreseen=foreseen)

    @property
    def workspace(self) -> Workspace:
        sums = self.sums_bytes + self.totals_bytes
        return Workspace(per_thread=self.left_bytes + sums + self.panel_bytes)


class Panels(Kernel):
    """Packs the right operand of a product as the product reads it, before the loop around it."""

    label = "panels"

    def __init__(self, product: Product):
        super().__init__(product.group, product.storage, product.isa)
        self.of = product
        self.reads = [self.storage.places[product.product.inputs[1]].root]

    @property
    def nodes(self) -> list[Node]:
        return [self.of.product]

    @property
    def count(self) -> int:
        return -(-self.of.shape[2] // self.of.tiling.columns)

    @property
    def flops(self) -> int:
        return 0

    @property
    def bytes(self) -> int:
        return super().bytes + self.of.prepared_bytes

    @property
    def work(self) -> Work:
        turned = self.storage.places[self.of.product.inputs[1]].strided.strides[-1] != 1
        return Work(self.of.prepared_bytes * (PACK_TURNED if turned else PACK), self.count)
