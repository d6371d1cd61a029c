"""The user's files, as far as a step came from them."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from typing import Any

from graphc.inspect.origins import chain
from graphc.ir.graph import Node
from graphc.ir.site import Site

#: Lines before and after one that made a node; longer gaps are left out.
_AROUND = 12


class Sources:
    """Files by number, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._lines: dict[str, set[int]] = {}

    def place(self, site: Site) -> list[int]:
        """A line as [file, line]."""
        number = self._files.setdefault(site.filename, len(self._files))
        self._lines.setdefault(site.filename, set()).add(site.line)
        return [number, site.line]

    def places(self, nodes: Iterable[Node]) -> list[list[int]]:
        """The lines that nodes come from, and the calls that led there, each once."""
        sites = dict.fromkeys(s for n in nodes for own in n.meta.sites() for s in chain(own))
        return [list(p) for p in dict.fromkeys(tuple(self.place(s)) for s in sites)]

    def own_places(self, nodes: Iterable[Node]) -> list[list[int]]:
        """The lines that nodes come from, without the calls that led there."""
        sites = dict.fromkeys(site for n in nodes for site in n.meta.sites())
        return [list(p) for p in dict.fromkeys(tuple(self.place(s)) for s in sites)]

    def record(self) -> list[dict[str, Any]]:
        """Name and text of every file: runs of lines around those that were asked for."""
        return [
            {"name": name.replace("\\", "/").rpartition("/")[2], "runs": self._runs(name)}
            for name in self._files
        ]

    def _runs(self, name: str) -> list[dict[str, Any]]:
        lines = linecache.getlines(name)
        shown = sorted(
            {
                k
                for line in self._lines[name]
                for k in range(max(1, line - _AROUND), min(len(lines), line + _AROUND) + 1)
            }
        )
        runs: list[dict[str, Any]] = []
        for k in shown:
            if not runs or runs[-1]["first"] + len(runs[-1]["lines"]) != k:
                runs.append({"first": k, "lines": []})
            runs[-1]["lines"].append(lines[k - 1].rstrip("\n"))
        return runs
