"""Where in the user's program a node belongs: phase, calls of functions, line."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from graphc.ir.graph import Graph, Input, Meta, Node
from graphc.ir.phases import Phase
from graphc.ir.site import Site


@dataclass(frozen=True, slots=True)
class Place:
    """One level of nesting. Equal places are one group; `key` tells calls apart that look alike."""

    key: tuple[object, ...]
    label: str


@dataclass(slots=True)
class _Call:
    """A call that is going on while the program is traced, and the statement that it is at."""

    function: tuple[str, str]
    statement: int
    number: int
    repetition: int


ARGUMENTS = Place(("arguments",), "arguments")


class Origins:
    """The nesting of every node of a step. The sites of the nodes, in written order, are the trace
    of a program: where a function goes back to an earlier statement, a loop or a caller's loop has
    begun another round, which is a group of its own.
    """

    def __init__(self, written: Graph):
        self._open: list[_Call] = []
        self._calls = 0
        self._paths: dict[Meta, tuple[Place, ...]] = {}
        #: The last path of every site, for nodes that passes made.
        self._latest: dict[Site, tuple[Place, ...]] = {}
        for node in written.nodes:
            site = node.meta.site
            if node.meta.rule is None and site is not None and not isinstance(node.op, Input):
                path = self._paths[node.meta] = self._enter(site)
                self._latest[site] = path

    def path(self, node: Node, phases: Mapping[Node, Phase]) -> tuple[Place, ...]:
        """Places from the outermost to the line. A derivative lies where the operator lies of which
        it is one.
        """
        if isinstance(node.op, Input):
            return (ARGUMENTS,)
        phase = phases[node].value
        meta = node.meta
        while meta.rule is not None and meta not in self._paths:
            meta = meta.rule.meta
        found = self._paths.get(meta)
        if found is None:
            found = () if meta.site is None else self._latest.get(meta.site, ())
        return (Place((phase,), phase), *found)

    def stand_in(self, old: Node, new: Node) -> None:
        """A node that a pass put in the place of another belongs where that one did."""
        path = self._paths.get(old.meta)
        if path is not None:
            self._paths.setdefault(new.meta, path)

    def _enter(self, site: Site) -> tuple[Place, ...]:
        places = []
        same = True
        sites = list(chain(site))[::-1]
        for depth, level in enumerate(sites):
            function, statement = (level.filename, level.function), first_line(level)
            call = self._open[depth] if depth < len(self._open) else None
            if call is None or not same or call.function != function:
                del self._open[depth:]
                self._calls += 1
                call = _Call(function, statement, self._calls, 1)
                self._open.append(call)
                same = False
            elif statement != call.statement:
                if statement < call.statement:
                    self._calls += 1
                    call.number, call.repetition = self._calls, call.repetition + 1
                call.statement = statement
                same = False
            name = level.function.rpartition(".")[2]
            label = name if call.repetition == 1 else f"{name} ({call.repetition})"
            places.append(Place(("call", call.number), label))
        return (*places, Place((site.filename, first_line(site)), line_label(site)))


def chain(site: Site | None) -> Iterator[Site]:
    """A line of the user's and the lines that called it, innermost first."""
    while site is not None:
        yield site
        site = site.caller


def line_label(site: Site) -> str:
    text = linecache.getline(site.filename, site.line).strip()
    return f"{site}  {text}".rstrip()


def first_line(site: Site) -> int:
    """The line on which the statement begins that a line belongs to."""
    return _statements(site.filename).get(site.line, site.line)


@lru_cache(maxsize=256)
def _statements(filename: str) -> dict[int, int]:
    """For every line of a file the first line of the innermost simple statement around it."""
    try:
        module = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, int] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line] = node.lineno
    return found
