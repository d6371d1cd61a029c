"""The kernel of the gradient of a convolution's weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from graphc.ir.graph import Value
from graphc.ir.spec import row_major
from graphc.schedule.convolution import Convolution
from graphc.schedule.correlation import Axis, forward_axes
from graphc.schedule.cost import PACK, Work
from graphc.schedule.kernel import Workspace
from graphc.schedule.tiles import UNIT_ROWS, high_tile, round_up

#: Terms of a weight gradient that are summed in one chain: a law of shape alone.
CHAIN_TERMS = 256
#: Parts into which the images of a weight gradient are divided at most, and bytes of all parts'
#: sums: laws of shape alone.
IMAGE_PARTS = 16
PART_BYTES = 1 << 21
#: Units from which on panels and ranges stay together: units of their own copy x again.
ENOUGH_UNITS = 8


class WeightGradient(Convolution):
    """w of x and y: rows of taps and input channels, columns of output channels, terms of pixels. A
    unit is a part of the images, a group, some panels of columns (all of them where every channel
    is a group) and, where those are few, one tap of all axes but the last. Its sums wait until all
    units are done, and are added in order.
    """

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        return forward_axes(self.declared, *self.spatial)

    @property
    def channels(self) -> int:
        return self.types["x"].shape[-1] // self.groups

    @property
    def outputs(self) -> int:
        return self.types["w"].shape[-1] // self.groups

    @property
    def merges(self) -> bool:
        """Whether neighbouring taps of the last axis are rows of one range."""
        return self.apart or self.declared.dilation[-1] == 1

    @property
    def range(self) -> int:
        """Rows that lie at one distance in the copied part."""
        return self.types["w"].shape[-2] * (self.kernel[-1] if self.merges else 1)

    @property
    def apart_by(self) -> int:
        """That distance."""
        return self.channels * self.declared.dilation[-1] if self.apart else 1

    @property
    def ranges(self) -> tuple[int, ...]:
        """Taps that number the ranges."""
        return self.kernel[:-1] if self.merges else self.kernel

    @property
    def candidates(self) -> Sequence[tuple[int, int]]:
        """Tiles are higher than two vectors need: every one reads its panel of y again, and
        neighbours read the same lines of x, from the second-level cache.
        """
        high = high_tile(self.isa) * 3 // 2
        return self.tiles_for(self.range, CHAIN_TERMS, min(self.range, high))

    @cached_property
    def block(self) -> int:
        first, *inner = (axis.count for axis in self.axes)
        wanted = max(1, CHAIN_TERMS // max(1, math.prod(inner)))
        return -(-first // -(-first // wanted))

    @cached_property
    def copies(self) -> int:
        """Very small images are taken several at a time: a law of shape alone, as are the terms of
        a chain.
        """
        pixels = math.prod(axis.count for axis in self.axes)
        images = self.types["x"].shape[0] // self.parts
        return max(1, min(images, UNIT_ROWS // max(1, pixels)))

    @property
    def slack(self) -> int:
        return self.tile[0] * self.apart_by + self.apart * self.tile[1]

    @property
    def together(self) -> int:
        """Panels of a unit, which read the same copied part."""
        shares = -(-ENOUGH_UNITS // (self.parts * self.groups))
        return self.panels if self.apart else -(-self.panels // min(shares, self.panels))

    @property
    def shares(self) -> int:
        """Units that the panels are divided among."""
        return -(-self.panels // self.together)

    @cached_property
    def parts(self) -> int:
        """Parts of the images, as equal as they can be, whose sums are added in order."""
        parts = IMAGE_PARTS
        while parts > 1 and parts * self.types["w"].nbytes > PART_BYTES:
            parts //= 2
        return max(1, min(self.types["x"].shape[0], parts))

    @property
    def divided(self) -> bool:
        """Whether the ranges are units of their own."""
        return not self.apart and self.parts * self.groups * self.shares < ENOUGH_UNITS

    @property
    def units(self) -> int:
        ranges = math.prod(self.ranges) if self.divided else 1
        return self.parts * self.groups * self.shares * ranges

    @property
    def tiles(self) -> int:
        """Tiles of a range."""
        return -(-self.range // self.tile[0])

    @property
    def sums(self) -> int:
        """Elements of the sums of one range and panel."""
        return self.tiles * self.tile[0] * self.tile[1]

    @property
    def sums_bytes(self) -> int:
        ranges = math.prod(self.ranges)
        size = self.parts * self.groups * self.panels * ranges * self.sums
        return round_up(size * self.itemsize, 64)

    @property
    def reads_in_place(self) -> bool:
        """Whether y is one whole panel, unbroken, with all its pixels at one distance. Of several
        panels each is packed: far apart, its pixels would share few places in the first cache.
        """
        place = self.storage.places.get(self.operand("y"))
        if place is None or self.outputs != self.tile[1]:
            return False
        *pixels, channel = place.strided.strides
        shape = place.strided.shape[:-1]
        even = [pixels[-1] * s for s in row_major(shape)]
        return channel == 1 and all(
            n == 1 or s == e for n, s, e in zip(shape, pixels, even, strict=True)
        )

    @property
    def streams(self) -> dict[Value, tuple[int, int]]:
        """The operands of which a unit reads all, and which lie in memory in order. Tiles ask for
        what the next block reads: so many positions of the first axis, from so many behind where a
        block begins.
        """
        first = self.axes[0]
        x = first.advance * self.block, first.low + first.span(self.block)
        y = self.block, self.block
        found = {"x": x, "y": y} if self.shares == 1 else {"x": x}
        operands = {self.operand(name): reach for name, reach in found.items()}
        return {
            value: (self.copies * value.shape[1],) * 2 if self.blocks == 1 else reach
            for value, reach in operands.items()
            if self.groups == 1 and self._is_in_order(value)
        }

    def _is_in_order(self, value: Value) -> bool:
        place = self.storage.places.get(value)
        return place is not None and place.strided.at_start.is_contiguous

    @property
    def stores_columns_first(self) -> bool:
        """Whether columns are farther apart than the elements of a column in what is stored."""
        strided = self.storage.places[self.writes[0]].strided
        *rows, column = strided.strides
        return all(column > s for n, s in zip(strided.shape, rows, strict=False) if n > 1)

    @property
    def pixels(self) -> int:
        """Pixels of y that are taken at a time."""
        return self.copies * self.block * math.prod(axis.count for axis in self.axes[1:])

    @property
    def panel_bytes(self) -> int:
        """A panel of y, where it has to be packed."""
        size = self.pixels * self.tile[1] * self.itemsize
        return 0 if self.reads_in_place else round_up(size, 64)

    @property
    def work(self) -> Work:
        """A product for every range of rows and block of pixels; copied x and y; sums of parts."""
        ranges = math.prod(self.ranges)
        times = -(-self.types["x"].shape[0] // self.copies) * self.groups * self.blocks
        cycles = times * ranges * self.cycles(self.range, self.pixels)
        again = ranges if self.divided else 1
        cycles += times * again * (self.shares * self.copying + self.panels * self.packing)
        cycles += self.sums_bytes * 2 * PACK
        return Work(cycles, self.units, 1)

    @property
    def packing(self) -> float:
        """Cycles in which a panel of y is packed."""
        return self.panel_bytes * PACK

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.sums_bytes, self.copied_bytes + self.panel_bytes)
