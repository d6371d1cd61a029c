"""From C text to a library that is open in this process, through the cache."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import _cffi_backend

from graphc.build import cpu
from graphc.build.cache import Cache
from graphc.build.toolchain import Toolchain, find
from graphc.errors import CacheError, CompilerError, GraphcError

__all__ = ["Library", "Unit", "declarations", "load"]


@dataclass(frozen=True)
class Unit:
    """A translation unit: C text, and flags of its own that come after the common ones."""

    text: str
    flags: tuple[str, ...] = ()


class Library:
    """An open library: `ffi` with its declarations, `lib` with its functions, the file's `path`.

    It is closed when nobody refers to it any more; functions taken from `lib` do not keep it open.
    """

    def __init__(self, ffi: Any, path: Path, *, resident: bool = False) -> None:
        self.ffi = ffi
        self.path = path
        mode = ffi.RTLD_NOW | (getattr(ffi, "RTLD_NODELETE", 0) if resident else 0)
        self.lib = ffi.dlopen(os.fspath(path), mode)

    def __repr__(self) -> str:
        return f"Library({str(self.path)!r})"


def load(
    source: str | Sequence[Unit],
    cdef: str,
    toolchain: Toolchain | None = None,
    target: str = "native",
    *,
    headers: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
    resident: bool = False,
) -> Library:
    """Compiles C text through the cache and opens the library.

    `source` is one translation unit or several, `headers` are files that they include by name,
    `cdef` declares the library's functions to cffi, `flags` follow those of the target. Without a
    `toolchain` it is the one that `find` gives. With an entry in the cache nothing is compiled and
    the compiler is not started. A `resident` library stays in the process for ever. Raises
    `CompilerError`, `CacheError`, and `ArgumentError` for a target that cannot run here.
    """
    cpu.check_runs(target)
    toolchain = toolchain or find(target)
    units = [Unit(source)] if isinstance(source, str) else list(source)
    headers = dict(headers or {})
    resolved = (*toolchain.flags(target), *flags)
    key = {
        "kind": "library",
        "package": getattr(sys.modules["graphc"], "__version__", ""),
        "source": json.dumps([(unit.text, unit.flags) for unit in units]),
        "headers": json.dumps(headers, sort_keys=True),
        "flags": json.dumps(resolved),
        "compiler": f"{toolchain} {toolchain.fingerprint}",
        "processor": cpu.identity() if target == "native" else "",
    }

    def build(output: Path) -> None:
        for name, text in headers.items():
            (output.parent / name).write_text(text, encoding="utf-8")
        sources = {}
        for i, unit in enumerate(units):
            path = output.parent / f"unit{i}.c"
            path.write_text(unit.text, encoding="utf-8")
            sources[path] = unit.flags
        toolchain.compile(sources, output, resolved)

    cache = Cache.default()
    while True:
        path = cache.get_or_build(key, build)
        try:
            return Library(declarations(cdef), path, resident=resident)
        except OSError as error:
            # Gone: another process has cleared the cache since the look-up.
            if path.exists():
                raise _refused(path, error) from error


def declarations(cdef: str) -> Any:
    """A cffi interface. The cache holds it in compiled form: its parser takes long to import."""

    def build(path: Path) -> None:
        from cffi import FFI

        ffi = FFI()
        ffi.cdef(cdef)
        ffi.set_source("graphc_declarations", None, compiler_verbose=0)
        ffi.emit_python_code(os.fspath(path))

    key = {"kind": "cdef", "cdef": cdef, "cffi": _cffi_backend.__version__}
    return _interface(Cache.default().get_or_build(key, build).read_text(encoding="utf-8"))


@lru_cache(maxsize=64)
def _interface(code: str) -> Any:
    """The interface of compiled declarations, once: cffi keeps its function types for ever."""
    names: dict[str, Any] = {}
    exec(code, names)
    return names["ffi"]


def _refused(path: Path, error: OSError) -> GraphcError:
    """What it means that the system does not open a library that was just built or verified."""
    if os.name == "posix" and os.statvfs(path).f_flag & getattr(os, "ST_NOEXEC", 0):
        return CacheError(
            f"the cache {path.parent.parent} is on a file system from which nothing is executed "
            "(mounted noexec); set GRAPHC_CACHE_DIR to a folder elsewhere"
        )
    return CompilerError(
        f"the compiled library cannot be opened: {error}",
        hint="graphc doctor; graphc cache clear; another compiler: set CC",
    )
