"""Which variable of the user's holds what a node computes, read from the text of the program."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache

from graphc.ir.site import Site

#: What operators are called that Python writes with signs.
_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide",
    ast.MatMult: "matmul", ast.Pow: "power", ast.USub: "negative", ast.Invert: "bitwise_invert",
}  # fmt: skip


def assigned(site: Site | None, operator: str) -> str | None:
    """The variable to which a line assigns an operator's result: `h` for relu in `h = relu(x @ w)`.
    None where the line does something else, or applies the operator several times.
    """
    return None if site is None else _assignments(site.filename).get((site.line, operator))


@lru_cache(maxsize=64)
def _assignments(filename: str) -> dict[tuple[int, str], str]:
    """Variables by the line and the operator of which they are given the result."""
    try:
        module = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:
        return {}
    found = {}
    for statement in ast.walk(module):
        target, value, sign = _parts(statement)
        if target is None or value is None:
            continue
        operator = sign or next(_operators(value), None)
        inside = [name for node in ast.walk(value) for name in _operators(node)]
        if operator is None or inside.count(operator) > (sign is None):
            continue
        for line in range(value.lineno, (value.end_lineno or value.lineno) + 1):
            found[line, operator] = target
    return found


def _parts(statement: ast.AST) -> tuple[str | None, ast.expr | None, str | None]:
    """The variable that a statement assigns, the expression, and the operator of `x += y`."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value, sign = statement.targets[0], statement.value, None
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value, sign = statement.target, statement.value, None
    elif isinstance(statement, ast.AugAssign):
        target, value, sign = statement.target, statement.value, _SIGNS.get(type(statement.op))
    else:
        return None, None, None
    return (target.id if isinstance(target, ast.Name) else None), value, sign


def _operators(node: ast.AST) -> Iterator[str]:
    """The operator that an expression applies last."""
    if isinstance(node, (ast.BinOp, ast.UnaryOp)) and type(node.op) in _SIGNS:
        yield _SIGNS[type(node.op)]
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node.func, ast.Attribute):
            yield node.func.attr
