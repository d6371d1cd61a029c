"""The scalar mathematics: errors in ulp, rules that are exact, equal bits, vectorized loops."""

from __future__ import annotations

import importlib.util
import itertools
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from math import factorial, isnan, trunc
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from .native import CDEF_TYPES, DTYPES, RUNTIME, Native, Target, targets


def _load_harness() -> ModuleType:
    """benchmarks/ulp.py, which measures the errors by hand as well."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "ulp.py"
    spec = importlib.util.spec_from_file_location("ulp", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ulp"] = module
    spec.loader.exec_module(module)
    return module


ulp = _load_harness()
FLOATS, INTEGERS = ("f32", "f64"), ("i32", "i64", "u8", "u32")
EXACT = ("maximum", "minimum", "copysign", "nextafter", "remainder", "floor_divide")
#: Of two integers, and of one.
BINARY = ("floor_divide", "remainder", "pow", "left_shift", "right_shift", "maximum", "minimum")
UNARY = ("abs", "sign")
CASTS = list(itertools.product(INTEGERS, FLOATS))
#: Calls into libm: every other function of floats has to vectorize.
SCALAR = ("remainder", "floor_divide")


def _loop(name: str, result: str, *operands: str) -> tuple[str, str]:
    """A C loop over `gx_<name>`, and its declaration."""
    letters = "xy"[: len(operands)]
    arrays = [
        f"const {CDEF_TYPES[t]} *restrict {v}" for t, v in zip(operands, letters, strict=True)
    ]
    head = f"void {name}({', '.join(arrays)}, {CDEF_TYPES[result]} *restrict out, int64_t n)"
    call = f"gx_{name}({', '.join(f'{v}[i]' for v in letters)})"
    return f"{head} {{ for (int64_t i = 0; i < n; i++) out[i] = {call}; }}", f"{head};"


def _source() -> tuple[str, str]:
    text, cdef = ulp.c_source()
    loops = [_loop(f"{name}_{t}", t, t, t) for name in EXACT for t in FLOATS]
    loops += [_loop(f"sign_{t}", t, t) for t in FLOATS]
    loops += [
        _loop(f"{name}_{t}", t, *([t] if name in UNARY else [t, t]))
        for name in BINARY + UNARY
        for t in INTEGERS
    ]
    loops += [_loop(f"cast_{t}_{f}", t, f) for t, f in CASTS]
    loops += [_loop(f"{name}_bool", "u8", "u8", "u8") for name in ("maximum", "minimum")]
    polygamma = "polygamma(int n, const double *x, double *out, int64_t size)"
    body = "for (int64_t i = 0; i < size; i++) out[i] = gx_polygamma_f64(n, x[i]);"
    loops.append((f"void {polygamma} {{ {body} }}", f"void {polygamma};"))
    return "\n".join([text, *(c for c, _ in loops), ""]), "\n".join([cdef, *(d for _, d in loops)])


class Library(ulp.Harness):
    """All functions, as one compiler and one set of vector instructions compile them."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.native = Native(target, *_source(), folder)
        super().__init__(self.native.ffi, self.native.lib)

    def each(self, name: str, result: str, *arrays: np.ndarray) -> np.ndarray:
        """`gx_<name>` of every element."""
        out = np.empty(arrays[0].size, DTYPES[result])
        types = {np.dtype(d): CDEF_TYPES[t] for t, d in DTYPES.items()}
        pointers = [self.native.pointer(a, types[a.dtype]) for a in (*arrays, out)]
        getattr(self.library, name)(*pointers, out.size)
        return out


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """A function from targets to libraries, each compiled once."""
    return cache(lambda target: Library(target, tmp_path_factory.mktemp(target.name)))


def alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Equal elements: zeros by sign, all NaNs alike."""
    return ((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b))


def pairs(t: str) -> list[np.ndarray]:
    """All pairs of special values, then random ones of which many are close or equal."""
    rng = np.random.default_rng(3)
    special = ulp.special_values(t)
    x, y = (np.ascontiguousarray(a).ravel() for a in np.meshgrid(special, special))
    a, b = (ulp.samples(t, 20_000, rng) for _ in range(2))
    small = rng.integers(-40, 40, (2, 20_000)).astype(x.dtype)
    return [np.concatenate([x, a, a, small[0]]), np.concatenate([y, b, a, small[1]])]


KINDS = [next(t for t in targets() if t.fused == fused) for fused in {t.fused for t in targets()}]


@pytest.mark.parametrize("target", KINDS, ids=lambda t: t.name)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ulp.FUNCTIONS)
def test_error_is_within_its_limit(library, target, dtype, name):
    f = ulp.FUNCTIONS[name]
    worst = ulp.measure(library(target), f, dtype, stride=16381, size=1 << 18)
    assert worst.ulp <= f.limit(dtype), f"{name}_{dtype}:{worst}"


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
def test_vector_body_and_scalar_tail_give_equal_bits(library, target):
    rng, built = np.random.default_rng(5), library(target)
    for f, dtype in itertools.product(ulp.FUNCTIONS.values(), FLOATS):
        for size in (1, 2, 3, 5, 15, 17, 31, 63, 65, 1000):
            arrays = [rng.permutation(ulp.samples(dtype, size, rng)) for _ in range(f.operands)]
            equal = alike(built.loop(f.name, *arrays), built.scalar(f.name, *arrays))
            assert equal.all(), f"{f.name}_{dtype}, {size} elements"


@pytest.mark.parametrize("fused", {t.fused for t in targets()})
def test_compilers_and_vector_widths_give_equal_bits(library, fused):
    rng = np.random.default_rng(6)
    first, *others = [library(t) for t in targets() if t.fused == fused]
    for f, dtype in itertools.product(ulp.FUNCTIONS.values(), FLOATS):
        arrays = [rng.permutation(ulp.samples(dtype, 30_000, rng)) for _ in range(f.operands)]
        expected = first.loop(f.name, *arrays)
        for other in others:
            equal = alike(other.loop(f.name, *arrays), expected)
            assert equal.all(), (f.name, dtype, other.native.target.name, arrays[0][~equal][:3])


def test_arguments_that_are_hardest_to_reduce(library):
    """Those closest to a multiple of pi/2 (J.-M. Muller, Elementary Functions, chapter 11)."""
    x = np.array([6381956970095103.0 * 2.0**797, 16367173.0 * 2.0**72])
    cosine = library(targets()[0]).loop("cos", x)
    assert cosine[0] == pytest.approx(-4.68716592425462761112e-19, rel=2e-16)
    single = library(targets()[0]).loop("cos", x[1:].astype(np.float32))
    assert single[0] == np.float32(cosine[1]) and abs(single[0]) < 1e-8


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", EXACT)
def test_exact_functions_of_two_floats_are_numpy_s(library, dtype, name):
    x, y = pairs(dtype)
    got = library(targets()[0]).each(f"{name}_{dtype}", dtype, x, y)
    with np.errstate(all="ignore"):
        if name in ("maximum", "minimum"):
            # NumPy's choice among zeros of different sign depends on its build.
            wins = (x > y if name == "maximum" else x < y) | np.isnan(x)
            expected = np.where(wins, x, y)
            assert np.array_equal(expected, getattr(np, name)(x, y), equal_nan=True)
        else:
            expected = getattr(np, name)(x, y)
    wrong = ~alike(got, expected)
    assert not wrong.any(), (x[wrong][0], y[wrong][0], got[wrong][0], expected[wrong][0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_sign(library, dtype):
    x, _ = pairs(dtype)
    got = library(targets()[0]).each(f"sign_{dtype}", dtype, x)
    expected = np.where(np.isnan(x), x, (x > 0).astype(x.dtype) - (x < 0))
    assert alike(got, expected).all()


def wrapped(value: int, t: str) -> int:
    """The value that the integer type holds in its place, modulo 2^bits."""
    info = np.iinfo(DTYPES[t])
    return (value - info.min) % 2**info.bits + info.min


def integer_result(name: str, x: int, y: int, bits: int) -> int:
    """What the function should give before wrapping, in Python's unbounded integers."""
    past = not 0 <= y < bits
    rules = {
        "floor_divide": lambda: x // y if y else 0,
        "remainder": lambda: x % y if y else 0,
        "pow": lambda: pow(x, y, 2**bits) if y >= 0 else {1: 1, -1: 1 - 2 * (y % 2)}.get(x, 0),
        "left_shift": lambda: 0 if past else x << y,
        "right_shift": lambda: (-1 if x < 0 else 0) if past else x >> y,
        "maximum": lambda: max(x, y),
        "minimum": lambda: min(x, y),
        "abs": lambda: abs(x),
        "sign": lambda: (x > 0) - (x < 0),
    }
    return rules[name]()


@pytest.mark.parametrize("t", INTEGERS)
@pytest.mark.parametrize("name", BINARY + UNARY)
def test_integers_follow_python_and_wrap(library, t, name):
    info = np.iinfo(DTYPES[t])
    special = [0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 200, info.max - 1, info.max]
    special += [-v for v in special] + [info.min, info.min + 1, info.min // 2]
    special = sorted({wrapped(v, t) for v in special})
    rng = np.random.default_rng(9)
    random = [
        [int(v) for v in pair] for pair in rng.integers(info.min, info.max, (500, 2), info.dtype)
    ]
    near = [[x, x // d] for (x, _), d in zip(random, itertools.cycle([1, 2, 3, 5]))]
    both = [list(p) for p in itertools.product(special, repeat=2)] + random + near
    arrays = [np.array(column, DTYPES[t]) for column in zip(*both, strict=True)]
    got = library(targets()[0]).each(f"{name}_{t}", t, *arrays[: 1 if name in UNARY else 2])
    for (x, y), value in zip(both, got.tolist(), strict=True):
        assert value == wrapped(integer_result(name, x, y, info.bits), t), (x, y)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_truth_values(library, name):
    x, y = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], np.uint8)
    got = library(targets()[0]).each(f"{name}_bool", "u8", x, y)
    assert np.array_equal(got, getattr(np, name)(x, y))


@pytest.mark.parametrize(("t", "f"), CASTS)
def test_floats_become_integers_truncated_and_saturated(library, t, f):
    info = np.iinfo(DTYPES[t])
    powers = np.ldexp(np.ones(70, DTYPES[f]), np.arange(-3, 67))
    ends = np.concatenate([powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf)])
    steps = np.arange(-300, 300, 0.25).astype(DTYPES[f])
    random = ulp.samples(f, 5000, np.random.default_rng(1))
    values = np.concatenate([ends, -ends, ulp.special_values(f), steps, random])
    got = library(targets()[0]).each(f"cast_{t}_{f}", t, values)
    for x, value in zip(values.tolist(), got.tolist(), strict=True):
        limited = 0 if isnan(x) else min(max(x, -(2.0**70)), 2.0**70)
        assert value == min(max(trunc(limited), info.min), info.max), x


def _polygamma(n: int, x: float) -> tuple[float, float]:
    """(-1)^(n+1) n! sum of 1/(x+k)^(n+1), and the sum of absolute values: 200 terms in long double,
    the rest by the Euler-Maclaurin formula.
    """
    first = np.longdouble(x) + np.arange(200, dtype=np.longdouble)
    terms = first ** -(n + 1)
    y = np.longdouble(x) + 200
    rest = y**-n / n + y ** -(n + 1) / 2 + (n + 1) * y ** -(n + 2) / 12
    rest -= (n + 1) * (n + 2) * (n + 3) * y ** -(n + 4) / 720
    total = (terms[::-1].sum() + rest) * factorial(n)
    return float((-1) ** (n + 1) * total), float(np.abs(terms).sum() * factorial(n))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_polygamma(library, n):
    x = np.concatenate([np.linspace(0.01, 60, 997), -np.linspace(0.013, 29.9, 991), [1e-5, -1e-5]])
    x, out = np.append(x, [0.0, -3.0, np.inf, -np.inf, np.nan]), np.empty(x.size + 5)
    native = library(targets()[0]).native
    native.lib.polygamma(n, *(native.pointer(a, "double") for a in (x, out)), x.size)
    for argument, value in zip(x[:-5].tolist(), out[:-5].tolist(), strict=True):
        expected, size = _polygamma(n, argument)
        assert abs(value - expected) <= 1e-13 * size, argument
    pole = np.inf if n % 2 else -np.inf
    np.testing.assert_array_equal(out[-5:], [pole, pole, 0, np.nan, np.nan])


def missed_loops(folder: Path, flags: str, loops: list[str]) -> list[str]:
    """Those of the C functions, each a line with one loop, that gcc does not vectorize."""
    (folder / "loops.c").write_text("\n".join(['#include "gx_math.h"', *loops, ""]))
    command = ["gcc", *ulp.FLAGS, *flags.split(), f"-I{RUNTIME}", "-fopt-info-vec", "-c"]
    result = subprocess.run(
        [*command, "loops.c", "-o", "loops.o"],
        cwd=folder, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    hits = {int(n) for n in re.findall(r"loops\.c:(\d+):\d+: optimized: loop", result.stderr)}
    return [line.split("(")[0] for n, line in enumerate(loops, 2) if n not in hits]


needs_gcc = pytest.mark.skipif(
    platform.machine() != "x86_64" or shutil.which("gcc") is None, reason="needs gcc on x86-64"
)


@needs_gcc
@pytest.mark.parametrize("flags", ["", "-mavx2 -mfma", "-mavx512f -mavx512dq -mavx512vl -mfma"])
def test_gcc_vectorizes_every_loop(tmp_path, flags):
    names = [(f.name, f.operands) for f in ulp.FUNCTIONS.values()]
    names += [("sign", 1), *((name, 2) for name in EXACT if name not in SCALAR)]
    loops = [_loop(f"{name}_{t}", t, *[t] * count)[0] for name, count in names for t in FLOATS]
    assert not missed_loops(tmp_path, flags, loops)


@needs_gcc
@pytest.mark.parametrize("flags", ["", "-mavx2 -mfma"])
def test_gcc_vectorizes_functions_of_functions(tmp_path, flags):
    """A special case of one function does not tangle the control flow of the next."""
    names = ("exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "sin")
    loops = [
        f"void {f}_{g}(const float *restrict x, float *restrict out, int64_t n) {{ "
        f"for (int64_t i = 0; i < n; i++) {{ float y = gx_{g}_f32(x[i]); "
        f"out[i] = y > x[i] ? gx_{f}_f32(gx_maximum_f32(y, 0.0f)) : y; }} }}"
        for f, g in itertools.product(names, names)
    ]
    assert not missed_loops(tmp_path, flags, loops)
