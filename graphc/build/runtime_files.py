"""The C runtime's files: where they are, and the parts of them that a program needs.

A runtime header is a list of *chunks* separated by blank lines: a top-level definition with its
comment. In C nothing is used before it is declared, so an identifier belongs to the chunk in which
it first occurs, and also to one that gives a tag or a function its body later. Every identifier of
the runtime begins with ``gx_`` or ``GX_``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from graphc.errors import GraphcError

__all__ = ["include_closure", "runtime_dir", "runtime_for", "select", "used"]

#: Headers of the C library that generated code may use directly.
_HEADERS = ("#include <math.h>", "#include <stdint.h>", "#include <string.h>")

_NOT_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
_IDENTIFIER = re.compile(r"\b(?:gx|GX)_\w+")
_INCLUDE = re.compile(r'[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]')
_GUARD = re.compile(r"#ifndef (\w+_H)\n#define \1\n(.*)\n#endif\s*", re.S)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
_BODY = re.compile(r"\b(?:struct|union|enum)\s+(\w+)\s*\{|\b(\w+)\s*\([^;{}]*\)\s*\{")


def runtime_dir() -> Path:
    """The folder of the C runtime: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "_runtime", package.parent / "runtime")
    for candidate in candidates:
        if (candidate / "pool.h").is_file():
            return candidate
    raise GraphcError(
        "the C runtime is missing: no pool.h in "
        + " or ".join(str(c) for c in candidates)
        + "; reinstall graphc"
    )


def select(names: Iterable[str], *, given: Iterable[str] = ()) -> str:
    """C text of exactly the runtime's chunks that `names` need, in an order that compiles.

    Chunks that `given` needs are left out: they stand elsewhere in the same program. The text
    depends on the two sets alone. Raises `ValueError` for names that the runtime does not define.
    """
    library = _library(runtime_dir())
    present = library.closure(given)
    needed = library.closure(names) - present
    had = {line for i in present for line in library.includes[library.chunks[i].file]}
    includes = {line for i in needed for line in library.includes[library.chunks[i].file]} - had
    parts = ["\n".join(sorted(includes)), *(library.chunks[i].text for i in sorted(needed))]
    return "\n\n".join(part for part in parts if part) + "\n"


def used(text: str) -> set[str]:
    """The runtime's identifiers that occur in C text outside of comments and strings."""
    owners = _library(runtime_dir()).owners
    return {name for name in _IDENTIFIER.findall(_NOT_CODE.sub(" ", text)) if name in owners}


def runtime_for(text: str) -> str:
    """The headers, and exactly the part of the runtime, that the text of a program uses."""
    runtime = select(used(text))
    missing = [line for line in _HEADERS if line not in runtime]
    return "\n".join([*missing, runtime])


def include_closure(name: str) -> dict[str, str]:
    """Name and text of a runtime file and of every runtime file that it includes."""
    folder, found, waiting = runtime_dir(), {}, [name]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = (folder / file).read_text(encoding="utf-8")
            waiting += _local_includes(found[file])
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class _Chunk:
    file: str
    text: str
    names: frozenset[str]
    bodies: frozenset[str]


@dataclass(frozen=True)
class _Library:
    """All chunks in dependency order, the system includes of each file, and who owns a name."""

    chunks: tuple[_Chunk, ...]
    includes: dict[str, tuple[str, ...]]
    owners: dict[str, tuple[int, ...]]

    def closure(self, names: Iterable[str]) -> set[int]:
        needed: set[int] = set()
        waiting = sorted(set(names))
        unknown = [name for name in waiting if name not in self.owners]
        if unknown:
            raise ValueError("the C runtime does not define " + ", ".join(unknown))
        while waiting:
            for i in self.owners[waiting.pop()]:
                if i not in needed:
                    needed.add(i)
                    waiting += self.chunks[i].names
        return needed


@lru_cache(maxsize=1)
def _library(folder: Path) -> _Library:
    chunks: list[_Chunk] = []
    includes: dict[str, tuple[str, ...]] = {}
    for file, text in _in_dependency_order(folder).items():
        system = [line for other in _local_includes(text) for line in includes[other]]
        for part in _split(text):
            code = _NOT_CODE.sub(" ", part)
            names = frozenset(_IDENTIFIER.findall(code))
            if names:
                chunks.append(_Chunk(file, part, names, names & _bodies(code)))
            else:
                system += _system_includes(part)
        includes[file] = tuple(dict.fromkeys(system))
    owners: dict[str, tuple[int, ...]] = {}
    for i, chunk in enumerate(chunks):
        for name in chunk.names:
            if name not in owners or name in chunk.bodies:
                owners[name] = (*owners.get(name, ()), i)
    return _Library(tuple(chunks), includes, owners)


def _in_dependency_order(folder: Path) -> dict[str, str]:
    """Name and text of every header, each after those that it includes, else by name."""
    ordered: dict[str, str] = {}

    def visit(file: str, path: tuple[str, ...]) -> None:
        if file in path:
            raise GraphcError(f"the C runtime's headers include one another: {' -> '.join(path)}")
        if file in ordered:
            return
        text = (folder / file).read_text(encoding="utf-8")
        for other in _local_includes(text):
            visit(other, (*path, file))
        guarded = _GUARD.fullmatch(text)
        if guarded is None:
            raise GraphcError(f"{folder / file}: a runtime header begins and ends with its guard")
        ordered[file] = guarded[2]

    for file in sorted(path.name for path in folder.glob("*.h")):
        visit(file, ())
    return ordered


def _local_includes(text: str) -> list[str]:
    return [name for quote, name in _INCLUDE.findall(text) if quote == '"']


def _split(text: str) -> Iterator[str]:
    """The chunks of a header: cut at blank lines, but never within braces or a comment."""
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip() or lines:
            lines.append(line)
        if lines and not line.strip():
            part = "\n".join(lines).rstrip()
            code = _NOT_CODE.sub(" ", part)
            if code.count("{") == code.count("}") and "/*" not in code:
                yield part
                lines = []


def _system_includes(part: str) -> list[str]:
    """What a chunk without names contributes: its includes, whole when they are conditional."""
    found = _INCLUDE.findall(part)
    directives = _DIRECTIVE.findall(part)
    if len(found) < len(directives):
        return [part]
    return [f"#include <{name}>" for quote, name in found if quote == "<"]


def _bodies(code: str) -> set[str]:
    """Tags and functions whose body stands at the top level of a chunk."""
    depth, outline = 0, []
    for char in _DIRECTIVE.sub("", code):
        depth -= char == "}"
        if depth == 0:
            outline.append(char)
        depth += char == "{"
    return {a or b for a, b in _BODY.findall("".join(outline))}
