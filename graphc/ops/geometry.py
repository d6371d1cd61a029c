"""Windows over spatial axes: where their taps lie, and loops over the taps that lie inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphc.errors import ShapeError
from graphc.ir.expr import INDEX, Expr, call, compare, index, smaller
from graphc.ir.loops import For, If, Let, Stmt
from graphc.ir.site import located
from graphc.ir.spec import Index, NestIO
from graphc.ops.nests import ZERO, counter, over

Body = Callable[[Index, Index], list[Stmt]]


@dataclass(frozen=True)
class Geometry:
    """Along each spatial axis: tap k of window o lies at o·stride + k·dilation - before, where
    `padding` is (before, after).
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def check(self, extents: Sequence[int], what: str) -> None:
        """Raises ShapeError where the numbers do not fit together."""
        counts = {len(v) for v in (self.kernel, self.strides, self.padding, self.dilation)}
        if counts != {len(extents)} or not extents:
            raise ShapeError(
                located(f"{what}: strides, padding and dilation for {len(extents)} axes required")
            )
        if min(*self.kernel, *self.strides, *self.dilation) < 1:
            raise ShapeError(located(f"{what}: window, strides and dilation >= 1 required"))
        if min(p for pair in self.padding for p in pair) < 0:
            raise ShapeError(located(f"{what}: padding >= 0 required"))
        for n, k, (before, after), d in zip(
            extents, self.kernel, self.padding, self.dilation, strict=True
        ):
            if (k - 1) * d + 1 > n + before + after:
                raise ShapeError(located(f"{what}: the window is larger than the padded input"))

    def windows(self, extents: Sequence[int]) -> tuple[int, ...]:
        """How many windows lie along each axis."""
        return tuple(
            (n + before + after - (k - 1) * d - 1) // s + 1
            for n, k, s, (before, after), d in zip(
                extents, self.kernel, self.strides, self.padding, self.dilation, strict=True
            )
        )

    def taps(self, io: NestIO, o: Index, body: Body) -> list[Stmt]:
        """Loops over the taps k of window o, at i, where there is no padding: `body(k, i)`."""
        k = tuple(counter(io) for _ in o)
        i = [a * s + t * e for a, s, t, e in zip(o, self.strides, k, self.dilation, strict=True)]
        return over(k, self.kernel, body(k, tuple(i)))

    def owners(self, io: NestIO, i: Index, extents: Sequence[int], body: Body) -> list[Stmt]:
        """Loops over the windows o of which a tap k lies at i: `body(k, o)`."""
        k = tuple(counter(io) for _ in extents)
        o = tuple(counter(io, "o") for _ in extents)
        stmts = body(k, o)
        for a, count in reversed(list(enumerate(self.windows(extents)))):
            at, stride, step = counter(io, "at"), self.strides[a], self.dilation[a]
            behind = at - o[a] * stride
            tap: list[Stmt]
            if step > 1:
                tap = [If(compare("==", behind % step, ZERO), [Let(k[a], behind // step), *stmts])]
            else:
                tap = [Let(k[a], behind), *stmts]
            begin, end = _bounds(at - (self.kernel[a] - 1) * step, at + 1, stride, count)
            stmts = [Let(at, i[a] + self.padding[a][0]), For(o[a], begin, end, tap)]
        return stmts


def _bounds(low: Expr, high: Expr, step: int, count: int) -> tuple[Expr, Expr]:
    """The numbers m in [0, count) with low <= m·step < high, as the bounds of a loop. Divisions
    round up for positive numerators; for others their sign is all that matters.
    """
    first, last = (low + (step - 1)) // step, (high + (step - 1)) // step
    return call("gx_larger", INDEX, ZERO, first), smaller(last, index(count))
