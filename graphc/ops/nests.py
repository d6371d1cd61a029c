"""Loop nests along one axis: the frame that cumulative operators and sorting share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from graphc.dtypes import DType, TensorType
from graphc.ir.expr import INDEX, Expr, Load, Var, const, index
from graphc.ir.loops import Accumulate, For, Stmt, Store
from graphc.ir.spec import Index, NestIO, unravel


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
