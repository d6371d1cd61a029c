"""Whether this machine can compile and run steps, and what to install where it cannot."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass

from graphc.build import cpu
from graphc.build.cache import Cache
from graphc.build.library import load
from graphc.build.pool import runtime
from graphc.build.runtime_files import runtime_dir
from graphc.build.toolchain import find
from graphc.errors import CompilerError, GraphcError

__all__ = ["Check", "report"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: whether it is `ok`, what was found, and what to do if not.

    A check that is not `required` stands for something that graphc can do without.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""
    required: bool = True

    def __str__(self) -> str:
        mark = "ok" if self.ok else "missing" if self.required else "absent"
        lines = [f"{self.name}: {mark}", *self.found.splitlines()]
        return "\n    ".join([*lines, f"to do: {self.remedy}"] if self.remedy else lines)


def report() -> list[Check]:
    """Looks at everything that a step needs. Compiles what the cache does not hold; never raises
    a `GraphcError`."""
    return [
        _attempt("Python and system", _system),
        _attempt("C runtime", lambda: (str(runtime_dir()), "")),
        _attempt("cache", lambda: (str(Cache.default().show()), "")),
        _attempt("C compiler", lambda: (str(find()), "")),
        _attempt("vector instructions", _vectors),
        _attempt("compiled library", _library),
        _attempt("threads", _threads),
        _attempt("C compiler for aarch64", _cross, required=False),
    ]


def _attempt(name: str, look: Callable[[], tuple[str, str]], required: bool = True) -> Check:
    """A check of what `look` finds; it returns that and what to improve, or raises."""
    try:
        found, remedy = look()
    except CompilerError as error:
        return Check(name, False, str(error.args[0]), error.hint, required)
    except GraphcError as error:
        return Check(name, False, str(error), required=required)
    return Check(name, not remedy, found, remedy, required)


def _system() -> tuple[str, str]:
    return f"Python {platform.python_version()}, {platform.platform()}", ""


def _vectors() -> tuple[str, str]:
    """Plans assume what the processor has; a compiler that knows less makes slow code of them."""
    planned, compiled = cpu.isa(), find().isa()
    found = f"processor {planned} ({cpu.name()}), compiler {compiled}"
    return found, "" if planned == compiled else f"a newer C compiler, one that knows {planned}"


def _library() -> tuple[str, str]:
    """The whole way from C text to a call."""
    export = '__attribute__((visibility("default")))'
    library = load(f"{export} int answer(int x) {{ return x + 1; }}\n", "int answer(int x);")
    if library.lib.answer(41) != 42:
        return str(library.path), "another C compiler: set CC"
    return str(library.path), ""


def _threads() -> tuple[str, str]:
    """A region on every core."""
    pool = runtime()
    pool.start(max(1, pool.cores))
    return f"{pool.cores} cores, {pool.started} workers started", ""


def _cross() -> tuple[str, str]:
    toolchain = find("aarch64")
    toolchain.flags("aarch64")
    return str(toolchain), ""
