"""Reductions against NumPy, and the law of floating sums against a plain loop of scalars.

Arrays end where readable memory ends, so a read past the end is a crash.
"""

from __future__ import annotations

import numpy as np
import pytest

from .native import CDEF_TYPES, DTYPES, Native, targets

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 63, 100, 255, 511, 512, 513, 1023, 1024, 1025]
LENGTHS += [1999, 2048, 4095, 4096, 4097, 5000, 8193, 70000]
WIDE = {"i64_i32": "i32", "i64_u32": "u32", "i64_u8": "u8"}


def functions() -> dict[str, tuple[str, str]]:
    """Name of every reduction, with the C types of its result and of its elements."""
    table = {}
    for kind in ("sum", "prod"):
        for name in ("f32", "f64", "i32", "i64", "u32"):
            table[f"{kind}_{name}"] = (CDEF_TYPES[name], CDEF_TYPES[name])
        for name, element in WIDE.items():
            table[f"{kind}_{name}"] = ("int64_t", CDEF_TYPES[element])
    for kind in ("max", "min"):
        for name in DTYPES:
            table[f"{kind}_{name}"] = (CDEF_TYPES[name], CDEF_TYPES[name])
            table[f"arg{kind}_{name}"] = ("int64_t", CDEF_TYPES[name])
    return table | {f"{kind}_bool": ("uint8_t", "uint8_t") for kind in ("any", "all")}


# The law, without blocks side by side or vectors: what the headers must equal bit for bit.
LAW = """
#define LAW(name, T, LANES, BLOCK, OP, UNIT) \\
  T name(const T *x, int64_t n) { \\
    double total = UNIT; \\
    for (int64_t begin = 0; begin < n; begin += BLOCK) { \\
      volatile T lane[LANES]; \\
      for (int l = 0; l < LANES; l++) lane[l] = UNIT; \\
      for (int64_t i = begin; i < n && i < begin + BLOCK; i++) { \\
        lane[i % LANES] = lane[i % LANES] OP x[i]; \\
      } \\
      for (int half = LANES / 2; half; half /= 2) { \\
        for (int l = 0; l < half; l++) lane[l] = lane[l] OP lane[l + half]; \\
      } \\
      total = total OP (double)lane[0]; \\
    } \\
    return (T)total; \\
  }
LAW(law_sum_f32, float, 16, 1024, +, 0)
LAW(law_sum_f64, double, 8, 512, +, 0)
LAW(law_prod_f32, float, 16, 1024, *, 1)
LAW(law_prod_f64, double, 8, 512, *, 1)
"""


@pytest.fixture(scope="module", params=targets(), ids=lambda target: target.name)
def native(request, tmp_path_factory) -> Native:
    source, cdef = '#include "reduce.h"\n' + LAW, ""
    for name, (result, element) in functions().items():
        prototype = f"{result} {name}(const {element} *x, int64_t n)"
        source += f"{prototype} {{ return gx_{name}(x, n); }}\n"
        cdef += f"{prototype};\n"
    for name in ("sum_f32", "sum_f64", "prod_f32", "prod_f64"):
        element = functions()[name][1]
        cdef += f"{element} law_{name}(const {element} *x, int64_t n);\n"
    return Native(request.param, source, cdef, tmp_path_factory.mktemp("reduce"))


def reduced(native: Native, name: str, x: np.ndarray):
    element = functions()[name.removeprefix("law_")][1]
    return getattr(native.lib, name)(native.pointer(x, element), x.size)


def sample(dtype: str, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kind = np.dtype(DTYPES[dtype])
    if kind.kind == "f":
        return rng.standard_normal(n).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, n, kind, endpoint=True)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("kind", ["sum", "prod"])
def test_floating_folds_follow_the_law(native, kind, dtype):
    for n in [0, *LENGTHS]:
        x = native.guarded(sample(dtype, n, n))
        if kind == "prod":
            x[...] = np.exp2(x / 4)
        got, law = (reduced(native, prefix + f"{kind}_{dtype}", x) for prefix in ("", "law_"))
        assert got == law, n
        exact = getattr(np, kind)(x.astype(np.longdouble))
        terms = np.abs(x).sum(dtype=np.float64) if kind == "sum" else abs(float(exact)) * (1 + n)
        assert abs(got - float(exact)) <= 4 * np.finfo(x.dtype).eps * terms, n


@pytest.mark.parametrize("dtype, eps", [("f32", 2.0**-24), ("f64", 2.0**-53)])
def test_floating_folds_propagate_specials(native, dtype, eps):
    for position in (0, 5, 99):
        x = native.guarded(np.ones(100, DTYPES[dtype]))
        x[position] = np.inf
        assert reduced(native, f"sum_{dtype}", x) == np.inf
        assert reduced(native, f"prod_{dtype}", x) == np.inf
        x[position - 1] = -np.inf
        assert np.isnan(reduced(native, f"sum_{dtype}", x))
        assert reduced(native, f"prod_{dtype}", x) == -np.inf
        x[position] = np.nan
        assert np.isnan(reduced(native, f"prod_{dtype}", x))
    ones = native.guarded(np.full(64, eps, DTYPES[dtype]))
    ones[0] = 1
    assert reduced(native, f"sum_{dtype}", ones) > 1


def test_float_blocks_are_added_in_double(native):
    """2^24 + 1 is no float: a sum that rounded between blocks would lose every one."""
    x = native.guarded(np.zeros(4 * 1024, np.float32))
    x[0], x[1024], x[2048] = 2.0**24, 1, 1
    assert reduced(native, "sum_f32", x) == 2.0**24 + 2


@pytest.mark.parametrize("suffix", ["i32", "i64", "u32", *WIDE])
@pytest.mark.parametrize("kind", ["sum", "prod"])
def test_integer_folds_wrap(native, kind, suffix):
    dtype = WIDE.get(suffix, suffix)
    result = np.dtype(np.int64 if suffix in WIDE else DTYPES[dtype])
    for n in [0, *LENGTHS]:
        x = native.guarded(sample(dtype, n, n) | (kind == "prod"))
        with np.errstate(over="ignore"):
            expected = getattr(np, kind)(x, dtype=result)
        assert reduced(native, f"{kind}_{suffix}", x) == expected, n


def test_byte_sums_pass_32_bits(native):
    x = np.full(2**24 + 70000, 255, np.uint8)
    assert reduced(native, "sum_i64_u8", x) == 255 * x.size


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["max", "min"])
def test_extremes_and_their_places(native, kind, dtype):
    for n in LENGTHS:
        x = sample(dtype, n, n)
        many_ties = (x % 5).astype(x.dtype)
        for data in (native.guarded(x), native.guarded(many_ties)):
            assert reduced(native, f"{kind}_{dtype}", data) == getattr(np, kind)(data), n
            place = getattr(np, "arg" + kind)(data)
            assert reduced(native, f"arg{kind}_{dtype}", data) == place, n


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("kind", ["max", "min"])
def test_nan_wins(native, kind, dtype):
    for n in (1, 2, 17, 100, 2500):
        for position in {0, n // 2, n - 1}:
            for nan in (np.nan, -np.nan):
                x = native.guarded(sample(dtype, n, n))
                x[position] = nan
                x[-1] = nan
                assert np.isnan(reduced(native, f"{kind}_{dtype}", x))
                assert reduced(native, f"arg{kind}_{dtype}", x) == position


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_extremes_of_infinities_and_zeros(native, dtype):
    cases = [
        ([-np.inf, -np.inf], -np.inf, 0, -np.inf, 0),
        ([np.inf, np.inf], np.inf, 0, np.inf, 0),
        ([1, np.inf, -np.inf, 2], np.inf, 1, -np.inf, 2),
        ([-0.0, 0.0], 0.0, 0, 0.0, 0),
        ([0.0, -0.0], 0.0, 0, 0.0, 0),
        ([-3.5, -1e-40, -2], -1e-40, 1, -3.5, 0),
    ]
    for values, largest, largest_at, smallest, smallest_at in cases:
        x = native.guarded(np.array(values, DTYPES[dtype]))
        assert reduced(native, f"max_{dtype}", x) == x.dtype.type(largest)
        assert reduced(native, f"min_{dtype}", x) == x.dtype.type(smallest)
        assert reduced(native, f"argmax_{dtype}", x) == largest_at
        assert reduced(native, f"argmin_{dtype}", x) == smallest_at


@pytest.mark.parametrize("kind", ["any", "all"])
def test_any_and_all(native, kind):
    for n in [0, *LENGTHS]:
        for filling in (0, 1):
            x = native.guarded(np.full(n, filling, np.uint8))
            assert reduced(native, f"{kind}_bool", x) == getattr(np, kind)(x)
            for position in {0, n // 2, n - 1} if n else ():
                x[position] = 1 - filling
                assert reduced(native, f"{kind}_bool", x) == getattr(np, kind)(x)
                x[position] = filling
