"""Correlations with few outputs, whose columns alone would leave most of a vector empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from graphc.schedule.convolution import BLOCK_ROWS, Correlation
from graphc.schedule.correlation import Phase, phases
from graphc.schedule.cost import PACK, Work
from graphc.schedule.group import Group
from graphc.schedule.kernel import Choices, Workspace
from graphc.schedule.storage import Storage
from graphc.schedule.tiles import UNIT_ROWS, round_up

#: Outputs that are few, and terms of a tap at least: a law of shape alone.
FEW_OUTPUTS = 4
#: Elements of which the way from the products of a pixel to the next is no multiple.
APART = 16
#: Cycles of a product that is added to its element.
GATHERED = 0.7


def correlation(group: Group, storage: Storage, isa: str, choices: Choices) -> Correlation:
    """The kernel of a convolution or of its input gradient."""
    plain = Correlation(group, storage, isa, choices)
    return Spread(group, storage, isa, choices) if _is_narrow(plain) else plain


def _is_narrow(kernel: Correlation) -> bool:
    """Whether every pixel of the source meets every tap, and columns are few."""
    dense = kernel.groups == 1 and all(axis.advance == 1 for axis in kernel.axes)
    few = 0 < kernel.outputs <= FEW_OUTPUTS <= kernel.depth
    return dense and few and not kernel.apart and len(kernel.taps) > 1


class Spread(Correlation):
    """Taps are columns too: all pixels of the copied part are multiplied with the weights of all
    taps at once, and an element is the sum of the products of its taps with their pixels,

        y[q, o] = Σ z[q + t, (t, o)],    z[p, (t, o)] = Σ x[p, c] · w[t, c, o].

    So sums go tap by tap.
    """

    @property
    def results(self) -> int:
        """Channels of the result."""
        return self.node.types[0].shape[-1]

    @property
    def outputs(self) -> int:
        """Columns of the product."""
        return len(self.taps) * self.results

    @property
    def candidates(self) -> Sequence[tuple[int, int]]:
        return self.tiles_for(BLOCK_ROWS * UNIT_ROWS, self.depth)

    @cached_property
    def abreast(self) -> int:
        return 1

    @property
    def stores_tiles(self) -> bool:
        return False

    @property
    def pixels(self) -> int:
        """Pixels of the copied part."""
        return self.copied.strides[0] * self.copied.shape[0] // self.channels

    @property
    def width(self) -> int:
        """From the products of a pixel to those of the next: not as far as from pixel to pixel, or
        loads would wait for stores that lie at the same place of another page.
        """
        columns = self.panels * self.tile[1]
        return columns if columns % APART else columns + APART // 4

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """The runs are where an element of channel 0 finds the products of its taps."""
        steps = [step // self.channels * self.width for step in self.copied.strides[:-2]]
        return tuple(
            replace(phase, runs=tuple(
                run + (phase.tap + k) * self.results for k, run in enumerate(phase.runs)
            ))
            for phase in phases(self.axes, (*steps, 0, 1), self.depth)
        )  # fmt: skip

    @property
    def panel_bytes(self) -> int:
        size = self.depth * self.panels * self.tile[1]
        return round_up(size * self.itemsize, 64)

    @property
    def product_bytes(self) -> int:
        """Products of all pixels, in whole tiles."""
        return round_up(round_up(self.pixels, self.tile[0]) * self.width * self.itemsize, 64)

    @property
    def work(self) -> Work:
        once = self.cycles(self.pixels, self.depth) + self.copying
        gathered = self.node.types[0].size * len(self.taps) * GATHERED
        cycles = self.units * once + gathered + self.panel_bytes * PACK + self._epilogue()
        return Work(cycles, self.units, 1)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.panel_bytes, self.copied_bytes + self.product_bytes)
