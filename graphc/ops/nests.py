"""Loop nests along one axis: the frame that cumulative operators and sorting share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from graphc.dtypes import DType, TensorType
from graphc.ir.expr import INDEX, Expr, Load, Var, cast, const, index, smaller
from graphc.ir.loops import Accumulate, Assign, Declare, For, Let, Stmt, Store
from graphc.ir.spec import Index, Nest, NestIO, row_major, unravel


class Lines:
    """The lines of a tensor along one axis, each a unit of work."""

    def __init__(self, type: TensorType, axis: int):
        self.axis = axis
        self.extent = type.shape[axis]
        self.others = (*type.shape[:axis], *type.shape[axis + 1 :])

    @property
    def count(self) -> int:
        """How many lines there are to work on: none where they have no elements."""
        return math.prod(self.others) if self.extent else 0

    def of(self, io: NestIO) -> Callable[[Expr], Index]:
        """The positions of the elements of the unit's line."""
        lead = unravel(io.unit, self.others)
        return lambda k: (*lead[: self.axis], k, *lead[self.axis :])


#: Lines that are gone along side by side.
_TOGETHER = 64

First = Callable[[NestIO, Index], Expr]
Following = Callable[[NestIO, Expr, Index], Expr]


def folded_along(
    type: TensorType, axis: int, carried: DType, first: First, following: Following, cost: int
) -> Nest:
    """y[0] = first(0), y[k] = following(y[k-1], k) along an axis, where y[k-1] is carried as
    `carried`. Lines that lie side by side are gone along together, in the order of memory.
    """
    beside = [1]
    for extent in reversed(type.shape[axis + 1 :]):
        if beside[-1] * extent > _TOGETHER and len(beside) > 1:
            break
        beside.append(beside[-1] * extent)
    if beside[-1] > 1:
        return _together(type, axis, len(beside) - 1, carried, first, following, cost)
    lines = Lines(type, axis)

    def body(io: NestIO) -> list[Stmt]:
        at, k = lines.of(io), counter(io)
        total = Var(carried, io.fresh("total"))
        leave = cast(total, type.dtype)
        step = [Assign(total, following(io, total, at(k))), io.write(0, at(k), leave)]
        return [
            Declare(total, first(io, at(ZERO))),
            io.write(0, at(ZERO), leave),
            For(k, ONE, index(lines.extent), step),
        ]

    return Nest(lines.count, body, cost * lines.extent)


def _together(
    type: TensorType,
    axis: int,
    inner: int,
    carried: DType,
    first: First,
    following: Following,
    cost: int,
) -> Nest:
    """`folded_along` for the lines of the last `inner` axes at a time; of one long axis, a part."""
    shape, extent = type.shape, type.shape[axis]
    others = (*shape[:axis], *shape[axis + 1 : -inner])
    beside = shape[-inner:]
    parts = -(-beside[0] // _TOGETHER) if inner == 1 else 1
    width = -(-math.prod(beside) // max(1, parts))

    def body(io: NestIO) -> list[Stmt]:
        part, lead = io.unit % parts, unravel(io.unit // parts, others)
        before: list[Stmt] = []
        ends: list[Expr] = [index(n) for n in beside]
        begin: Expr = ZERO
        if parts > 1:
            begin, count = (Var(INDEX, io.fresh(name)) for name in ("begin", "count"))
            left = smaller(beside[0] - begin, index(width))
            before += [Let(begin, part * width), Let(count, left)]
            ends = [count]

        def go(k: Expr, step: Callable[[Expr, Index], Expr]) -> list[Stmt]:
            columns = [counter(io, "c") for _ in beside]
            steps = zip(columns, row_major(beside), strict=True)
            own = sum((c * n for c, n in steps), ZERO)
            at = (*lead[:axis], k, *lead[axis:], begin + columns[0], *columns[1:])
            state = Var(carried, io.fresh("total"))
            loop: list[Stmt] = [
                Let(state, step(own, at)),
                Store(io.scratch[0], own, state),
                io.write(0, at, cast(state, type.dtype)),
            ]
            for column, end in zip(reversed(columns), reversed(ends), strict=True):
                loop = [For(column, ZERO, end, loop)]
            return loop

        def next_one(own: Expr, at: Index) -> Expr:
            return following(io, Load(carried, io.scratch[0], own), at)

        k = counter(io)
        start = go(ZERO, lambda own, at: first(io, at))
        return [*before, *start, For(k, ONE, index(extent), go(k, next_one))]

    units = math.prod(others) * parts if type.size else 0
    return Nest(units, body, cost * extent * width, ((carried, width),))


def counter(io: NestIO, prefix: str = "k") -> Var:
    """A fresh loop counter."""
    return Var(INDEX, io.fresh(prefix))


def over(counters: Sequence[Var], extents: Sequence[int], body: list[Stmt]) -> list[Stmt]:
    """The body in loops over a shape, the last axis innermost."""
    for var, extent in zip(reversed(counters), reversed(extents), strict=True):
        body = [For(var, ZERO, index(extent), body)]
    return body


def filled(io: NestIO, array: str, count: int, value: Expr) -> Stmt:
    """The first elements of a working array set to a value."""
    c = counter(io, "c")
    return For(c, ZERO, index(count), [Store(array, c, value)])


class Sums:
    """A working array of sums."""

    def __init__(self, io: NestIO, array: str, dtype: DType):
        self.io = io
        self.array = array
        self.dtype = dtype

    def clear(self, count: Expr | int) -> Stmt:
        c = counter(self.io, "c")
        return For(c, ZERO, ZERO + count, [Store(self.array, c, const(0, self.dtype))])

    def add(self, at: Expr, value: Expr) -> Stmt:
        return Accumulate(self.array, at, value)

    def leave(self, count: Expr | int, write: Callable[[Expr, Expr], Stmt]) -> Stmt:
        """`write(c, sum)` for every sum."""
        c = counter(self.io, "c")
        return For(c, ZERO, ZERO + count, [write(c, Load(self.dtype, self.array, c))])


ZERO, ONE = index(0), index(1)
