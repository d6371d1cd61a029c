"""Index-set splitting: a loop whose body asks where it is becomes loops that know.

`for (i = 0; i < 6; i++) y[i] = i < 2 ? a[i] : b[i - 2];` becomes a loop over 0, 1 that reads a and
one over 2 … 5 that reads b. Besides the speed there is a hazard: gcc 12 vectorizes loads under
nested conditions wrongly (masked loads, -O3 -march=x86-64-v3 -fno-trapping-math). A loop that still
loads under a condition afterwards is kept from being vectorized.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

from graphc.codegen.tidy import bodies, expressions, has_load
from graphc.dtypes import bool_
from graphc.ir.expr import (
    INDEX,
    Binary,
    Call,
    Cast,
    Const,
    Expr,
    Load,
    Select,
    Unary,
    Var,
    call,
    index,
    operands,
    smaller,
)
from graphc.ir.loops import Accumulate, Assign, Declare, Do, For, If, Let, Only, Stmt, Store

#: More places where a condition changes leave a loop as it is.
_MOST_BREAKS = 8


def split_loops(body: list[Stmt]) -> list[Stmt]:
    """The same statements, loops split where conditions on their counters change."""
    result: list[Stmt] = []
    for stmt in body:
        for inner in bodies(stmt):
            inner[:] = split_loops(inner)
        if isinstance(stmt, For) and stmt.step == 1:
            result.extend(_split(stmt))
        else:
            result.append(stmt)
    return result


def keep_scalar(body: list[Stmt]) -> list[Stmt]:
    """Marks the innermost loops that load under a condition: they are not to be vectorized."""
    for stmt in body:
        for inner in bodies(stmt):
            keep_scalar(inner)
        if isinstance(stmt, For) and any(
            _loads_under_condition(e) for s in stmt.body for e in expressions(s)
        ):
            stmt.body.insert(0, Do("GX_SCALAR_LOOP", ()))
    return body


def _loads_under_condition(expr: Expr) -> bool:
    stack = [expr]
    while stack:
        part = stack.pop()
        if isinstance(part, Select) and loads_under(part):
            return True
        stack.extend(operands(part))
    return False


def loads_under(choice: Select) -> bool:
    """Whether memory is read under a condition."""
    return has_load(choice.yes) or has_load(choice.no)


def _split(loop: For) -> list[Stmt]:
    breaks = sorted({at for e in _conditions(loop.body) if (at := _break(e, loop.var)) is not None})
    if isinstance(loop.begin, Const) and isinstance(loop.end, Const):
        begin, end = loop.begin.value, loop.end.value
        breaks = [at for at in breaks if begin < at < end]
    if not breaks or len(breaks) > _MOST_BREAKS:
        return [loop]
    edges: list[int | None] = [None, *breaks, None]
    loops: list[Stmt] = []
    for low, high in pairwise(edges):
        known = _knowing(loop.var, low, high)
        body = split_loops([mapped(s, known) for s in loop.body])
        begin_at, end_at = _latest(loop.begin, low), _earliest(loop.end, high)
        loops.append(For(loop.var, begin_at, end_at, body))
    return loops


def _latest(begin: Expr, low: int | None) -> Expr:
    if low is None:
        return begin
    if isinstance(begin, Const):
        return index(max(begin.value, low))
    return call("gx_larger", INDEX, begin, index(low))


def _earliest(end: Expr, high: int | None) -> Expr:
    return end if high is None else smaller(end, index(high))


def _conditions(body: list[Stmt]) -> Iterator[Expr]:
    """The parts of all conditions of selections."""
    for stmt in body:
        for expr in expressions(stmt):
            stack = [expr]
            while stack:
                part = stack.pop()
                if isinstance(part, Select):
                    yield from _terms(part.condition)
                stack.extend(operands(part))
        for inner in bodies(stmt):
            yield from _conditions(inner)


def _terms(condition: Expr) -> Iterator[Expr]:
    if isinstance(condition, Binary) and condition.op in ("&&", "||"):
        yield from _terms(condition.left)
        yield from _terms(condition.right)
    else:
        yield condition


def _break(condition: Expr, var: Var) -> int | None:
    """The first value of a counter for which a comparison with it has changed, or None."""
    if not isinstance(condition, Binary) or not isinstance(condition.right, Const):
        return None
    shift = _shift(condition.left, var)
    if shift is None or condition.op not in ("<", "<=", ">", ">="):
        return None
    return int(condition.right.value) - shift + (condition.op in ("<=", ">"))


def _shift(expr: Expr, var: Var) -> int | None:
    """c where an expression is the counter plus c."""
    if isinstance(expr, Var):
        return 0 if expr.name == var.name else None
    if isinstance(expr, Binary) and isinstance(expr.right, Const) and expr.op in "+-":
        inner = _shift(expr.left, var)
        if inner is not None and expr.dtype is INDEX:
            return inner + (expr.right.value if expr.op == "+" else -expr.right.value)
    return None


def _knowing(var: Var, low: int | None, high: int | None) -> Callable[[Expr], Expr]:
    """Rewrites an expression for low <= var < high: conditions that are decided disappear."""

    def decide(expr: Expr) -> bool | None:
        if isinstance(expr, Const):
            return bool(expr.value)
        at = _break(expr, var)
        if at is None or not isinstance(expr, Binary):
            return None
        below = high is not None and high <= at
        above = low is not None and low >= at
        if not (below or above):
            return None
        return below if expr.op in ("<", "<=") else above

    def rewrite(expr: Expr) -> Expr:
        known = decide(expr) if expr.dtype is bool_ else None
        if known is not None:
            return Const(bool_, known)
        expr = with_operands(expr, rewrite)
        if isinstance(expr, Select) and isinstance(expr.condition, Const):
            return expr.yes if expr.condition.value else expr.no
        if isinstance(expr, Binary) and expr.op in ("&&", "||"):
            for side, other in ((expr.left, expr.right), (expr.right, expr.left)):
                if isinstance(side, Const):
                    return other if bool(side.value) == (expr.op == "&&") else side
        return expr

    return rewrite


def with_operands(expr: Expr, f: Callable[[Expr], Expr]) -> Expr:
    """A copy of an expression with its operands rewritten."""
    match expr:
        case Binary():
            return replace(expr, left=f(expr.left), right=f(expr.right))
        case Select():
            return replace(expr, condition=f(expr.condition), yes=f(expr.yes), no=f(expr.no))
        case Load():
            return replace(expr, offset=f(expr.offset))
        case Call():
            return replace(expr, arguments=tuple(map(f, expr.arguments)))
        case Unary() | Cast():
            return replace(expr, operand=f(expr.operand))
    return expr


def mapped(stmt: Stmt, f: Callable[[Expr], Expr]) -> Stmt:
    """A copy of a statement with its expressions rewritten."""
    match stmt:
        case For():
            inner = [mapped(s, f) for s in stmt.body]
            return replace(stmt, begin=f(stmt.begin), end=f(stmt.end), body=inner)
        case If():
            inner = [mapped(s, f) for s in stmt.body]
            other = [mapped(s, f) for s in stmt.otherwise]
            return replace(stmt, condition=f(stmt.condition), body=inner, otherwise=other)
        case Only():
            return replace(stmt, body=[mapped(s, f) for s in stmt.body])
        case Let() | Declare() | Assign():
            return replace(stmt, value=f(stmt.value))
        case Store() | Accumulate():
            return replace(stmt, offset=f(stmt.offset), value=f(stmt.value))
        case Do():
            arguments = tuple(f(a) if isinstance(a, Expr) else a for a in stmt.arguments)
            return replace(stmt, arguments=arguments)
    return stmt
