"""What values are called: as the user calls them where that can be known."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING

from graphc.ir.terms import Term

if TYPE_CHECKING:
    from graphc.ir.graph import Graph, Node, Value
    from graphc.ir.meta import Meta
    from graphc.ir.site import Site


@dataclass(frozen=True)
class Names:
    """Names of a graph's values, and of all that the graphs had from which passes made it. `same`
    leads from what a function was given, where a gradient is taken by that, to the value itself.
    """

    values: dict[Value, str] = field(default_factory=dict)
    origins: dict[Meta, tuple[str, ...]] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    same: dict[Meta, Meta] = field(default_factory=dict)


def value_names(graph: Graph) -> dict[Value, str]:
    """A name for every value: the user's where there is one, `d_h` for the gradient by `h`,
    otherwise `v` and a number. A value keeps its name from pass to pass, also where one finds
    another way to compute it, and no other value of these graphs gets it.
    """
    return graph.names.values


def named(graph: Graph) -> Names:
    """The names of a graph, after those of the graph that it was made from."""
    if graph.before is None:
        return _Naming(graph, Names(), user_names(graph)).names()
    behind = []
    while graph.before is not None:
        behind.append(graph)
        graph = graph.before
    # From the oldest on: each finds the names of the one before.
    for later in behind[:0:-1]:
        graph = later
        _ = graph.names
    return _Naming(behind[0], graph.names, {}).names()


class _Naming:
    """Names for what is new in a graph; `own` are the user's."""

    def __init__(self, graph: Graph, known: Names, own: dict[Value, str]):
        self._graph = graph
        self._own = own
        self._origins = dict(known.origins)
        self._taken = {*known.taken, *own.values()}
        self._here = {name for n in graph.nodes for name in known.origins.get(n.meta, ())}
        self._number = 0
        # Where a gradient adds up from parts, the last sum is the whole of it.
        self._gradients = {node.meta.gradient_of: node for node in graph.nodes}
        self._same = dict(known.same)
        for node in graph.nodes:
            if node.meta in self._gradients and is_same(node):
                self._same[node.meta] = node.inputs[0].node.meta

    def names(self) -> Names:
        values: dict[Value, str] = {}
        for node in self._graph.nodes:
            if node.meta not in self._origins:
                self._origins[node.meta] = tuple(self._new(value) for value in node.outputs)
            values.update(zip(node.outputs, self._origins[node.meta], strict=True))
        return Names(values, self._origins, frozenset(self._taken), self._same)

    def _new(self, value: Value) -> str:
        name = self._own.get(value) or self._handed_on(value) or self._gradient(value)
        while name is None:
            name = f"v{self._number}" if f"v{self._number}" not in self._taken else None
            self._number += 1
        self._taken.add(name)
        self._here.add(name)
        return name

    def _handed_on(self, value: Value) -> str | None:
        """The name of what stood there as written, if that is gone."""
        before = value.node.meta.stands_for
        names = () if before is None else self._origins.get(before.meta, ())
        alone = len(names) == len(value.node.outputs) == 1
        return names[0] if alone and names[0] not in self._here else None

    def _gradient(self, value: Value) -> str | None:
        by = value.node.meta.gradient_of
        if by is None or value.index or self._gradients[by] is not value.node:
            return None
        while by in self._same:
            by = self._same[by]
        of = self._origins.get(by)
        if of is None:
            return None
        return f"d_{of[0]}" if f"d_{of[0]}" not in self._taken else None


def is_same(node: Node) -> bool:
    """Whether a node is its operand under no name of its own."""
    return len(node.inputs) == 1 and node.op.formula(Term("x")).text == "x"


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
