"""`Correlation` kernels: convolutions and their input gradients as products of a copied part of the
source, read in place at every tap, and of packed panels of weights.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.codegen.copied import Copy
from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, store, workspace_pointer
from graphc.codegen.points import Axis, Names, Points
from graphc.ir.expr import INDEX, Const, Expr, Load, Var, index, smaller
from graphc.ir.loops import Array, Barrier, Do, Numbers, Stmt
from graphc.schedule.convolution import Convolution, Correlation
from graphc.schedule.correlation import Phase

#: Channels that are packed together.
PACKED = 16


def correlation_body(kernel: Correlation, arguments: Arguments) -> list[Stmt]:
    return Generator(kernel, arguments).build()


def tile_function(kernel: Convolution) -> tuple[str, str]:
    """The name of the register tile's function, and the line that defines it."""
    rows, columns = kernel.tile
    suffix = kernel.node.types[0].dtype.suffix
    kind = "lanes" if kernel.apart else "tile"
    name = f"gx_{kind}_{suffix}_{rows}x{columns}"
    return name, f"GX_{kind.upper()}_{suffix.upper()}({name}, {rows}, {columns})"


class Generator:
    """Loops: units (images, group, block of rows or share of panels), panels of weights, phases,
    rows, tiles.
    """

    def __init__(self, kernel: Correlation, arguments: Arguments):
        self.kernel = kernel
        self.names = Names()
        self.points = Points(kernel, arguments.names, arguments.mutable, self.names)
        self.dtype = kernel.source.dtype
        self.rows, self.columns = kernel.tile
        self.taps = len(kernel.taps)

    def build(self) -> list[Stmt]:
        kernel, points = self.kernel, self.points
        body: list[Stmt] = []
        points.enter(body)
        self._tables()
        points.add(workspace_pointer("weights", self.dtype, 0))
        own = kernel.workspace.per_thread
        points.add(workspace_pointer("rows", self.dtype, kernel.panel_bytes, own))
        self._arrays()
        if self.taps:
            self._pack()
        points.add(Barrier())
        self._units()
        return body

    @property
    def constant_runs(self) -> bool:
        """Whether the runs are written out where they are used."""
        return False

    def _arrays(self) -> None:
        """More of what a thread works with."""
        if not self.kernel.stores_tiles:
            self.points.add(Array("tile", self.dtype, self.rows * self.columns))

    def _tables(self) -> None:
        phases = self.kernel.phases
        strides = self.kernel.storage.places[self._weights].strided.strides
        taps = tuple(
            sum(k * s for k, s in zip(tap, strides, strict=False)) for tap in self.kernel.taps
        )
        runs = tuple(run for phase in phases for run in phase.runs)
        self.points.add(Numbers("taps", taps or (0,)))
        if not self.constant_runs:
            self.points.add(Numbers("runs", runs or (0,)))
        if len(phases) > 1:
            rows = tuple(n for phase in phases for n in self._fields(phase))
            self.points.add(Numbers("phases", rows))

    def _fields(self, phase: Phase) -> tuple[int, ...]:
        """Of a phase: first run, runs, terms, first tap, then first element and count by axis."""
        before = self.kernel.phases[: self.kernel.phases.index(phase)]
        head = (sum(len(p.runs) for p in before), len(phase.runs), phase.terms, phase.tap)
        return (*head, *[n for line in phase.lines for n in (line.first, line.count)])

    @property
    def _weights(self):
        return self.kernel.operand("w")

    def _pack(self) -> None:
        """All panels, each with its taps in the order of the runs. All taps of a few channels are
        packed together: where weights are stored with their taps last, these are neighbours.
        """
        kernel, points = self.kernel, self.points
        blocks = -(-kernel.depth // PACKED)
        units = kernel.groups * kernel.panels * blocks
        size = self.taps * min(kernel.depth, PACKED) * self.columns
        unit, _ = points.share(units, 1 + (1 << 14) // (1 + size), "n")
        first = points.let("first", unit % blocks * PACKED)
        above = points.let("panels", unit // blocks)
        panel = points.let("panel", above % kernel.panels)
        group = above // kernel.panels if kernel.groups > 1 else index(0)
        place = kernel.storage.places[self._weights]
        *_, across, down = place.strided.strides
        last = down
        outputs = kernel.outputs
        if kernel.declared.result == "y" or kernel.apart:
            across, down = down, across
        share = (outputs if kernel.declared.result == "y" else kernel.channels) * last
        start = panel * (self.columns * across) + group * share + first * down
        depth: Expr = index(PACKED)
        if kernel.depth % PACKED:
            rest = index(kernel.depth) - first
            depth = points.let("depth", smaller(rest, index(PACKED)))
        tap = points.loop("tap", index(0), index(self.taps))
        at = start + Load(INDEX, "taps", tap) + place.strided.offset
        to = (above * self.taps + tap) * (kernel.depth * self.columns) + first * self.columns
        points.add(Do(f"gx_pack_{self.dtype.suffix}", (
            self._columns(panel), depth, address(points.arrays[place.root], at), index(across),
            index(down), index(self.columns), address("weights", to),
        )))  # fmt: skip
        points.leave()
        points.leave()

    def _columns(self, panel: Expr) -> Expr:
        """How many columns of a panel there are."""
        outputs = self.kernel.outputs
        if outputs % self.columns == 0:
            return index(self.columns)
        rest = index(outputs) - panel * self.columns
        return smaller(rest, index(self.columns))

    def _units(self) -> None:
        kernel, points = self.kernel, self.points
        unit, _ = points.share(kernel.units, kernel.grain, "unit")
        first = points.let("first", unit % kernel.blocks * kernel.block)
        if kernel.blocks == 1:
            first = index(0)
        above = unit // (kernel.blocks * kernel.shares)
        self.group = points.let("group", above % kernel.groups)
        self.image = points.let("image", above // kernel.groups * kernel.abreast)
        low, *lows = (axis.low for axis in kernel.axes)
        starts = [points.let("start", first * kernel.axes[0].advance + low), *map(index, lows)]
        channel = points.let("channel", self.group * kernel.channels)
        source = kernel.source
        Copy(points, "rows", kernel.copied, source, self.image, channel, starts).write(kernel.slack)
        self._products(unit, first)

    def _products(self, unit: Expr, first: Expr) -> None:
        """The loops over panels, phases and rows, once what they read is copied."""
        kernel, points = self.kernel, self.points
        panel: Expr = index(0)
        if kernel.panels > 1:
            begin: Expr = index(0)
            end: Expr = index(kernel.panels)
            if kernel.shares > 1:
                begin = points.let("begin", unit % kernel.shares * kernel.together)
                end = smaller(begin + kernel.together, end)
            panel = points.loop("panel", begin, end)
        self._phase(panel, first)

    def _enter_phase(self, first: Expr) -> tuple[list[Expr], list[Expr], list[Expr], list[Expr]]:
        """The loop over phases: of each the runs, the first elements, and along every axis the
        positions where a unit begins and ends.
        """
        kernel, points = self.kernel, self.points
        fields: list[Expr] = [index(n) for n in self._fields(kernel.phases[0])]
        if len(kernel.phases) > 1:
            phase = points.loop("phase", index(0), index(len(kernel.phases)))
            fields = [
                points.let("g", Load(INDEX, "phases", phase * len(fields) + k))
                for k in range(len(fields))
            ]
        counts = fields[5::2]
        limits = list(counts)
        if kernel.blocks > 1:
            end = smaller(first + kernel.block, counts[0])
            limits[0] = points.let("end", end)
        limits[-1] = points.let("end", limits[-1] * kernel.abreast)
        begins = [first, *[index(0)] * (len(counts) - 1)]
        return fields[:4], fields[4::2], begins, limits

    def _phase(self, panel: Expr, first: Expr) -> None:
        """The loops over phases and over the rows of each."""
        kernel, points = self.kernel, self.points
        (run, runs, terms, tap), firsts, begins, limits = self._enter_phase(first)
        at: Expr = index(0)
        position: list[Expr] = []
        for a, axis in enumerate(kernel.axes):
            ends = a == len(limits) - 1
            q = points.loop("q", begins[a], limits[a], self.rows if ends else 1)
            move = axis.advance * kernel.copied.strides[-2 if ends else a]
            at = at + (q - begins[a] if not _is_zero(begins[a]) else q) * move
            position.append(q)
        number = (self.group * kernel.panels + panel) * self.taps + tap
        last = kernel.axes[-1].advance * kernel.copied.strides[-2]
        if kernel.apart:
            at = at + panel * self.columns
        points.add(Do(f"{tile_function(kernel)[0]}_runs", (
            runs, address("runs", run), terms, address("rows", at), index(last),
            index(kernel.spacing),
            address("weights", number * (kernel.depth * self.columns)), index(self.columns),
            *self._tile(panel, position, firsts), Var(INDEX, "GX_SET"),
            "NULL", index(0), "NULL", index(0),
        )))  # fmt: skip
        if not kernel.stores_tiles:
            limit = limits[-1]
            whole = isinstance(limit, Const) and limit.value % self.rows == 0
            left = smaller(limit - position[-1], index(self.rows))
            count = index(self.rows) if whole else left
            channels = self.group * kernel.outputs + panel * self.columns, self._columns(panel)
            self._epilogue(position, firsts, count, channels, self._tile_row)

    def _tile_row(self, u: Expr) -> Callable[[Expr], Expr]:
        return lambda v: Load(self.dtype, "tile", u * self.columns + v)

    def _tile(self, panel: Expr, position: list[Expr], firsts: list[Expr]) -> tuple[str, Expr]:
        """Where a tile goes, and how far its rows lie apart."""
        kernel, points = self.kernel, self.points
        if not kernel.stores_tiles:
            return "tile", index(self.columns)
        place = kernel.storage.places[kernel.node.outputs[0]]
        image, *steps, _ = place.strided.strides
        at = self.image * image + place.strided.offset
        for q, axis, first, step in zip(position, kernel.axes, firsts, steps, strict=True):
            at = at + (q * axis.lines[0].step + first) * step
        at = at + self.group * kernel.outputs + panel * self.columns
        row = kernel.axes[-1].lines[0].step * steps[-1]
        return address(points.arrays[place.root], at), index(row)

    def _epilogue(
        self, position: list[Expr], firsts: list[Expr], count: Expr, channels: tuple[Expr, Expr],
        sums: Callable[[Expr], Callable[[Expr], Expr]],
    ) -> None:  # fmt: skip
        """The fused members of `count` pixels from a position on; `channels` are the first and how
        many; `sums` begins a pixel and gives the finished sum by channel.
        """
        kernel, points = self.kernel, self.points
        u = points.loop("u", index(0), count)
        *outer, last = position
        row = last + u
        image = self.image
        if kernel.abreast > 1:
            row = points.let("row", row)
            image = points.let("n", image + row % kernel.abreast)
        steps = [axis.lines[0].step for axis in kernel.axes]
        elements = [
            points.let("i", q * step + first)
            for q, step, first in zip([*outer, row // kernel.abreast], steps, firsts, strict=True)
        ]
        finished = sums(u)
        v = points.loop("v", index(0), channels[1])
        spans = points.leading(kernel.node.types[0].shape)
        positions = [image, *elements, channels[0] + v]
        points.axes = [Axis(*span, at) for span, at in zip(spans, positions, strict=True)]
        points.define(kernel.node, finished(v))
        for node in kernel.nodes[1:]:
            points.member(node)
        for value in kernel.writes:
            points.add(store(points, value, points.member(value.node)))


def _is_zero(expr: Expr) -> bool:
    return isinstance(expr, Const) and expr.value == 0
