"""C compilers: finding one, its flags for a target, compiling with it."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphc.build import cpu
from graphc.build.cache import Cache
from graphc.build.runner import Job, capture, run_all
from graphc.errors import CompilerError

__all__ = ["BASE_FLAGS", "LIBRARY_FLAGS", "Toolchain", "find", "find_crossing", "target_flags"]

#: What generated C relies on: without the last three, results would differ from compiler to
#: compiler, and mathematical functions would not vectorize.
BASE_FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")

#: A library exports only what is marked for it.
LIBRARY_FLAGS = ("-fPIC", "-fvisibility=hidden")

WIDE_VECTORS = "-mprefer-vector-width=512"
_INSTALL = "install gcc or clang, or run: pip install 'graphc[cc]'; or set CC to a C compiler"

# Families and vector instructions by the macros that tell them; the first match counts.
_FAMILIES = {"__x86_64__": "x86_64", "__aarch64__": "aarch64"}
_ISA_MACROS = (
    ("avx512", ("__AVX512F__", "__AVX512BW__", "__AVX512DQ__", "__AVX512VL__")),
    ("avx2", ("__AVX2__", "__FMA__")),
    ("sse2", ("__SSE2__",)),
    ("neon", ("__ARM_NEON",)),
)


@dataclass(frozen=True)
class Toolchain:
    """A C compiler that works: `command` runs it, `kind` is "gcc", "clang" or "zig".

    `machine` is the processor family that it compiles for when not told otherwise, `fingerprint`
    tells one installation of a version from another, and `environment` is what the compiler sees
    besides this process's variables.
    """

    command: tuple[str, ...]
    kind: str
    version: str
    machine: str
    fingerprint: str
    environment: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.version} ({shlex.join(self.command)})"

    def flags(self, target: str = "native") -> tuple[str, ...]:
        """All flags but a library's for generated C; `CompilerError` if the target is beyond it."""
        return tuple(self._resolve(target)["flags"])

    def isa(self, target: str = "native") -> str:
        """The vector instructions that this compiler uses for a target, named as by `cpu.isa`."""
        return str(self._resolve(target)["isa"])

    def compile(
        self,
        sources: Mapping[Path, Sequence[str]],
        output: Path,
        flags: Sequence[str],
        *,
        shared: bool = True,
        libraries: Sequence[str] = ("-lm",),
    ) -> None:
        """Compiles C files, each with flags of its own after the common ones, and links them.

        Several files are compiled by as many processes as there are cores. Intermediate and
        temporary files go to the folder of `output`. The result is a library if `shared`, else a
        program. `CompilerError` when the compiler fails, is killed, or cannot be started.
        """
        folder = output.parent
        common = (*self.command, *flags, *(LIBRARY_FLAGS if shared else ()))
        link = (*common, *(("-shared",) if shared else ()), "-o", str(output))
        first = next(iter(sources))
        if len(sources) == 1:
            steps = [[Job((*link, *sources[first], str(first), *libraries), first)]]
        else:
            objects = {source: str(folder / f"{i}.o") for i, source in enumerate(sources)}
            steps = [
                [
                    Job((*common, *own, "-c", "-o", objects[source], str(source)), source)
                    for source, own in sources.items()
                ],
                [Job((*link, *objects.values(), *libraries), first)],
            ]
        # Not every system's temporary folder has space, or may be written at all.
        environment = {
            **dict(self.environment),
            "TMPDIR": str(folder),
            "ZIG_LOCAL_CACHE_DIR": str(folder),
        }
        for jobs in steps:
            run_all(jobs, folder, environment)
        if not output.is_file():
            raise CompilerError(
                f"the C compiler reported success but wrote no {output.name}",
                command=link,
                source=first,
                hint="another compiler: set CC",
            )

    def _resolve(self, target: str) -> Mapping[str, Any]:
        """Flags and instructions of a target, found out once for a compiler and a processor."""
        key = {"compiler": self.fingerprint, "target": cpu.check_target(target)}
        if target == "native":
            key["processor"] = cpu.identity()
        return _remember("flags", key, lambda: self._probe(target))

    def _probe(self, target: str) -> dict[str, Any]:
        flags = (*BASE_FLAGS, *target_flags(self.kind, self.machine, target))
        macros = _macros(self.command, self.environment, flags)
        isa = next((n for n, needed in _ISA_MACROS if macros.keys() >= set(needed)), "generic")
        # Compilers prefer 256-bit vectors even where 512-bit ones are as fast.
        if isa == "avx512":
            with suppress(CompilerError):  # one too old to know the flag does without
                _macros(self.command, self.environment, (*flags, WIDE_VECTORS))
                flags = (*flags, WIDE_VECTORS)
        return {"flags": flags, "isa": isa}


def target_flags(kind: str, machine: str, target: str) -> tuple[str, ...]:
    """What makes a compiler of a kind, for a family of processors, compile for a target.

    `CompilerError` if the target is of another family, and the compiler not one that can cross.
    """
    family = cpu.family(target, machine)
    if kind == "zig":
        names = {"native": "native", "generic": "baseline", "aarch64": "baseline"}
        name = names.get(target, target.replace("-", "_"))
        cross = ("-target", f"{family}-linux-gnu") if family != machine else ()
        # Unlike gcc and clang, it inserts checks for undefined behaviour unless told not to.
        return (*cross, f"-mcpu={name}", "-fno-sanitize=undefined")
    if family != machine:
        raise CompilerError(
            f"this {kind} compiles for {machine}, not for {target}",
            hint=f"pip install 'graphc[cc]', or set CC to a compiler for {family}",
        )
    if target == "native":
        return ("-mcpu=native",) if family == "aarch64" else ("-march=native",)
    if target == "generic":
        return ("-march=x86-64",) if family == "x86_64" else ()
    return ("-march=armv8-a",) if target == "aarch64" else (f"-march={target}",)


def find(target: str = "native") -> Toolchain:
    """The C compiler to use: what ``$CC`` names, else the first of gcc, clang and ``zig cc``.

    ``$CC`` may hold arguments. For a target of another family than this machine's, a gcc for that
    family (``aarch64-linux-gnu-gcc``) comes first. `CompilerError` if there is none, or if the
    first one found does not work: another is not taken in silence.
    """
    chosen = os.environ.get("CC", "").strip()
    if chosen:
        return _toolchain(tuple(shlex.split(chosen)), "CC is set to it")
    family = cpu.family(target, cpu.machine())
    names = ("gcc", "clang") if family == cpu.machine() else (f"{family}-linux-gnu-gcc",)
    for name in names:
        if shutil.which(name):
            return _toolchain((name,), "it is on the PATH")
    found = _zig()
    if found is None:
        raise CompilerError(f"no C compiler for {target} was found", hint=_INSTALL)
    return found


def find_crossing() -> Toolchain:
    """The compiler that knows every platform, WebAssembly among them: that of ``ziglang``."""
    found = _zig()
    if found is None:
        raise CompilerError("the ziglang package is not installed", hint="pip install 'graphc[cc]'")
    return found


def _zig() -> Toolchain | None:
    zig = importlib.util.find_spec("ziglang")
    if zig is None or zig.origin is None:
        return None
    program = Path(zig.origin).with_name("zig.exe" if os.name == "nt" else "zig")
    return _toolchain((str(program), "cc"), "the ziglang package is installed")


def _toolchain(command: tuple[str, ...], reason: str) -> Toolchain:
    """The compiler that a command runs, asked for its version once for each installation."""
    program = shutil.which(command[0])
    if program is None:
        raise CompilerError(
            f"the C compiler {command[0]} is not there, though {reason}",
            command=command,
            hint=_INSTALL,
        )
    command = (program, *command[1:])
    fingerprint = _fingerprint(command)
    environment = _environment()

    def probe() -> dict[str, Any]:
        macros = _macros(command, environment, ())
        if "__clang__" in macros:
            kind = "zig" if any("zig" in Path(word).name for word in command) else "clang"
        elif "__GNUC__" in macros:
            kind = "gcc"
        else:
            raise CompilerError(
                f"{command[0]} is not a C compiler of the gcc or clang kind, though {reason}",
                command=command,
                hint=_INSTALL,
            )
        machine = next((f for m, f in _FAMILIES.items() if m in macros), cpu.machine())
        version = macros.get("__VERSION__", "").strip('"')
        return {"kind": kind, "version": version, "machine": machine}

    found = _remember("compiler", {"compiler": fingerprint}, probe)
    return Toolchain(command, **found, fingerprint=fingerprint, environment=environment)


def _environment() -> tuple[tuple[str, str], ...]:
    """Zig needs a folder that it can write for its own lasting files, and hangs without one."""
    if "ZIG_GLOBAL_CACHE_DIR" in os.environ:
        return ()
    return (("ZIG_GLOBAL_CACHE_DIR", str(Cache.default().tools)),)


def _fingerprint(command: Sequence[str]) -> str:
    """The words of a command, with path, time and size of those that are programs."""
    parts = []
    for word in command:
        path = shutil.which(word)
        if path is not None:
            real = os.path.realpath(path)
            state = os.stat(real)
            word = f"{real} ({state.st_mtime_ns}, {state.st_size})"
        parts.append(word)
    return "; ".join(parts)


def _macros(
    command: Sequence[str], environment: Sequence[tuple[str, str]], flags: Sequence[str]
) -> dict[str, str]:
    """The macros that a compiler defines under some flags, all of which it has to know."""
    job = Job((*command, *flags, "-Werror", "-dM", "-E", "-x", "c", os.devnull))
    macros = {}
    for line in capture(job, dict(environment)).splitlines():
        parts = line.split(maxsplit=2)
        if len(parts) >= 2 and parts[0] == "#define":
            macros[parts[1]] = parts[2] if len(parts) > 2 else ""
    return macros


def _remember(
    kind: str, key: Mapping[str, str], compute: Callable[[], dict[str, Any]]
) -> Mapping[str, Any]:
    """A small fact about a compiler, kept in the cache and in this process."""
    known = (kind, *sorted(key.items()))
    if known not in _facts:

        def build(path: Path) -> None:
            path.write_text(json.dumps(compute()), encoding="utf-8")

        path = Cache.default().get_or_build({"kind": kind, **key}, build)
        _facts[known] = json.loads(path.read_text(encoding="utf-8"))
    return _facts[known]


_facts: dict[tuple[Any, ...], Mapping[str, Any]] = {}
