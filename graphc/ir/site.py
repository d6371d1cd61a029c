"""Where in the user's program a node was written."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import TypeVar

from graphc.errors import ArgumentError

_PACKAGE = str(Path(__file__).parent.parent)
_EXAMPLES = str(Path(_PACKAGE) / "examples")
#: How many of the user's nested calls are remembered for one node.
_DEPTH = 6

_internal: dict[CodeType, bool] = {}
_roots: set[CodeType] = set()
_interned: dict[tuple[str, int, str, Site | None], Site] = {}


class Site:
    """A line of the user's: file, line, function, and the user's call that led there."""

    __slots__ = ("caller", "filename", "function", "line")

    def __init__(self, filename: str, line: int, function: str, caller: Site | None):
        self.filename = filename
        self.line = line
        self.function = function
        self.caller = caller

    def __str__(self) -> str:
        return f"{writable(os.path.basename(self.filename))}:{self.line}"

    def __repr__(self) -> str:
        return f"Site({self.filename}:{self.line} in {self.function})"


def writable(text: str) -> str:
    """Text that can be written: halves of surrogate pairs, which names of files may have, as
    `\\ud800`.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_internal(code: CodeType) -> bool:
    """Whether a code object belongs to graphc itself; its examples count as a user's code."""
    known = _internal.get(code)
    if known is None:
        name = code.co_filename
        known = name.startswith(_PACKAGE) and not name.startswith(_EXAMPLES)
        known = known or name.startswith("<frozen")
        _internal[code] = known
    return known


F = TypeVar("F", bound=Callable[..., object])


def root(function: F) -> F:
    """Marks a function of graphc that calls the user's: what called it is not part of the user's
    program.
    """
    _roots.add(function.__code__)
    return function


class _Given(threading.local):
    """The line to which everything belongs now, where it is not the one that runs."""

    site: Site | None = None


_given = _Given()


@contextmanager
def at(site: Site | None) -> Iterator[None]:
    """What is made inside belongs to a line that ran before; None: to the one that runs."""
    before = _given.site
    _given.site = site
    try:
        yield
    finally:
        _given.site = before


def here() -> Site | None:
    """The innermost line outside graphc, with up to six of the user's calls around it."""
    if _given.site is not None:
        return _given.site
    frame: FrameType | None = sys._getframe(1)
    frames: list[tuple[str, int, str]] = []
    while frame is not None and len(frames) < _DEPTH:
        code = frame.f_code
        internal = _internal.get(code)
        if internal is None:
            internal = is_internal(code)
        if internal:
            if frames and code in _roots:
                break
        else:
            frames.append((code.co_filename, frame.f_lineno, code.co_qualname))
            if code.co_name == "<module>":
                break
        frame = frame.f_back
    site: Site | None = None
    for filename, line, function in reversed(frames):
        key = (filename, line, function, site)
        found = _interned.get(key)
        if found is None:
            found = _interned[key] = Site(filename, line, function, site)
        site = found
    return site


def located(message: str, site: Site | None = None) -> str:
    """An error message with the user's line at its end: `…   (model.py:12)`."""
    where = site or here()
    return message if where is None else f"{message}   ({where})"


T = TypeVar("T")


def required(value: T, kind: type, what: str) -> T:
    """The value, which has to be of a type; `ArgumentError` for anything else."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        wanted = f"{what}: {kind.__name__} required, got {type(value).__name__}"
        raise ArgumentError(located(wanted))
    return value


def warn(message: str, category: type[Warning]) -> None:
    """A warning at the user's line."""
    where = here()
    if where is None:
        warnings.warn(message, category, stacklevel=2)
    else:
        warnings.warn_explicit(located(message, where), category, where.filename, where.line)
