"""The user's names for values: what `gx.name` set, or the variable that a line assigns to."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.ir.graph import Graph, Node, Value
    from graphc.ir.site import Site


def user_names(graph: Graph) -> dict[Value, str]:
    """Names for the values that have one: inputs, then `gx.name`, then variables.

    A value is what `h = …` assigns if it is the last that the user's program made at that line
    before it went on to another; for `return …` the calling line is looked at instead. Where a
    name occurs again (as in a loop) the later values are `h_2`, `h_3`, …
    """
    names: dict[Value, str] = {}
    count: dict[str, int] = {}
    taken: set[str] = set()

    def give(value: Value, name: str) -> None:
        unique = name
        while unique in taken:
            count[name] = count.get(name, 1) + 1
            unique = f"{name}_{count[name]}"
        taken.add(unique)
        names[value] = unique

    for value in graph.inputs:
        give(value, value.node.meta.name or value.node.op.attributes())
    written = [n for n in graph.nodes if n.meta.rule is None and n.inputs]
    for node, following in zip_longest(written, written[1:]):
        name = node.meta.name or _assigned(node, following)
        if name is not None and node.outputs[0] not in names:
            give(node.outputs[0], name)
    return names


def _assigned(node: Node, following: Node | None) -> str | None:
    """The variable of the innermost assignment that ends with this node."""
    after = set(_chain(following.meta.site)) if following is not None else set()
    for site in _chain(node.meta.site):
        if site in after:
            return None
        name = _targets(site.filename).get(site.line)
        if name is not None:
            return name
    return None


def _chain(site: Site | None) -> Iterator[Site]:
    """A line of the user's and the lines that called it."""
    while site is not None:
        yield site
        site = site.caller


@lru_cache(maxsize=256)
def _targets(filename: str) -> dict[int, str]:
    """For every line of a file that belongs to an assignment to one variable, that variable."""
    try:
        module = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, str] = {}
    for statement in ast.walk(module):
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target: ast.expr = statement.targets[0]
        elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
            target = statement.target
        else:
            continue
        if isinstance(target, ast.Name):
            for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1):
                found[line] = target.id
    return found
