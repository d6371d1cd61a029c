"""Worst errors of the runtime's scalar functions, in units in the last place (ulp).

    python benchmarks/ulp.py                     every function, a sample of inputs
    python benchmarks/ulp.py exp erf --stride 1  these, on all 2^32 float32 inputs
    python benchmarks/ulp.py --speed             nanoseconds per element in a vectorized loop

float32 results are compared with C's library in double, float64 results with it in long double.
An error is infinite where a NaN, an infinity or the sign of a zero is wrong. The exit status says
whether all errors are within their limits.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi
import numpy as np

HEADER = Path(__file__).with_name("ulp.h")
RUNTIME = HEADER.resolve().parents[1] / "runtime"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
C_TYPES = {"f32": "float", "f64": "double"}
NUMPY_TYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype("f4"), "f64": np.dtype("f8")}


@dataclass(frozen=True)
class Function:
    """A function of the runtime, `gx_<name>_<dtype>`, with the largest error that it may have.

    A reference named in C is `<reference>` for double and `<reference>l` for long double. An error
    counts in ulps of the result, but of no smaller number than `floor`.
    """

    name: str
    reference: str
    operands: int = 1
    ulp_f32: float = 2
    ulp_f64: float = 2
    floor_f64: float = 0.0

    def limit(self, dtype: str) -> float:
        return self.ulp_f32 if dtype == "f32" else self.ulp_f64


#: 1e-13 relative to a number in [1, 2).
LOOSE = 1e-13 * 2**52
#: Those that C's library has under the same name.
STANDARD = """exp exp2 expm1 log log1p log2 log10 sinh cosh tanh asinh acosh atanh sin cos tan asin
acos atan erf erfc"""
FUNCTIONS = {
    f.name: f
    for f in [
        *(Function(name, name) for name in STANDARD.split()),
        *(Function(name, name, 1, 0, 0) for name in ("floor", "ceil", "trunc")),
        Function("round", "rint", 1, 0, 0),
        Function("sqrt", "sqrt", 1, 0.5, 0.5),
        Function("sigmoid", "ref_sigmoid"),
        Function("rsqrt", "ref_rsqrt"),
        Function("lgamma", "lgamma", ulp_f32=4, ulp_f64=LOOSE, floor_f64=1),
        Function("digamma", "ref_digamma", ulp_f32=4, ulp_f64=LOOSE, floor_f64=1),
        Function("atan2", "atan2", 2),
        Function("hypot", "hypot", 2),
        Function("pow", "pow", 2, ulp_f32=4, ulp_f64=LOOSE),
        Function("logaddexp", "ref_logaddexp", 2, floor_f64=1),
    ]
}

CDEF = """typedef struct { double worst, x, y; } report;
void repeat_f32(void (*)(const float *, const float *, float *, int64_t), int, const float *,
                const float *, float *, int64_t);
void repeat_f64(void (*)(const double *, const double *, double *, int64_t), int, const double *,
                const double *, double *, int64_t);
"""


def c_source() -> tuple[str, str]:
    """The C text of loops and checks of all functions, and its declarations for cffi."""
    source, cdef = [HEADER.read_text(encoding="utf-8")], [CDEF]
    for f in FUNCTIONS.values():
        for dtype, c_type in C_TYPES.items():
            wide, suffix = ("double", "") if dtype == "f32" else ("long double", "l")
            floor = 0.0 if dtype == "f32" else f.floor_f64
            source.append(
                f"DEFINE{f.operands}({f.name}, {f.reference}{suffix}, {dtype}, {c_type}, {wide}, "
                f"{floor})"
            )
            arrays = f"const {c_type} *x, const {c_type} *y, {c_type} *out, int64_t n"
            cdef += [f"void {kind}_{f.name}_{dtype}({arrays});" for kind in ("loop", "scalar")]
            cdef.append(f"void check_{f.name}_{dtype}({arrays}, report *worst);")
    return "\n".join(source) + "\n", "\n".join(cdef)


@dataclass
class Worst:
    """The largest error seen, and where."""

    ulp: float = 0.0
    at: tuple[float, ...] = ()

    def __str__(self) -> str:
        where = ", ".join(f"{a!r} ({a.hex()})" for a in self.at)
        return f"{self.ulp:10.4f} ulp at {where}"


class Harness:
    """The compiled text of `c_source`, called with NumPy arrays."""

    def __init__(self, ffi: Any, library: Any) -> None:
        self.ffi, self.library = ffi, library

    @classmethod
    def build(cls, compiler: str, folder: Path) -> Harness:
        text, cdef = c_source()
        source, library = folder / "ulp.c", folder / "ulp.so"
        source.write_text(text, encoding="utf-8")
        command = [*compiler.split(), *FLAGS, "-fPIC", "-shared", f"-I{RUNTIME}"]
        subprocess.run([*command, str(source), "-o", str(library), "-lm"], check=True, timeout=600)
        ffi = cffi.FFI()
        ffi.cdef(cdef)
        return cls(ffi, ffi.dlopen(str(library)))

    def pointers(self, dtype: str, arrays: Sequence[np.ndarray], out: np.ndarray) -> list[Any]:
        """C's x, y (NULL if there is one operand) and out."""
        found = [self.ffi.from_buffer(f"{C_TYPES[dtype]}[]", a) for a in (*arrays, out)]
        return found if len(arrays) == 2 else [found[0], self.ffi.NULL, found[1]]

    def _call(self, kind: str, name: str, arrays: Sequence[np.ndarray], *rest: Any) -> np.ndarray:
        dtype = "f32" if arrays[0].dtype == np.float32 else "f64"
        out = np.empty_like(arrays[0])
        function = getattr(self.library, f"{kind}_{name}_{dtype}")
        function(*self.pointers(dtype, arrays, out), out.size, *rest)
        return out

    def loop(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        """The function over contiguous float32 or float64 arrays of one size."""
        return self._call("loop", name, arrays)

    def scalar(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        """As `loop`, by a call for every element."""
        return self._call("scalar", name, arrays)

    def check(self, name: str, worst: Worst, *arrays: np.ndarray) -> None:
        """Raises `worst` to the largest error on these arguments."""
        report = self.ffi.new("report *", {"worst": worst.ulp})
        self._call("check", name, arrays, report)
        if report.worst > worst.ulp:
            worst.ulp, worst.at = report.worst, (report.x, report.y)[: len(arrays)]


def special_values(dtype: str) -> np.ndarray:
    """Zeros, infinities, NaN, ends of ranges, small integers and halves, in both signs."""
    kind = NUMPY_TYPES[dtype]
    info = np.finfo(kind)
    ends = [info.smallest_subnormal, info.tiny, info.eps, 1 - info.eps / 2, 1 + info.eps, info.max]
    plain = [0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 8, 10, 100, 2.0**24, 2.0**53, np.inf, np.nan]
    values = np.array([*ends, *plain], kind)
    return np.concatenate([values, -values])


def samples(dtype: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` random numbers: a third of all bit patterns, the rest of ordinary magnitude."""
    kind, third = NUMPY_TYPES[dtype], size // 3
    bits = np.frombuffer(rng.bytes(third * kind.itemsize), kind)
    wide = rng.uniform(-1, 1, third) * 10.0 ** rng.uniform(-3, 3.2, third)
    narrow = rng.uniform(-1.5, 1.5, size - 2 * third)
    return np.concatenate([bits, wide.astype(kind), narrow.astype(kind)])


def every(stride: int, block: int = 1 << 20) -> Iterator[np.ndarray]:
    """Every `stride`-th of the 2^32 float32 numbers by bit pattern, in blocks."""
    for first in range(0, 2**32, stride * block):
        patterns = np.arange(first, min(first + stride * block, 2**32), stride, dtype=np.uint64)
        yield patterns.astype(np.uint32).view(np.float32)


def arguments(f: Function, dtype: str, stride: int, size: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Blocks of arguments: special values in all combinations, then samples."""
    rng = np.random.default_rng(7)
    special = special_values(dtype)
    yield tuple(np.ascontiguousarray(a).ravel() for a in np.meshgrid(*[special] * f.operands))
    if f.operands == 1 and dtype == "f32":
        yield from ((block,) for block in every(stride))
        return
    for _ in range(0, size, 1 << 18):
        yield tuple(rng.permutation(samples(dtype, 1 << 18, rng)) for _ in range(f.operands))


def measure(harness: Harness, f: Function, dtype: str, stride: int, size: int) -> Worst:
    """The largest error on every `stride`-th float32, or on `size` random arguments."""
    worst = Worst()
    for arrays in arguments(f, dtype, stride, size):
        harness.check(f.name, worst, *arrays)
    return worst


def speed(harness: Harness, f: Function, dtype: str) -> float:
    """Nanoseconds per element, with arrays in the first-level cache; the best of many runs."""
    rng = np.random.default_rng(7)
    arrays = [rng.uniform(0.01, 5, 2048).astype(NUMPY_TYPES[dtype]) for _ in range(f.operands)]
    pointers, size = harness.pointers(dtype, arrays, np.empty_like(arrays[0])), arrays[0].size
    loop = harness.ffi.addressof(harness.library, f"loop_{f.name}_{dtype}")
    repeat = getattr(harness.library, f"repeat_{dtype}")
    best = float("inf")
    for _ in range(300):
        start = time.perf_counter_ns()
        repeat(loop, 50, *pointers, size)
        best = min(best, (time.perf_counter_ns() - start) / (50 * size))
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="function", help=" ".join(FUNCTIONS))
    parser.add_argument("--dtype", choices=list(C_TYPES), help="only this one")
    parser.add_argument("--stride", type=int, default=997, help="of the float32 bit patterns")
    parser.add_argument("--samples", type=int, default=1 << 21, help="of float64 and of pairs")
    parser.add_argument("--cc", default="cc -march=native", help="compiler, with a target's flags")
    parser.add_argument("--speed", action="store_true", help="time the functions instead")
    options = parser.parse_args()
    if unknown := set(options.names) - set(FUNCTIONS):
        parser.error(f"no such function: {', '.join(sorted(unknown))}")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness.build(options.cc, Path(folder))
        for f in (FUNCTIONS[name] for name in options.names or FUNCTIONS):
            for dtype in [options.dtype] if options.dtype else C_TYPES:
                label = f"{f.name}_{dtype}"
                if options.speed:
                    print(f"{label:14} {speed(harness, f, dtype):8.3f} ns", flush=True)
                    continue
                worst = measure(harness, f, dtype, options.stride, options.samples)
                beyond = not worst.ulp <= f.limit(dtype)
                failed |= beyond
                print(f"{label:14}{worst}{'  BEYOND ITS LIMIT' if beyond else ''}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
