"""The loop IR: what a kernel is before it is text. `codegen/emit_c.py` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphc.dtypes import DType
from graphc.ir.expr import Expr, Var


@dataclass(slots=True, eq=False)
class Stmt:
    pass


@dataclass(slots=True, eq=False)
class For(Stmt):
    """`for (var = begin; var < end; var += step)`."""

    var: Var
    begin: Expr
    end: Expr
    body: list[Stmt]
    step: int = 1


@dataclass(slots=True, eq=False)
class If(Stmt):
    condition: Expr
    body: list[Stmt]
    otherwise: list[Stmt] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class While(Stmt):
    condition: Expr
    body: list[Stmt]


@dataclass(slots=True, eq=False)
class Break(Stmt):
    """Ends the innermost loop."""


@dataclass(slots=True, eq=False)
class Let(Stmt):
    """`const T name = value;`"""

    var: Var
    value: Expr


@dataclass(slots=True, eq=False)
class Declare(Stmt):
    """A mutable local scalar with its first value."""

    var: Var
    value: Expr


@dataclass(slots=True, eq=False)
class Assign(Stmt):
    var: Var
    value: Expr


@dataclass(slots=True, eq=False)
class Array(Stmt):
    """A local array, aligned to 64 bytes and at most 4 KiB."""

    name: str
    dtype: DType
    size: int


@dataclass(slots=True, eq=False)
class Numbers(Stmt):
    """A constant table of positions: `static const int64_t name[] = {…};`"""

    name: str
    values: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Pointer(Stmt):
    """`T *name = base + offset;` (`const` where only read)."""

    name: str
    dtype: DType
    base: str
    offset: Expr
    readonly: bool = False


@dataclass(slots=True, eq=False)
class Store(Stmt):
    """`buffer[offset] = value;`"""

    buffer: str
    offset: Expr
    value: Expr


@dataclass(slots=True, eq=False)
class Accumulate(Stmt):
    """`buffer[offset] += value;`"""

    buffer: str
    offset: Expr
    value: Expr


@dataclass(slots=True, eq=False)
class Do(Stmt):
    """A call for its effect. An argument is an expression, or text for a pointer."""

    function: str
    arguments: tuple[Expr | str, ...]


@dataclass(slots=True, eq=False)
class Share(Stmt):
    """`const gx_range name = gx_share(extent, grain, t);`: the thread's part of an axis."""

    name: str
    extent: Expr
    grain: int


@dataclass(slots=True, eq=False)
class Only(Stmt):
    """Runs on one thread of the region."""

    body: list[Stmt]


@dataclass(slots=True, eq=False)
class Barrier(Stmt):
    """Every thread of the region arrives before any goes on."""


@dataclass(slots=True, eq=False)
class Comment(Stmt):
    text: str


@dataclass(slots=True, eq=False)
class Param:
    """A function's argument: a pointer, or a scalar by value."""

    name: str
    dtype: DType
    pointer: bool = True
    readonly: bool = True
    restrict: bool = True


@dataclass(slots=True, eq=False)
class Function:
    """`comment` stands above; `params` exclude the thread, which comes last."""

    name: str
    params: list[Param]
    body: list[Stmt]
    comment: list[str] = field(default_factory=list)


def local_bytes(body: Sequence[Stmt]) -> int:
    """The bytes of all local arrays."""
    total = 0
    for statement in body:
        if isinstance(statement, Array):
            total += statement.size * statement.dtype.itemsize
        for name in ("body", "otherwise"):
            total += local_bytes(getattr(statement, name, ()))
    return total
