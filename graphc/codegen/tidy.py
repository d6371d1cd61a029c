"""Cleaning of a kernel's loop IR: names that nothing uses, and names for what is stored at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from graphc.codegen.emit_c import expression
from graphc.ir.expr import INDEX, Binary, Expr, Load, Var, operands
from graphc.ir.loops import (
    Accumulate,
    Assign,
    Declare,
    Do,
    For,
    If,
    Let,
    Only,
    Pointer,
    Share,
    Stmt,
    Store,
    While,
)


def tidy(body: list[Stmt]) -> list[Stmt]:
    """The same statements without unused `Let`s; a value that is only stored by the very next
    statement stands there itself, `x = x + y` becomes `x += y`, and what two neighbours do under
    the same condition is done under one.
    """
    while True:
        uses: Counter[str] = Counter()
        for stmt in _all(body):
            for expr in expressions(stmt):
                uses.update(names(expr))
        before = sum(uses.values())
        body = _block(body, uses)
        after = sum(1 for s in _all(body) for e in expressions(s) for _ in names(e))
        if after == before:
            return body


def _block(body: list[Stmt], uses: Counter[str]) -> list[Stmt]:
    result: list[Stmt] = []
    for stmt in body:
        for inner in bodies(stmt):
            inner[:] = _block(inner, uses)
        if isinstance(stmt, Let) and uses[stmt.var.name] == 0:
            continue
        if isinstance(stmt, Store):
            last = result[-1] if result else None
            value = stmt.value
            if (
                isinstance(last, Let)
                and isinstance(value, Var)
                and value.name == last.var.name
                and (uses[value.name] == 1 or _uses(body, value.name) == 1)
            ):
                result.pop()
                stmt = Store(stmt.buffer, stmt.offset, last.value)
            stmt = _accumulation(stmt)
        if isinstance(stmt, If) and result and _continues(result[-1], stmt):
            before = result[-1]
            assert isinstance(before, If)
            before.body += stmt.body
            before.otherwise += stmt.otherwise
            continue
        result.append(stmt)
    return result


def _continues(before: Stmt, after: If) -> bool:
    """Whether a choice is that of the statement before it, which changes nothing about it."""
    if not isinstance(before, If) or not same(before.condition, after.condition):
        return False
    changed = {s.var.name for s in _all([before]) if isinstance(s, Assign)}
    return changed.isdisjoint(names(after.condition)) and not has_load(after.condition)


def _uses(body: list[Stmt], name: str) -> int:
    """How often a name is used in the block that declares it."""
    return sum(n == name for s in _all(body) for e in expressions(s) for n in names(e))


def _accumulation(stmt: Store) -> Stmt:
    value = stmt.value
    if (
        isinstance(value, Binary)
        and value.op == "+"
        and value.dtype.is_float
        and isinstance(value.left, Load)
        and value.left.buffer == stmt.buffer
        and same(value.left.offset, stmt.offset)
    ):
        return Accumulate(stmt.buffer, stmt.offset, value.right)
    return stmt


def same(a: Expr, b: Expr) -> bool:
    """Whether two expressions are written alike."""
    return a is b or expression(a) == expression(b)


def _all(body: list[Stmt]) -> Iterator[Stmt]:
    for stmt in body:
        yield stmt
        for inner in bodies(stmt):
            yield from _all(inner)


def bodies(stmt: Stmt) -> list[list[Stmt]]:
    """The statement lists inside a statement."""
    if isinstance(stmt, If):
        return [stmt.body, stmt.otherwise]
    return [stmt.body] if isinstance(stmt, (For, While, Only)) else []


def expressions(stmt: Stmt) -> list[Expr]:
    """The expressions of a statement itself."""
    match stmt:
        case For():
            return [stmt.begin, stmt.end]
        case If() | While():
            return [stmt.condition]
        case Let() | Declare() | Assign():
            return [stmt.value]
        case Store() | Accumulate():
            return [stmt.offset, stmt.value]
        case Pointer():
            return [stmt.offset, _word(stmt.base)]
        case Share():
            return [stmt.extent]
        case Do():
            return [a if isinstance(a, Expr) else _word(a) for a in stmt.arguments]
    return []


def _word(text: str) -> Expr:
    """Text of a pointer as a variable, for counting the names in it."""
    return Var(INDEX, text)


def has_load(expr: Expr) -> bool:
    """Whether an expression reads memory."""
    return isinstance(expr, Load) or any(map(has_load, operands(expr)))


def names(expr: Expr) -> Iterator[str]:
    """The names in an expression, one for each time it uses one."""
    stack = [expr]
    while stack:
        part = stack.pop()
        if isinstance(part, Var):
            yield from re.findall(r"[A-Za-z_]\w*", part.name)
        stack.extend(operands(part))
