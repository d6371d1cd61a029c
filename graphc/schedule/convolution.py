"""The kernels of convolutions: the correlations that give y or x, and the gradient of the weights.

Both copy the part of an array that a unit of work reads into working memory of the thread, with
zeros around it: what reads it afterwards needs no conditions. What is fused in front of that array
is computed while it is copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from graphc.dtypes import TensorType
from graphc.ir.graph import Node, Value
from graphc.ir.spec import Convolve, Strided, row_major
from graphc.schedule.correlation import (
    Axis,
    Phase,
    backward_axes,
    forward_axes,
    phases,
    tap_numbers,
)
from graphc.schedule.cost import PACK, Work
from graphc.schedule.encoding import ROWS, Bits
from graphc.schedule.kernel import PointKernel, Workspace, cost_of
from graphc.schedule.product import PRODUCT_GRAIN
from graphc.schedule.tiles import (
    TRIED,
    UNIT_ROWS,
    UNITS,
    high_tile,
    lane_cycles,
    lane_tiles,
    register_tiles,
    round_up,
    tile_cycles,
)

#: Bytes of the copied part of an array: it stays in the first-level cache.
COPY_BYTES = 49152
#: Rows of results of a correlation that one unit computes at least: rows at the edge of the part
#: are copied for more than one unit.
BLOCK_ROWS = 4
#: Images that are taken several at a time, so that a panel of weights is used for UNIT_ROWS rows:
#: bytes of their copies at most, which lie beside the panel in the second-level cache, and terms of
#: a tap at least.
ABREAST_BYTES = 3 << 17
ABREAST_TERMS = 16


class Convolution(PointKernel):
    """What the kernels share: the three arrays, and the part of one that is copied."""

    @property
    def node(self) -> Node:
        return self.nodes[0]

    @property
    def declared(self) -> Convolve:
        spec = self.spec(self.node)
        assert isinstance(spec, Convolve)
        return spec

    @cached_property
    def types(self) -> dict[str, TensorType]:
        """The types of x, w and y."""
        result = self.declared.result
        known = dict(zip("xwy".replace(result, ""), self.node.inputs, strict=True))
        return {v: value.type for v, value in known.items()} | {result: self.node.types[0]}

    def operand(self, name: str) -> Value:
        return self.node.inputs["xwy".replace(self.declared.result, "").index(name)]

    @property
    def kernel(self) -> tuple[int, ...]:
        """The taps along each axis."""
        return self.types["w"].shape[:-2]

    @property
    def spatial(self) -> tuple[Sequence[int], ...]:
        """Extents of w, x and y."""
        return self.kernel, self.types["x"].shape[1:-1], self.types["y"].shape[1:-1]

    @property
    def itemsize(self) -> int:
        return self.node.types[0].dtype.itemsize

    @cached_property
    def apart(self) -> bool:
        """Whether every channel is a group of its own: channels are lanes of vectors then, and all
        of them one group.
        """
        *_, inputs, outputs = self.types["w"].shape
        return 1 == inputs < outputs == self.declared.groups

    @property
    def groups(self) -> int:
        return 1 if self.apart else self.declared.groups

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        raise TypeError

    @property
    def channels(self) -> int:
        """Channels of a group of the array that is copied."""
        raise TypeError

    @property
    def outputs(self) -> int:
        """Columns of the product of a group."""
        raise TypeError

    @cached_property
    def tile(self) -> tuple[int, int]:
        """Rows and columns of the register tile."""
        return self.chosen

    def tiles_for(self, rows: int, terms: int, least: int = 1) -> Sequence[tuple[int, int]]:
        """Register tiles of at least so many rows for `rows` of a product, the best first."""
        choose = lane_tiles if self.apart else register_tiles
        dtype = self.node.types[0].dtype
        found = choose(self.isa, dtype, rows, self.outputs, terms)
        return [tile for tile in found if tile[0] >= least][:TRIED]

    def cycles(self, rows: int, terms: int) -> float:
        """Cycles of such a product in tiles."""
        count = lane_cycles if self.apart else tile_cycles
        dtype = self.node.types[0].dtype
        return count(self.isa, dtype, (rows, self.outputs, terms), self.tile)

    @property
    def block(self) -> int:
        """Positions along the first axis that a unit takes at a time."""
        raise TypeError

    @property
    def slack(self) -> int:
        """Elements behind the copied part that a tile may read."""
        raise TypeError

    @property
    def blocks(self) -> int:
        return -(-self.axes[0].count // self.block)

    @property
    def abreast(self) -> int:
        """Images of which a unit takes the same part."""
        return 1

    @property
    def copies(self) -> int:
        """Copied parts, of images one after the other, that a unit has at a time."""
        return 1

    @cached_property
    def copied(self) -> Strided:
        """A copied part: positions along the spatial axes, then images, then channels."""
        inner = [axis.span(axis.count) for axis in self.axes[1:]]
        shape = (self.axes[0].span(self.block), *inner, self.abreast, self.channels)
        return Strided(shape, row_major(shape))

    @property
    def copied_bytes(self) -> int:
        elements = self.copies * math.prod(self.copied.shape) + self.slack
        return round_up(max(1, elements) * self.itemsize, 64)

    @property
    def panels(self) -> int:
        """Panels of columns of a group."""
        return -(-self.outputs // self.tile[1])

    @property
    def units(self) -> int:
        raise TypeError

    @property
    def grain(self) -> int:
        """Units that one thread takes at least."""
        work = self.node.op.flops(*[v.type for v in self.node.inputs]) // 2
        return max(1, PRODUCT_GRAIN // max(1, work // max(1, self.units)))

    def workers(self, threads: int) -> int:
        return min(threads, max(1, -(-self.units // self.grain)))

    @property
    def synchronizes(self) -> bool:
        return True

    @property
    def copying(self) -> float:
        """Cycles in which what a unit reads is copied, and what is in front of it computed."""
        elements = self.copies * math.prod(self.copied.shape)
        return elements * (self.itemsize * PACK + self.rebuilding / 16)

    @property
    def rebuilding(self) -> int:
        """Simple operations an element in front of what is copied."""
        return sum(cost_of(self.spec(n)) for n in self.computed if n not in self.nodes)


class Correlation(Convolution):
    """y of x and w, or x of w and y. A unit is a block of rows of one image and group, or, where
    images are small, some panels of a few of them; the weights are packed once, by all threads, in
    panels as wide as a tile.
    """

    @property
    def source(self) -> Value:
        return self.operand("x" if self.declared.result == "y" else "y")

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        lines = forward_axes if self.declared.result == "y" else backward_axes
        return lines(self.declared, *self.spatial)

    @property
    def channels(self) -> int:
        return self.source.shape[-1] // self.groups

    @property
    def outputs(self) -> int:
        """Channels of a group of the result."""
        return self.node.types[0].shape[-1] // self.groups

    @property
    def depth(self) -> int:
        """Terms of a tap."""
        return 1 if self.apart else self.channels

    @cached_property
    def taps(self) -> list[tuple[int, ...]]:
        """Indices of the weights' taps, in the order in which they are packed."""
        return tap_numbers(self.axes)

    @property
    def candidates(self) -> Sequence[tuple[int, int]]:
        """Tiles for rows of several images are high: panels come from the second-level cache."""
        rows = self.axes[-1].count * self.abreast
        least = min(rows, high_tile(self.isa)) if self.abreast > 1 else 1
        return self.tiles_for(rows, len(self.taps) * self.depth, least)

    @cached_property
    def abreast(self) -> int:
        """Images of a unit, more than one where they are small; for a single tap, whose panels are
        small too, very small. In the copied part each has its pixel where the next has the same
        one, so that a tile goes along pixels and images alike. Sums go tap by tap then: a law of
        shape alone, as are the terms of a chain.
        """
        pixels = math.prod(axis.count for axis in self.axes)
        small = 0 < pixels < (UNIT_ROWS if len(self.taps) > 1 else UNIT_ROWS // 2)
        if not small or self.apart or self.depth < ABREAST_TERMS or self.axes[-1].advance > 1:
            return 1
        images = self.types["x"].shape[0]
        copy = math.prod(axis.span(axis.count) for axis in self.axes) * self.channels
        most = min(-(-UNIT_ROWS // pixels), ABREAST_BYTES // (copy * self.itemsize))
        parts = self.groups * -(-self.outputs // UNIT_ROWS)
        return max(
            (n for n in range(2, most + 1) if images % n == 0 and images // n * parts >= UNITS),
            default=1,
        )

    @property
    def together(self) -> int:
        """Panels of a unit: all, unless images are taken abreast and are few."""
        images = self.types["x"].shape[0] // self.abreast * self.groups
        if self.abreast == 1 or images >= UNITS:
            return self.panels
        return -(-self.panels // -(-UNITS // images))

    @property
    def shares(self) -> int:
        """Units that the panels are divided among."""
        return -(-self.panels // self.together) if self.abreast > 1 else 1

    @cached_property
    def block(self) -> int:
        first, *inner = self.axes
        if self.abreast > 1:
            return first.count
        size = math.prod(axis.span(axis.count) for axis in inner) * self.channels * self.itemsize
        unit = 1 if inner else self.tile[0]
        block = unit * BLOCK_ROWS
        while block < first.count and first.span(2 * block) * size <= COPY_BYTES:
            block *= 2
        images = self.types["x"].shape[0] * self.groups
        while block > unit and images * -(-first.count // block) < UNITS:
            block //= 2
        blocks = -(-first.count // block)
        return round_up(-(-first.count // blocks), unit)

    @property
    def slack(self) -> int:
        return self.tile[0] * self.axes[-1].advance * self.channels + self.apart * self.tile[1]

    @property
    def spacing(self) -> int:
        """From one term of a run to the next."""
        return self.axes[-1].lines[0].spacing * self.channels if self.apart else 1

    @property
    def units(self) -> int:
        images = self.types["x"].shape[0] // self.abreast
        return images * self.groups * self.blocks * self.shares

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        return phases(self.axes, self.copied.strides, self.depth, self.apart)

    @property
    def panel_bytes(self) -> int:
        """All packed panels."""
        size = self.groups * self.panels * len(self.taps) * self.depth * self.tile[1]
        return round_up(size * self.itemsize, 64)

    @property
    def work(self) -> Work:
        """Rows of pixels in tiles, phase by phase; the copied parts; the packed weights."""
        cycles = 0.0
        for phase in self.phases:
            *rows, last = [line.count for line in phase.lines]
            terms = len(phase.runs) * phase.terms
            cycles += math.prod(rows) * self.cycles(last * self.abreast, terms)
        images = self.types["x"].shape[0] // self.abreast * self.groups
        cycles = images * cycles + self.units * self.copying + self.panel_bytes * PACK
        cycles += self._epilogue()
        return Work(cycles, self.units, 1)

    @cached_property
    def stores_tiles(self) -> bool:
        """Whether tiles are stored where the result lies: they are the result itself, and whole."""
        rows, columns = self.tile
        counts = [phase.lines[-1].count for phase in self.phases]
        whole = self.outputs % columns == 0 and all(count % rows == 0 for count in counts)
        result = self.node.outputs[0]
        if not whole or len(self.nodes) > 1 or self.abreast > 1 or result in self.storage.packed:
            return False
        return self.storage.places[result].strided.strides[-1] == 1

    def can_pack(self, value: Value, bits: Bits) -> bool:
        """Pixels are rows of bits: in one phase they come in order, and units are whole bytes."""
        if len(self.phases) > 1 or bits.columns != self.node.types[0].shape[-1]:
            return False
        image = math.prod(axis.count for axis in self.axes)
        unit = self.block * math.prod(axis.count for axis in self.axes[1:])
        return image % ROWS == 0 and (self.blocks == 1 or unit % ROWS == 0)

    def _epilogue(self) -> float:
        result = self.node.types[0]
        return self.elementwise(self.nodes[1:], self.writes, result.size) if self.nodes[1:] else 0.0

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.panel_bytes, self.copied_bytes)
