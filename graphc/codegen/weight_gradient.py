"""`WeightGradient` kernels: products over pixels of a copied part of x, transposed, and of y."""

from __future__ import annotations

import math
from itertools import product

from graphc.codegen.copied import Copy, clear
from graphc.codegen.correlation import tile_function
from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, store, workspace_pointer
from graphc.codegen.points import Axis, Names, Points
from graphc.ir.expr import INDEX, Expr, Load, Var, index, smaller
from graphc.ir.graph import Value
from graphc.ir.loops import Accumulate, Array, Barrier, Do, Numbers, Stmt, Store
from graphc.ir.spec import unravel
from graphc.schedule.kernel import grain
from graphc.schedule.weight_gradient import WeightGradient

#: Columns that are merged together where they are stored far apart.
MERGED = 16


def weight_gradient_body(kernel: WeightGradient, arguments: Arguments) -> list[Stmt]:
    return _Generator(kernel, arguments).build()


class _Generator:
    """Loops: units (part of the images, group, panels of columns, ranges of rows), images, blocks
    of rows of y, panels, ranges, tiles; then, over the rows of w, the sum of the parts.
    """

    def __init__(self, kernel: WeightGradient, arguments: Arguments):
        self.kernel = kernel
        self.points = Points(kernel, arguments.names, arguments.mutable, Names())
        self.dtype = kernel.node.types[0].dtype
        self.x, self.y = kernel.operand("x"), kernel.operand("y")
        self.rows, self.columns = kernel.tile
        self.ranges = math.prod(kernel.ranges)

    def build(self) -> list[Stmt]:
        kernel, points = self.kernel, self.points
        body: list[Stmt] = []
        points.enter(body)
        self._tables()
        own = kernel.workspace.per_thread
        points.add(workspace_pointer("sums", self.dtype, 0))
        points.add(workspace_pointer("rows", self.dtype, kernel.sums_bytes, own))
        if not kernel.reads_in_place:
            at = kernel.sums_bytes + kernel.copied_bytes
            points.add(workspace_pointer("right", self.dtype, at, own))
        points.add(Array("total", self.dtype, self.columns))
        self._units()
        points.add(Barrier())
        self._merge()
        return body

    def _tables(self) -> None:
        """Where the taps of the ranges lie in the copied part, and where the rows of y."""
        kernel = self.kernel
        steps = kernel.copied.strides[:-2]
        dilated = [d * s for d, s in zip(kernel.declared.dilation, steps, strict=True)]
        taps = [range(k) for k in kernel.ranges]
        self.points.add(Numbers("taps", tuple(_dot(tap, dilated) for tap in product(*taps))))
        moved = [axis.advance * s for axis, s in zip(kernel.axes, steps, strict=True)]
        moved = [math.prod(kernel.copied.shape), *moved]
        counts = [kernel.copies, kernel.block, *[axis.count for axis in kernel.axes[1:]]]
        lines = product(*[range(n) for n in counts[:-1]])
        self.points.add(Numbers("runs", tuple(_dot(line, moved) for line in lines)))

    def _units(self) -> None:
        kernel, points = self.kernel, self.points
        unit, _ = points.share(kernel.units, kernel.grain, "unit")
        every = self.ranges if kernel.divided else 1
        only = unit % every
        share = unit // every % kernel.shares
        group = points.let("group", unit // (every * kernel.shares) % kernel.groups)
        part = points.let("part", unit // (every * kernel.shares * kernel.groups))
        panels = self._panels(share)
        above = (part * kernel.groups + group) * kernel.panels
        size = (1 if kernel.divided else self.ranges) * kernel.sums
        panel = points.loop("panel", *panels) if kernel.together > 1 else panels[0]
        base = points.let("base", ((above + panel) * every + only) * size)
        clear(points, "sums", self.x, base, base + size)
        if kernel.together > 1:
            points.leave()
        images = self.x.shape[0]
        whole, broken = divmod(images, kernel.parts)
        begin, end = [
            at * images // kernel.parts if broken else at * whole for at in (part, part + 1)
        ]
        image = points.loop("image", begin, end, kernel.copies)
        first: Expr = index(0)
        if kernel.blocks > 1:
            first = points.loop("first", first, index(kernel.axes[0].count), kernel.block)
        low, *lows = (axis.low for axis in kernel.axes)
        starts = [points.let("start", first * kernel.axes[0].advance + low), *map(index, lows)]
        channel = points.let("channel", group * kernel.channels)
        count: Expr = index(kernel.block)
        if kernel.axes[0].count % kernel.block:
            rest = index(kernel.axes[0].count) - first
            count = points.let("count", smaller(rest, index(kernel.block)))
        several: Expr = index(1)
        if kernel.copies > 1:
            several = points.let("images", smaller(end - image, index(kernel.copies)))
        n = points.loop("n", index(0), several) if kernel.copies > 1 else index(0)
        to = points.let("to", n * math.prod(kernel.copied.shape))
        copy = Copy(points, "rows", kernel.copied, self.x, image + n, channel, starts, to)
        copy.write(kernel.slack)
        if kernel.copies > 1:
            points.leave()
        if kernel.together > 1:
            panel = points.loop("panel", *panels)
            base = points.let("base", ((above + panel) * every + only) * size)
        inner = [axis.count for axis in kernel.axes[1:]]
        lines = several * (count * math.prod(inner[:-1])) if inner else several
        terms = index(inner[-1]) if inner else count
        right, step = self._right(image, group, panel, first, lines * terms)
        self._tiles(
            panel - panels[0] if kernel.together > 1 else index(0),
            base,
            only,
            (lines, terms),
            (right, step),
            (image, first),
        )
        points.leave()
        if kernel.together > 1:
            points.leave()
        if kernel.blocks > 1:
            points.leave()
        points.leave()

    def _panels(self, share: Expr) -> tuple[Expr, Expr]:
        """The first panel of a share, and the end of its panels."""
        kernel = self.kernel
        if kernel.shares == 1:
            return index(0), index(kernel.panels)
        begin = self.points.let("begin", share * kernel.together)
        return begin, smaller(begin + kernel.together, index(kernel.panels))

    def _right(
        self, image: Expr, group: Expr, panel: Expr, first: Expr, count: Expr
    ) -> tuple[str, Expr]:
        """The panel of so many pixels of y as the tile reads it: address, and step from pixel to
        pixel.
        """
        kernel, points = self.kernel, self.points
        column = points.let("column", group * kernel.outputs + panel * self.columns)
        inner = [axis.count for axis in kernel.axes[1:]]
        if kernel.reads_in_place:
            place = kernel.storage.places[self.y]
            each, row, *_, channel = place.strided.strides
            pixel = row // math.prod(inner)
            at = image * each + first * row + column * channel + place.strided.offset
            return address(points.arrays[place.root], at), index(pixel)
        o = points.loop("o", index(0), count)
        n, *position = unravel(o, (kernel.copies, kernel.block, *inner))
        position[0] = first + position[0]
        used = self._columns(panel)
        v = points.loop("v", index(0), used)
        element = points.read(self.y, (image + n, *position, column + v))
        points.add(Store("right", o * self.columns + v, element))
        points.leave()
        if kernel.outputs % self.columns:
            clear(points, "right", self.y, o * self.columns + used, (o + 1) * self.columns)
        points.leave()
        return "right", index(self.columns)

    def _columns(self, panel: Expr) -> Expr:
        """How many columns of a panel there are."""
        outputs = self.kernel.outputs
        if outputs % self.columns == 0:
            return index(self.columns)
        rest = index(outputs) - panel * self.columns
        return smaller(rest, index(self.columns))

    def _tiles(
        self, panel: Expr, base: Expr, only: Expr, runs: tuple[Expr, Expr],
        right: tuple[str, Expr], place: tuple[Expr, Expr],
    ) -> None:  # fmt: skip
        """The tiles of the unit's ranges, to which a block of pixels is added, in runs of so many:
        `panel` counts from the unit's first, `place` is the image, and the first row of the block.
        """
        kernel, points = self.kernel, self.points
        number, at = only, base
        if not kernel.divided and self.ranges > 1:
            number = points.loop("range", index(0), index(self.ranges))
            at = base + number * kernel.sums
        tile = points.loop("m", index(0), index(kernel.range), self.rows)
        left = Load(INDEX, "taps", number) + tile * kernel.apart_by
        if kernel.apart:
            left = left + panel * self.columns
        pixel = kernel.axes[-1].advance * kernel.copied.strides[-2]
        ranges = 1 if kernel.divided else self.ranges
        tiles = kernel.together * ranges * kernel.tiles
        here = (panel * ranges + (number if ranges > 1 else 0)) * kernel.tiles + tile // self.rows
        points.add(Do(f"{tile_function(kernel)[0]}_runs", (
            runs[0], "runs", runs[1], address("rows", left), index(kernel.apart_by), index(pixel),
            *right,
            address("sums", at + tile * self.columns), index(self.columns),
            Var(INDEX, "GX_ACCUMULATE"),
            *self._ahead(self.x, here, tiles, *place), *self._ahead(self.y, here, tiles, *place),
        )))  # fmt: skip
        points.leave()
        if not kernel.divided and self.ranges > 1:
            points.leave()

    def _ahead(
        self, value: Value, tile: Expr, tiles: int, image: Expr, first: Expr
    ) -> tuple[str, Expr]:
        """What one of the tiles of a block asks for of what the next block reads of an operand: the
        address, and the bytes of a run.
        """
        kernel, points = self.kernel, self.points
        if value not in kernel.streams:
            return "NULL", index(0)
        rows, ahead = kernel.streams[value]
        place = kernel.storage.places[value]
        row = math.prod(value.shape[2:])
        advance = kernel.axes[0].advance if value is self.x else 1
        begin = image * (value.shape[1] * row) + first * (advance * row) + ahead * row
        lines = math.prod([kernel.copies, kernel.block, *(a.count for a in kernel.axes[1:])])
        lines //= kernel.axes[-1].count if len(kernel.axes) > 1 else kernel.block
        share = -(-rows * row // (tiles * lines))
        at = points.let("next", begin + tile * (share * lines) + place.strided.offset)
        return address(points.arrays[place.root], at), index(share * kernel.itemsize)

    def _merge(self) -> None:
        """The parts' sums of each element of w in order, and the fused members."""
        kernel, points = self.kernel, self.points
        shape = kernel.node.types[0].shape
        end: Expr
        if kernel.stores_columns_first:
            blocks = -(-self.columns // MERGED)
            taps, channels = math.prod(shape[:-2]), shape[-2]
            cost = taps * min(self.columns, MERGED) * (kernel.parts + kernel.group.cost)
            total = kernel.groups * kernel.panels * blocks * channels
            unit, _ = points.share(total, grain(cost), "unit")
            above = points.let("block", unit // channels)
            panels = points.let("panels", above // blocks)
            begin = points.let("begin", above % blocks * MERGED)
            panel = points.let("panel", panels % kernel.panels)
            group = points.let("group", panels // kernel.panels)
            end = points.let("end", smaller(begin + MERGED, self._columns(panel)))
            tap = points.loop("tap", index(0), index(taps))
            row = points.let("row", tap * channels + unit % channels)
            self._merged(row, group, panel, begin, end)
            points.leave()
            points.leave()
            return
        cost = shape[-1] * (kernel.parts + kernel.group.cost)
        row, _ = points.share(self.ranges * kernel.range, grain(cost), "row")
        group = panel = index(0)
        if kernel.groups > 1:
            group = points.loop("group", index(0), index(kernel.groups))
        if kernel.panels > 1:
            panel = points.loop("panel", index(0), index(kernel.panels))
        self._merged(row, group, panel, index(0), self._columns(panel))
        if kernel.panels > 1:
            points.leave()
        if kernel.groups > 1:
            points.leave()
        points.leave()

    def _merged(self, row: Expr, group: Expr, panel: Expr, begin: Expr, end: Expr) -> None:
        """The columns [begin, end) of a panel in a row of w."""
        kernel, points = self.kernel, self.points
        shape = kernel.node.types[0].shape
        number, inside = row // kernel.range, points.let("inside", row % kernel.range)
        clear(points, "total", self.x, begin, end)
        part: Expr = index(0)
        if kernel.parts > 1:
            part = points.loop("part", index(0), index(kernel.parts))
        panels = (part * kernel.groups + group) * kernel.panels + panel
        start = (panels * self.ranges + number) * kernel.sums + inside * self.columns
        start = points.let("at", start)
        v = points.loop("v", begin, end)
        points.add(Accumulate("total", v, Load(self.dtype, "sums", start + v)))
        points.leave()
        if kernel.parts > 1:
            points.leave()
        positions = [points.let("i", at) for at in unravel(row, shape[:-1])]
        base = points.let("column", group * kernel.outputs + panel * self.columns)
        v = points.loop("v", begin, end)
        spans = points.leading(shape)
        points.axes = [
            Axis(*span, at) for span, at in zip(spans, [*positions, base + v], strict=True)
        ]
        points.define(kernel.node, Load(self.dtype, "total", v))
        for node in kernel.nodes[1:]:
            points.member(node)
        for value in kernel.writes:
            points.add(store(points, value, points.member(value.node)))
        points.leave()


def _dot(numbers: tuple[int, ...], steps: list[int]) -> int:
    return sum(n * s for n, s in zip(numbers, steps, strict=False))
