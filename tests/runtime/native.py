"""Compiles C text against the runtime's headers, with every compiler and vector width at hand."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-fPIC", "-shared", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
CDEF_TYPES = {"f32": "float", "f64": "double"} | {
    name: f"{'u' * (name[0] == 'u')}int{name[1:]}_t" for name in ("i32", "i64", "u32", "u8")
}
DTYPES: dict[str, Any] = {
    "f32": np.float32,
    "f64": np.float64,
    "i32": np.int32,
    "i64": np.int64,
    "u32": np.uint32,
    "u8": np.uint8,
}


@dataclass(frozen=True)
class Target:
    """A compiler with the flag that names its vector width; `fused` if that includes FMA."""

    name: str
    command: tuple[str, ...]
    fused: bool


@cache
def targets() -> tuple[Target, ...]:
    """Those that this machine has and whose code it can run; the first one is its own compiler."""
    commands: dict[str, tuple[str, ...]] = {}
    if (cc := shutil.which("gcc") or shutil.which("cc")) is not None:
        commands["cc"] = (cc,)
    if importlib.util.find_spec("ziglang"):
        commands["zig"] = (sys.executable, "-m", "ziglang", "cc")
    found = []
    for name, command in commands.items():
        native = (*command, "-march=native")
        macros = subprocess.run(
            [*native, "-dM", "-E", "-x", "c", "-"],
            input="",
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        has_fma = "__FMA__" in macros or "__ARM_FEATURE_FMA" in macros
        found.append(Target(f"{name}-native", native, has_fma))
        if platform.machine() in ("x86_64", "AMD64"):
            dash = "_" if name == "zig" else "-"
            levels = [("v2", "__SSE4_2__", False), ("v3", "__AVX2__", True)]
            for level, macro, fused in levels:
                if macro in macros and not (name == "zig" and level == "v2"):
                    march = f"-march=x86{dash}64{dash}{level}"
                    found.append(Target(f"{name}-{level}", (*command, march), fused))
    return tuple(found)


def build(target: Target, source: str, cdef: str, folder: Path) -> tuple[cffi.FFI, Any]:
    """The compiled source as a cffi library. A compiler's warning is an error."""
    c_file, library = folder / "test.c", folder / "test.so"
    c_file.write_text(source, encoding="utf-8")
    command = [*target.command, *FLAGS, "-I", str(RUNTIME), str(c_file), "-o", str(library), "-lm"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    ffi = cffi.FFI()
    ffi.cdef(cdef)
    return ffi, ffi.dlopen(str(library))


GUARDED = r"""
#include <stddef.h>
#include <sys/mman.h>

/* Memory of `bytes` bytes whose end is the end of what may be read. */
void *guarded(size_t bytes) {
  const size_t page = 65536, size = (bytes + page - 1) / page * page;
  char *base = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (base == MAP_FAILED || mprotect(base + size, page, PROT_NONE)) return NULL;
  return base + size - bytes;
}
"""
GUARDED_CDEF = "void *guarded(size_t bytes);"


class Native:
    """A built library, called with NumPy arrays."""

    def __init__(self, target: Target, source: str, cdef: str, folder: Path) -> None:
        self.target = target
        posix = "#define _DEFAULT_SOURCE\n"
        self.ffi, self.lib = build(target, posix + GUARDED + source, GUARDED_CDEF + cdef, folder)

    def pointer(self, array: np.ndarray, type_name: str) -> Any:
        return self.ffi.cast(f"{type_name} *", array.ctypes.data)

    def guarded(self, array: np.ndarray) -> np.ndarray:
        """A copy of the contiguous array, after whose last byte nothing may be read."""
        size = max(array.nbytes, 1)
        address = self.lib.guarded(size)
        assert address != self.ffi.NULL
        memory = memoryview(self.ffi.buffer(address, size))
        copy = np.frombuffer(memory, array.dtype, array.size)
        copy[...] = array.ravel()
        return copy.reshape(array.shape)
