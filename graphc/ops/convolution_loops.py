"""The plain loops of convolution: correct for every shape.

The sums of one position stand in a working array, and the innermost loop runs over channels. The
weights of a group are copied first, so that this loop is contiguous however they lie in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graphc.dtypes import DType, TensorType
from graphc.ir.expr import INDEX, Expr, Load, Var, call, index
from graphc.ir.loops import For, Let, Stmt, Store
from graphc.ir.spec import Index, NestIO, row_major
from graphc.ops.geometry import Geometry
from graphc.ops.nests import ZERO, Sums, counter, over, unravel

#: Input channels of a weight gradient that one unit of work sums.
_CHANNELS = 16


@dataclass(frozen=True)
class Shapes:
    """The types of x[n, i…, g·c], w[k…, c, g·f] and y[n, o…, g·f], and how they belong together."""

    x: TensorType
    w: TensorType
    y: TensorType
    geometry: Geometry
    groups: int

    @property
    def dtype(self) -> DType:
        return self.x.dtype

    @property
    def inputs(self) -> int:
        """Input channels of a group: the extent of c."""
        return self.w.shape[-2]

    @property
    def outputs(self) -> int:
        """Output channels of a group: the extent of f."""
        return self.w.shape[-1] // self.groups


class Loops:
    """A loop nest for `ir.spec.Nest`: units of work, working arrays and the body of a unit."""

    def __init__(self, shapes: Shapes):
        self.shapes = shapes
        self.geometry = shapes.geometry
        self.c, self.f = shapes.inputs, shapes.outputs

    @property
    def units(self) -> int:
        raise TypeError

    @property
    def scratch(self) -> tuple[tuple[DType, int], ...]:
        raise TypeError

    def body(self, io: NestIO) -> list[Stmt]:
        raise TypeError

    def copied_weights(
        self, io: NestIO, operand: int, group: Expr, strides: tuple[int, int]
    ) -> list[Stmt]:
        """Copies the weights of a group to the first working array, c and f by some strides."""
        extents = self.shapes.w.shape[:-1]
        *k, c, f = (counter(io, name) for name in (*"k" * len(extents[:-1]), "c", "f"))
        at = self.tap_number(k) * (self.c * self.f) + c * strides[0] + f * strides[1]
        value = io.read(operand, (*k, c, group * self.f + f))
        return over((*k, c, f), (*extents, self.f), [Store(io.scratch[0], at, value)])

    def tap_number(self, k: Sequence[Expr]) -> Expr:
        """A tap's place in row-major order."""
        number: Expr = ZERO
        for at, step in zip(k, row_major(self.geometry.kernel), strict=True):
            number = number + at * step
        return number

    def weighted(self, io: NestIO, sums: Sums, value: Expr, at: Expr, width: int) -> list[Stmt]:
        """sums[j] += value · weights[at + j] for all j < width."""
        factor, j = Var(self.shapes.dtype, io.fresh("value")), counter(io, "j")
        product = factor * Load(self.shapes.dtype, io.scratch[0], at + j)
        return [Let(factor, value), For(j, ZERO, index(width), [sums.add(j, product)])]


class OutputLoops(Loops):
    """y of x and w: a unit is the row of one image and group along the last spatial axis."""

    @property
    def units(self) -> int:
        y = self.shapes.y
        return math.prod(y.shape[:-2]) * self.shapes.groups if y.size else 0

    @property
    def scratch(self) -> tuple[tuple[DType, int], ...]:
        dtype = self.shapes.dtype
        return (dtype, math.prod(self.geometry.kernel) * self.c * self.f), (dtype, self.f)

    def body(self, io: NestIO) -> list[Stmt]:
        n, *rows, last, _ = self.shapes.y.shape
        image, group, *head = unravel(io.unit, (n, self.shapes.groups, *rows))
        sums = Sums(io, io.scratch[1], self.shapes.dtype)
        o = counter(io, "o")

        def tap(k: Index, i: Index) -> list[Stmt]:
            c = counter(io, "c")
            x = io.read(0, (image, *i, group * self.c + c))
            at = (self.tap_number(k) * self.c + c) * self.f
            return [For(c, ZERO, index(self.c), self.weighted(io, sums, x, at, self.f))]

        def leave(f: Expr, total: Expr) -> Stmt:
            return io.write(0, (image, *head, o, group * self.f + f), total)

        extents = self.shapes.x.shape[1:-1]
        position = [
            sums.clear(self.f),
            *self.geometry.taps(io, (*head, o), extents, tap),
            sums.leave(self.f, leave),
        ]
        weights = self.copied_weights(io, 1, group, (self.f, 1))
        return [*weights, For(o, ZERO, index(last), position)]


class InputLoops(Loops):
    """x of w and y: a unit is the row of one image and group along the last spatial axis."""

    @property
    def units(self) -> int:
        x = self.shapes.x
        return math.prod(x.shape[:-2]) * self.shapes.groups if x.size else 0

    @property
    def scratch(self) -> tuple[tuple[DType, int], ...]:
        dtype = self.shapes.dtype
        return (dtype, math.prod(self.geometry.kernel) * self.c * self.f), (dtype, self.c)

    def body(self, io: NestIO) -> list[Stmt]:
        n, *rows, last, _ = self.shapes.x.shape
        image, group, *head = unravel(io.unit, (n, self.shapes.groups, *rows))
        sums = Sums(io, io.scratch[1], self.shapes.dtype)
        i = counter(io, "i")

        def tap(k: Index, o: Index) -> list[Stmt]:
            f = counter(io, "f")
            y = io.read(1, (image, *o, group * self.f + f))
            at = (self.tap_number(k) * self.f + f) * self.c
            return [For(f, ZERO, index(self.f), self.weighted(io, sums, y, at, self.c))]

        def leave(c: Expr, total: Expr) -> Stmt:
            return io.write(0, (image, *head, i, group * self.c + c), total)

        extents = self.shapes.x.shape[1:-1]
        position = [
            sums.clear(self.c),
            *self.geometry.owners(io, (*head, i), extents, tap),
            sums.leave(self.c, leave),
        ]
        weights = self.copied_weights(io, 0, group, (1, self.c))
        return [*weights, For(i, ZERO, index(last), position)]


class WeightLoops(Loops):
    """w of x and y: a unit is a tap of a group and a block of input channels. Images are summed
    one by one, then one after the other, so that no chain of additions is long.
    """

    @property
    def blocks(self) -> int:
        return -(-self.c // _CHANNELS)

    @property
    def units(self) -> int:
        taps = math.prod(self.geometry.kernel)
        return self.shapes.groups * taps * self.blocks if self.shapes.w.size else 0

    @property
    def scratch(self) -> tuple[tuple[DType, int], ...]:
        size = min(self.c, _CHANNELS) * self.f
        return (self.shapes.dtype, size), (self.shapes.dtype, size)

    def body(self, io: NestIO) -> list[Stmt]:
        shapes, dtype = self.shapes, self.shapes.dtype
        group, *k, block = unravel(io.unit, (shapes.groups, *self.geometry.kernel, self.blocks))
        total, part = (Sums(io, array, dtype) for array in io.scratch)
        image, channels = counter(io, "n"), counter(io, "channels")
        first = block * _CHANNELS
        elements = channels * self.f

        def rank_one(o: Index, i: Index) -> list[Stmt]:
            c, f = counter(io, "c"), counter(io, "f")
            factor = Var(dtype, io.fresh("value"))
            x = io.read(0, (image, *i, group * self.c + first + c))
            y = io.read(1, (image, *o, group * self.f + f))
            add = part.add(c * self.f + f, factor * y)
            row = [Let(factor, x), For(f, ZERO, index(self.f), [add])]
            return [For(c, ZERO, channels, row)]

        c, f = counter(io, "c"), counter(io, "f")
        result = Load(dtype, io.scratch[0], c * self.f + f)
        leave = io.write(0, (*k, first + c, group * self.f + f), result)
        extents = shapes.x.shape[1:-1]
        images = [
            part.clear(elements),
            *self.geometry.windows_of(io, tuple(k), extents, rank_one),
            part.leave(elements, total.add),
        ]
        return [
            Let(channels, call("gx_smaller", INDEX, index(_CHANNELS), index(self.c) - first)),
            total.clear(elements),
            For(image, ZERO, index(shapes.x.shape[0]), images),
            For(c, ZERO, channels, [For(f, ZERO, index(self.f), [leave])]),
        ]


LOOPS: dict[str, type[Loops]] = {"x": InputLoops, "w": WeightLoops, "y": OutputLoops}
