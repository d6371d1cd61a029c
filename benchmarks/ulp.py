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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi
import numpy as np

RUNTIME = Path(__file__).resolve().parents[1] / "runtime"
FLAGS = "-std=c11 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -fPIC -shared".split()
C_TYPES = {"f32": "float", "f64": "double"}
NUMPY_TYPES = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
BITS = {"f32": np.dtype(np.uint32), "f64": np.dtype(np.uint64)}


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
FUNCTIONS = {
    f.name: f
    for f in [
        *(
            Function(name, name)
            for name in "exp exp2 expm1 log log1p log2 log10 sinh cosh tanh asinh acosh atanh sin "
            "cos tan asin acos atan erf erfc sqrt floor ceil trunc".split()
        ),
        Function("round", "rint"),
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

PRELUDE = r"""
#include "gx_math.h"

#include <float.h>

#define PI 3.14159265358979323846264338327950288L

typedef struct {
  double worst; /* the largest error */
  double x, y;  /* its arguments */
} report;

static long double ref_sigmoidl(long double x) {
  return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}

static double ref_sigmoid(double x) {
  return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static long double ref_rsqrtl(long double x) { return 1 / sqrtl(x); }

static double ref_rsqrt(double x) { return 1 / sqrt(x); }

/* The asymptotic series from 40 on, the recurrence below. */
static long double ref_digammal(long double x) {
  if (x == 0) return -1 / x;
  if (x < 0) {
    long double f = x - rintl(x);
    return f == 0 ? NAN : ref_digammal(1 - x) - PI * cosl(PI * f) / sinl(PI * f);
  }
  long double sum = 0;
  for (; x < 40; x += 1) sum += 1 / x;
  long double t = 1 / (x * x);
  long double series = 1 / 12.0L - t * (1 / 120.0L - t * (1 / 252.0L - t * (1 / 240.0L - t *
                       (1 / 132.0L - t * (691 / 32760.0L - t / 12)))));
  return logl(x) - 1 / (2 * x) - t * series - sum;
}

static double ref_digamma(double x) { return (double)ref_digammal(x); }

static long double ref_logaddexpl(long double x, long double y) {
  long double d = x == y ? 0 : fabsl(x - y);
  return fmaxl(x, y) + log1pl(expl(-d)) + (x != x || y != y ? NAN : 0);
}

static double ref_logaddexp(double x, double y) { return (double)ref_logaddexpl(x, y); }

/* |y - r| in spacings of numbers of type T at r. 2^bound stands for overflow in either. */
#define DEFINE_ERROR(t, R, digits, least, bound)                                                 \
  static double error_##t(R y, R r, R floor) {                                                   \
    if (y != y || r != r) return (y != y) == (r != r) ? 0 : INFINITY;                            \
    if (y == r) return !signbit(y) == !signbit(r) ? 0 : INFINITY;                                \
    R end = ldexpl(1, bound);                                                                    \
    y = fabsl(y) > end ? copysignl(end, y) : y;                                                  \
    if (fabsl(r) == INFINITY) return INFINITY;                                                   \
    r = fabsl(r) > end ? copysignl(end, r) : r;                                                  \
    R scale = fabsl(r) > floor ? fabsl(r) : floor;                                               \
    int e = scale == 0 ? least : ilogbl(scale) - digits;                                         \
    return (double)(fabsl(y - r) / ldexpl(1, e < least ? least : e));                            \
  }
DEFINE_ERROR(f32, double, 23, -149, 128)
DEFINE_ERROR(f64, long double, 52, -1074, 1024)

/* loop: the function over arrays, which the compiler vectorizes. one: a call for one element.
 * check: the loop's largest error. */
#define DEFINE1(name, ref, t, T, R, floor)                                                       \
  __attribute__((noinline)) static T one_##name##_##t(T x) { return gx_##name##_##t(x); }        \
  void loop_##name##_##t(const T *restrict x, const T *y, T *restrict out, int64_t n) {          \
    (void)y;                                                                                     \
    for (int64_t i = 0; i < n; i++) out[i] = gx_##name##_##t(x[i]);                              \
  }                                                                                              \
  void scalar_##name##_##t(const T *x, const T *y, T *out, int64_t n) {                          \
    (void)y;                                                                                     \
    for (int64_t i = 0; i < n; i++) out[i] = one_##name##_##t(x[i]);                             \
  }                                                                                              \
  void check_##name##_##t(const T *x, const T *y, T *out, int64_t n, report *worst) {            \
    loop_##name##_##t(x, y, out, n);                                                             \
    for (int64_t i = 0; i < n; i++) {                                                            \
      double e = error_##t(out[i], ref(x[i]), floor);                                            \
      if (e > worst->worst) *worst = (report){e, x[i], 0};                                       \
    }                                                                                            \
  }

#define DEFINE2(name, ref, t, T, R, floor)                                                       \
  __attribute__((noinline)) static T one_##name##_##t(T x, T y) {                                \
    return gx_##name##_##t(x, y);                                                                \
  }                                                                                              \
  void loop_##name##_##t(const T *restrict x, const T *restrict y, T *restrict out, int64_t n) { \
    for (int64_t i = 0; i < n; i++) out[i] = gx_##name##_##t(x[i], y[i]);                        \
  }                                                                                              \
  void scalar_##name##_##t(const T *x, const T *y, T *out, int64_t n) {                          \
    for (int64_t i = 0; i < n; i++) out[i] = one_##name##_##t(x[i], y[i]);                       \
  }                                                                                              \
  void check_##name##_##t(const T *x, const T *y, T *out, int64_t n, report *worst) {            \
    loop_##name##_##t(x, y, out, n);                                                             \
    for (int64_t i = 0; i < n; i++) {                                                            \
      double e = error_##t(out[i], ref(x[i], y[i]), floor);                                      \
      if (e > worst->worst) *worst = (report){e, x[i], y[i]};                                    \
    }                                                                                            \
  }
"""
CDEF = "typedef struct { double worst, x, y; } report;\n"


def c_source() -> tuple[str, str]:
    """The C text of loops and checks of all functions, and its declarations for cffi."""
    source, cdef = [PRELUDE], [CDEF]
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

    def __init__(self, ffi: cffi.FFI, library: Any) -> None:
        self.ffi, self.library = ffi, library

    @classmethod
    def build(cls, compiler: str, folder: Path) -> Harness:
        text, cdef = c_source()
        source, library = folder / "ulp.c", folder / "ulp.so"
        source.write_text(text, encoding="utf-8")
        command = [*compiler.split(), *FLAGS, f"-I{RUNTIME}", str(source), "-o", str(library)]
        subprocess.run([*command, "-lm"], check=True, timeout=600)
        ffi = cffi.FFI()
        ffi.cdef(cdef)
        return cls(ffi, ffi.dlopen(str(library)))

    def _call(self, kind: str, name: str, arrays: tuple[np.ndarray, ...], *rest: Any) -> np.ndarray:
        dtype = "f32" if arrays[0].dtype == np.float32 else "f64"
        out = np.empty_like(arrays[0])
        pointers = [self.ffi.from_buffer(f"{C_TYPES[dtype]}[]", a) for a in (*arrays, out)]
        x, y = pointers[0], pointers[1] if len(arrays) == 2 else self.ffi.NULL
        getattr(self.library, f"{kind}_{name}_{dtype}")(x, y, pointers[-1], out.size, *rest)
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
    info = np.finfo(NUMPY_TYPES[dtype])
    ends = [info.smallest_subnormal, info.tiny, info.eps, 1 - info.eps / 2, 1 + info.eps, info.max]
    plain = [0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 8, 10, 100, 2.0**24, 2.0**53, np.inf, np.nan]
    values = np.array([*ends, *plain], NUMPY_TYPES[dtype])
    return np.concatenate([values, -values])


def samples(dtype: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` random numbers: a third of all bit patterns, the rest of ordinary magnitude."""
    third = size // 3
    bits = rng.integers(0, 2 ** (8 * BITS[dtype].itemsize), third, BITS[dtype])
    scale = 10.0 ** rng.uniform(-3, 3.2, third)
    wide = rng.uniform(-1, 1, third) * scale
    narrow = rng.uniform(-1.5, 1.5, size - 2 * third)
    ordinary = np.concatenate([wide, narrow]).astype(NUMPY_TYPES[dtype])
    return np.concatenate([bits.view(NUMPY_TYPES[dtype]), ordinary])


def every(stride: int, block: int = 1 << 20) -> Iterator[np.ndarray]:
    """Every `stride`-th of the 2^32 float32 numbers by bit pattern, in blocks."""
    for first in range(0, 2**32, stride * block):
        patterns = np.arange(first, min(first + stride * block, 2**32), stride, np.uint64)
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
    """Nanoseconds per element in the first-level cache; the best of many runs."""
    rng = np.random.default_rng(7)
    arrays = [rng.uniform(0.1, 4, 2048).astype(NUMPY_TYPES[dtype]) for _ in range(f.operands)]
    out = np.empty_like(arrays[0])
    pointers = [harness.ffi.from_buffer(f"{C_TYPES[dtype]}[]", a) for a in (*arrays, out)]
    x, y = pointers[0], pointers[1] if f.operands == 2 else harness.ffi.NULL
    loop = getattr(harness.library, f"loop_{f.name}_{dtype}")
    best = float("inf")
    for _ in range(200):
        start = time.perf_counter_ns()
        for _ in range(10):
            loop(x, y, pointers[-1], out.size)
        best = min(best, (time.perf_counter_ns() - start) / (10 * out.size))
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="function", choices=[[], *FUNCTIONS])
    parser.add_argument("--dtype", choices=list(C_TYPES), help="only this one")
    parser.add_argument("--stride", type=int, default=997, help="of the float32 bit patterns")
    parser.add_argument("--samples", type=int, default=1 << 21, help="of float64 and of pairs")
    parser.add_argument("--cc", default="cc -march=native", help="compiler, with a target's flags")
    parser.add_argument("--speed", action="store_true", help="time the functions instead")
    options = parser.parse_args()
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
