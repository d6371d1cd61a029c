"""`Spread` kernels: products of all pixels and taps, then the sums of those that meet."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from graphc.codegen.copied import clear
from graphc.codegen.correlation import Generator, tile_function
from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, workspace_pointer
from graphc.ir.expr import INDEX, Expr, Load, Var, index
from graphc.ir.loops import Accumulate, Array, Do, Stmt, Store
from graphc.schedule.kernel import grain
from graphc.schedule.spread import Spread


def spread_body(kernel: Spread, arguments: Arguments) -> list[Stmt]:
    return _Generator(kernel, arguments).build()


#: Taps whose sum is written as one expression at most.
WRITTEN_TAPS = 32


class _Generator(Generator):
    """Loops: units (images, blocks of rows); panels, pixels of the copied part; phases, rows,
    pixels, taps.
    """

    kernel: Spread

    def _arrays(self) -> None:
        kernel, points = self.kernel, self.points
        at = kernel.panel_bytes + kernel.copied_bytes
        points.add(workspace_pointer("products", self.dtype, at, kernel.workspace.per_thread))
        if not self.constant_runs:
            points.add(Array("total", self.dtype, kernel.results))

    @property
    def constant_runs(self) -> bool:
        """Sums of one phase are expressions, where those are not long."""
        return len(self.kernel.phases) == 1 and self.taps <= WRITTEN_TAPS

    def _pack(self) -> None:
        """Panels whose columns are the channels of one tap after the other, then zeros."""
        kernel, points = self.kernel, self.points
        place = kernel.storage.places[self._weights]
        *_, down, across = place.strided.strides
        if kernel.declared.result == "x":
            down, across = across, down
        term, _ = points.share(kernel.depth, grain(kernel.width), "c")
        for number in range(kernel.panels):
            begin = points.let("begin", (number * kernel.depth + term) * self.columns)
            clear(points, "weights", kernel.source, begin, begin + self.columns)
        tap = points.loop("tap", index(0), index(self.taps))
        v = points.loop("v", index(0), index(kernel.results))
        column = points.let("column", tap * kernel.results + v)
        panel: Expr = column // self.columns if kernel.panels > 1 else index(0)
        inside = column % self.columns if kernel.panels > 1 else column
        to = (panel * kernel.depth + term) * self.columns + inside
        at = Load(INDEX, "taps", tap) + term * down + v * across + place.strided.offset
        points.add(Store("weights", to, Load(self.dtype, points.arrays[place.root], at)))
        points.leave()
        points.leave()
        points.leave()

    def _products(self, unit: Expr, first: Expr) -> None:
        kernel, points = self.kernel, self.points
        panel: Expr = index(0)
        if kernel.panels > 1:
            panel = points.loop("panel", index(0), index(kernel.panels))
        pixel = points.loop("p", index(0), index(kernel.pixels), self.rows)
        points.add(Do(f"{tile_function(kernel)[0]}_into", (
            index(kernel.depth), address("rows", pixel * kernel.channels), index(kernel.channels),
            index(1), address("weights", panel * (kernel.depth * self.columns)),
            index(self.columns), address("products", pixel * kernel.width + panel * self.columns),
            index(kernel.width), Var(INDEX, "GX_SET"),
        )))  # fmt: skip
        points.leave()
        if kernel.panels > 1:
            points.leave()
        self._sums(first)

    def _sums(self, first: Expr) -> None:
        kernel, points = self.kernel, self.points
        (run, runs, _, _), firsts, begins, limits = self._enter_phase(first)
        steps = [step // kernel.channels * kernel.width for step in kernel.copied.strides[:-2]]
        at: Expr = index(0)
        position: list[Expr] = []
        for begin, limit, step in zip(begins[:-1], limits[:-1], steps[:-1], strict=True):
            q = points.loop("q", begin, limit)
            at = at + (q - begin) * step
            position.append(q)

        def sums(u: Expr) -> Callable[[Expr], Expr]:
            base = points.let("at", at + u * steps[-1])
            if self.constant_runs:
                return lambda v: self._sum(base + v)
            clear(points, "total", kernel.source, index(0), index(kernel.results))
            k = points.loop("k", run, run + runs)
            source = points.let("from", base + Load(INDEX, "runs", k))
            v = points.loop("v", index(0), index(kernel.results))
            points.add(Accumulate("total", v, Load(self.dtype, "products", source + v)))
            points.leave()
            points.leave()
            return lambda v: Load(self.dtype, "total", v)

        position.append(begins[-1])
        channels = index(0), index(kernel.results)
        self._epilogue(position, firsts, limits[-1] - begins[-1], channels, sums)

    def _sum(self, at: Expr) -> Expr:
        (phase,) = self.kernel.phases
        loads: list[Expr] = [Load(self.dtype, "products", at + run) for run in phase.runs]
        return reduce(lambda total, load: total + load, loads[1:], loads[0])
