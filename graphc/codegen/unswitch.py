"""Loop unswitching: a choice that is the same in every turn of a loop is made once, before it.

`for (i = 0; i < 6; i++) y[i] = part < 1 ? a[i] : b[i];` becomes `if (part < 1)` a loop over a,
`else` one over b. Only loops that would load under the condition are taken: the others may be
vectorized as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphc.codegen.split import loads_under, mapped, with_operands
from graphc.codegen.tidy import bodies, expressions, has_load, names, same
from graphc.ir.expr import Expr, Select, operands
from graphc.ir.loops import Assign, Declare, For, If, Let, Stmt

#: So many choices are made in front of a loop at most, one after the other.
_MOST_CHOICES = 4


def unswitch(body: list[Stmt]) -> list[Stmt]:
    """The same statements, innermost loops behind the choices that they do not change."""
    result: list[Stmt] = []
    for stmt in body:
        for inner in bodies(stmt):
            inner[:] = unswitch(inner)
        if isinstance(stmt, For) and not any(map(bodies, stmt.body)):
            stmt = _unswitched(stmt, _MOST_CHOICES)
        result.append(stmt)
    return result


def _unswitched(loop: For, most: int) -> Stmt:
    changing = {loop.var.name}
    changing.update(s.var.name for s in loop.body if isinstance(s, Let | Declare | Assign))
    choice = next((c for c in _choices(loop.body) if changing.isdisjoint(names(c))), None)
    if choice is None or most == 0:
        return loop
    yes, no = (_copy(loop, _knowing(choice, known)) for known in (True, False))
    return If(choice, [_unswitched(yes, most - 1)], [_unswitched(no, most - 1)])


def _copy(loop: For, f: Callable[[Expr], Expr]) -> For:
    copy = mapped(loop, f)
    assert isinstance(copy, For)
    return copy


def _choices(body: list[Stmt]) -> Iterator[Expr]:
    """Conditions, which load nothing themselves, under which something is loaded."""
    for stmt in body:
        stack = expressions(stmt)
        while stack:
            part = stack.pop()
            if isinstance(part, Select) and loads_under(part) and not has_load(part.condition):
                yield part.condition
            stack.extend(operands(part))


def _knowing(choice: Expr, known: bool) -> Callable[[Expr], Expr]:
    """Rewrites an expression for a condition that is known."""

    def rewrite(expr: Expr) -> Expr:
        if isinstance(expr, Select) and same(expr.condition, choice):
            return rewrite(expr.yes if known else expr.no)
        return with_operands(expr, rewrite)

    return rewrite
