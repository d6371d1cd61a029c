"""Where a convolution and its input gradient read: both are correlations of an array with taps.

Along one axis, element first + q·step of the result is the sum over taps t of the weights with
number taps[t] times the source at base + q·advance + t·spacing. A convolution is one such line. The
input gradient of a convolution with a stride is one for each remainder by the stride, each with
those taps that meet elements of y: no zeros are put between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from graphc.ir.spec import Convolve


@dataclass(frozen=True, slots=True)
class Line:
    first: int
    step: int
    count: int
    taps: tuple[int, ...]
    base: int
    advance: int
    spacing: int

    @property
    def reach(self) -> int:
        """The last source position that element q = 0 reads."""
        return self.base + (len(self.taps) - 1) * self.spacing


@dataclass(frozen=True, slots=True)
class Axis:
    """All elements of the result along an axis, as lines; the source has `extent` elements."""

    lines: tuple[Line, ...]
    extent: int

    @property
    def advance(self) -> int:
        return self.lines[0].advance

    @property
    def count(self) -> int:
        """Elements of the longest line."""
        return max(line.count for line in self.lines)

    @property
    def low(self) -> int:
        """The first source position that any line reads."""
        return min((line.base for line in self.lines if line.taps), default=0)

    def span(self, count: int) -> int:
        """Source positions from where `count` elements of every line read first to where last."""
        reach = max((line.reach for line in self.lines if line.taps), default=0)
        return (count - 1) * self.advance + reach - self.low + 1


def forward_axes(
    spec: Convolve, kernel: Sequence[int], extents: Sequence[int], counts: Sequence[int]
) -> tuple[Axis, ...]:
    """The axes of y, of `counts` elements, as the correlation of x, of `extents`."""
    return tuple(
        Axis((Line(0, 1, o, tuple(range(k)), -before, stride, step),), n)
        for n, o, k, stride, (before, _), step in zip(
            extents, counts, kernel, spec.strides, spec.padding, spec.dilation, strict=True
        )
    )  # fmt: skip


def backward_axes(
    spec: Convolve, kernel: Sequence[int], extents: Sequence[int], counts: Sequence[int]
) -> tuple[Axis, ...]:
    """The axes of x, of `extents`, as the correlation of y, of `counts` elements."""
    return tuple(
        Axis(tuple(_remainder(r, n, k, s, p[0], d) for r in range(min(s, max(n, 1)))), o)
        for n, o, k, s, p, d in zip(
            extents, counts, kernel, spec.strides, spec.padding, spec.dilation, strict=True
        )
    )  # fmt: skip


def _remainder(first: int, extent: int, kernel: int, stride: int, before: int, step: int) -> Line:
    """Elements i = first + q·stride of x. Those of y that read it, o·stride = i + before - k·step,
    are one apart from q to q, and step / gcd from tap to tap, in descending order of k.
    """
    at = first + before
    taps = tuple(k for k in reversed(range(kernel)) if (at - k * step) % stride == 0)
    base = (at - taps[0] * step) // stride if taps else 0
    count = -(-(extent - first) // stride)
    return Line(first, stride, count, taps, base, 1, step // math.gcd(stride, step))


@dataclass(frozen=True, slots=True)
class Phase:
    """One line of every axis. `runs` are the offsets in the source of its runs of `terms` products;
    `tap` is the number of its first tap in the packed weights.
    """

    lines: tuple[Line, ...]
    runs: tuple[int, ...]
    terms: int
    tap: int


def phases(
    axes: Sequence[Axis], steps: Sequence[int], depth: int, apart: bool = False
) -> tuple[Phase, ...]:
    """The combinations of lines. `steps` are the strides of the packed source: of each axis, in
    which position `low` is the first, of images, and of channels; a tap has `depth` terms.
    Neighbouring taps of the last axis are one run, if their terms follow one another or taps lie
    `apart` anyway.
    """
    *steps, image, _ = steps
    beside = steps[-1] == image
    merged = apart or all(
        len(line.taps) < 2 or (line.spacing == 1 and beside) for line in axes[-1].lines
    )
    result: list[Phase] = []
    tap = 0
    for lines in product(*[axis.lines for axis in axes]):
        counts = [range(len(line.taps)) for line in lines]
        last = len(lines[-1].taps)
        if merged:
            counts[-1] = range(min(1, last))
        runs = tuple(
            sum(
                (line.base - axis.low + t * line.spacing) * step
                for line, axis, t, step in zip(lines, axes, number, steps, strict=True)
            )
            for number in product(*counts)
        )
        result.append(Phase(lines, runs, (last if merged else 1) * depth, tap))
        tap += math.prod(len(line.taps) for line in lines)
    return tuple(result)


def tap_numbers(axes: Sequence[Axis]) -> list[tuple[int, ...]]:
    """The taps of all phases, as indices of the weights, in the order in which they are packed."""
    return [
        taps
        for lines in product(*[axis.lines for axis in axes])
        for taps in product(*[line.taps for line in lines])
    ]
