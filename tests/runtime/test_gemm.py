"""Tiles of a matrix product and packing, against NumPy and against the law of contractions.

Operands end where readable memory ends, so a read past an operand is a crash.
"""

from __future__ import annotations

import numpy as np
import pytest

from .native import CDEF_TYPES, DTYPES, Native, targets

TILES = {
    "f32": [(1, 16), (2, 64), (4, 16), (5, 64), (6, 16), (8, 32), (3, 17), (5, 65), (14, 20)],
    "f64": [(1, 8), (4, 8), (6, 16), (8, 16), (9, 24), (3, 11)],
    "i32": [(1, 16), (4, 32), (2, 21)],
    "i64": [(1, 8), (4, 16), (3, 13)],
    "u32": [(3, 16), (8, 16)],
    "u8": [(1, 64), (4, 64), (2, 71)],
    "bool": [(2, 64), (5, 64), (3, 100)],
}
WIDTHS = [3, 6, 8, 32, 64]
CHAIN = 1536
SET, ACCUMULATE, RESUME = range(3)
DEPTHS = [0, 1, 2, 15, 33, 384, CHAIN - 1, CHAIN, CHAIN + 1, 2 * CHAIN, 5000]

# The law for one output, with the scalar fused multiply-add of the C library.
LAW = """
#include <math.h>
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define FUSED32 fmaf
#define FUSED64 fma
#else
#define FUSED32(a, b, c) ((a) * (b) + (c))
#define FUSED64(a, b, c) ((a) * (b) + (c))
#endif
#define LAW(name, T, FMA) \\
  void name(int64_t m, int64_t n, int64_t k, const T *a, const T *b, T *out) { \\
    for (int64_t i = 0; i < m; i++) { \\
      for (int64_t j = 0; j < n; j++) { \\
        T total = 0; \\
        for (int64_t begin = 0; begin < k; begin += 1536) { \\
          T chain = 0; \\
          for (int64_t x = begin; x < k && x < begin + 1536; x++) \\
            chain = FMA(a[i * k + x], b[x * n + j], chain); \\
          total = begin ? total + chain : chain; \\
        } \\
        out[i * n + j] = total; \\
      } \\
    } \\
  }
LAW(law_f32, float, FUSED32)
LAW(law_f64, double, FUSED64)
"""
LAW_CDEF = """
void law_f32(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *out);
void law_f64(int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *out);
"""


def c_type(name: str) -> str:
    return "uint8_t" if name == "bool" else CDEF_TYPES[name]


def dtype(name: str) -> np.dtype:
    return np.dtype(np.uint8 if name == "bool" else DTYPES[name])


@pytest.fixture(scope="module", params=targets(), ids=lambda target: target.name)
def native(request, tmp_path_factory) -> Native:
    source, cdef = '#include "gemm.h"\n' + LAW, LAW_CDEF
    for name, shapes in TILES.items():
        t = c_type(name)
        for mr, nr in shapes:
            tile = f"tile_{name}_{mr}x{nr}"
            prototype = (
                f"void {tile}(int64_t k, const {t} *a, int64_t a_row, int64_t a_step, "
                f"const {t} *b, int64_t b_step, {t} *out, int mode)"
            )
            source += f"GX_TILE_{name.upper()}(gx_{tile}, {mr}, {nr})\n"
            source += f"{prototype} {{ gx_{tile}(k, a, a_row, a_step, b, b_step, out, mode); }}\n"
            cdef += prototype + ";\n"
            prototype = prototype.replace(
                "(int64_t k", "_runs(int64_t runs, const int64_t *at, int64_t k"
            )
            given = f"runs, at, k, a, a_row, a_step, b, b_step, out, {nr}, mode, a, 8, b, 0"
            call = f"gx_{tile}_runs({given})"
            source += f"{prototype} {{ {call}; }}\n"
            cdef += prototype + ";\n"
    for name in DTYPES:
        t = c_type(name)
        for width in WIDTHS:
            prototype = (
                f"void pack_{name}_{width}(int64_t extent, int64_t depth, const {t} *src, "
                f"int64_t es, int64_t ds, {t} *dst)"
            )
            call = f"gx_pack_{name}(extent, depth, src, es, ds, {width}, dst)"
            source += f"{prototype} {{ {call}; }}\n"
            cdef += prototype + ";\n"
    return Native(request.param, source, cdef, tmp_path_factory.mktemp("gemm"))


def sample(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kind = dtype(name)
    if kind.kind == "f":
        return rng.standard_normal(shape).astype(kind)
    if name == "bool":
        return (rng.random(shape) < 0.03).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, kind, endpoint=True)


def aligned(shape: tuple[int, int], kind: np.dtype) -> np.ndarray:
    """Uninitialised in effect: full of a pattern that no test expects."""
    raw = np.full(shape[0] * shape[1] * kind.itemsize + 64, 0x5A, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + shape[0] * shape[1] * kind.itemsize].view(kind).reshape(shape)


def multiply(native, name, a, b, out=None, mode=SET) -> np.ndarray:
    """One tile's product of the strided matrices a[MR, k] and b[k, NR], in `out` if given."""
    (mr, k), nr = a.shape, b.shape[1]
    size = dtype(name).itemsize
    tile = aligned((mr, nr), dtype(name)) if out is None else out
    getattr(native.lib, f"tile_{name}_{mr}x{nr}")(
        k,
        native.pointer(a, c_type(name)),
        a.strides[0] // size,
        a.strides[1] // size,
        native.pointer(b, c_type(name)),
        b.strides[0] // size,
        native.pointer(tile, c_type(name)),
        mode,
    )
    return tile


def law(native: Native, name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    pointers = [native.pointer(array, c_type(name)) for array in (a, b, out)]
    getattr(native.lib, f"law_{name}")(*out.shape, a.shape[1], *pointers)
    return out


def layouts(native: Native, a: np.ndarray, b: np.ndarray):
    """The same operands by rows, by columns, and as pieces of wider matrices."""
    mr, k = a.shape
    yield "rows", native.guarded(a), native.guarded(b)
    yield "packed", native.guarded(np.ascontiguousarray(a.T)).T, native.guarded(b)
    wide_a = native.guarded(np.concatenate([np.zeros((mr, 3), a.dtype), a], axis=1))
    wide_b = native.guarded(np.concatenate([np.zeros((k, 5), b.dtype), b], axis=1))
    yield "pieces", wide_a[:, 3:], wide_b[:, 5:]
    yield "reversed", native.guarded(a[::-1, ::-1])[::-1, ::-1], native.guarded(b[::-1])[::-1]


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_floating_tiles_follow_the_law(native, name):
    for mr, nr in TILES[name]:
        for k in DEPTHS:
            a, b = sample(name, (mr, k), k), sample(name, (k, nr), k + 1)
            expected = law(native, name, a, b)
            bound = np.finfo(dtype(name)).eps * (k + 1) * (np.abs(a) @ np.abs(b))
            exact = a.astype(np.float64) @ b.astype(np.float64)
            assert (np.abs(expected - exact) <= bound).all()
            for layout, left, right in layouts(native, a, b):
                got = multiply(native, name, left, right)
                np.testing.assert_array_equal(got, expected, f"{mr}x{nr} k={k} {layout}")


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_no_bit_depends_on_the_tile(native, name):
    """Every tile gives the columns of one product of the smallest tile, which has one row."""
    k = 2 * CHAIN + 77
    rows, columns = max(mr for mr, _ in TILES[name]), max(nr for _, nr in TILES[name])
    a, b = sample(name, (rows, k), 3), sample(name, (k, columns), 4)
    whole = np.empty((rows, columns), dtype(name))
    one, narrow = TILES[name][0]
    for i in range(0, rows, one):
        for j in (*range(0, columns - narrow, narrow), columns - narrow):
            piece = multiply(native, name, a[i : i + one], b[:, j : j + narrow])
            whole[i : i + one, j : j + narrow] = piece
    for mr, nr in TILES[name]:
        got = multiply(native, name, a[:mr], b[:, :nr])
        np.testing.assert_array_equal(got, whole[:mr, :nr], f"{mr}x{nr}")


@pytest.mark.parametrize("name", ["f32", "f64"])
@pytest.mark.parametrize(
    "k, mode, cuts",
    [
        (5000, ACCUMULATE, [CHAIN]),
        (5000, ACCUMULATE, [CHAIN, 2 * CHAIN, 3 * CHAIN]),
        (CHAIN, RESUME, [256, 512, 1024]),
        (1000, RESUME, [0, 1, 7, 999]),
    ],
)
def test_a_split_sum_is_the_same(native, name, k, mode, cuts):
    mr, nr = TILES[name][-1]
    a, b = sample(name, (mr, k), 5), sample(name, (k, nr), 6)
    whole = multiply(native, name, a, b)
    tile = multiply(native, name, a[:, : cuts[0]], b[: cuts[0]])
    for begin, end in zip(cuts, [*cuts[1:], k], strict=True):
        multiply(native, name, a[:, begin:end], b[begin:end], tile, mode)
    np.testing.assert_array_equal(tile, whole)
    multiply(native, name, a[:, :0], b[:0], tile, mode)
    np.testing.assert_array_equal(tile, whole)


@pytest.mark.parametrize("name", ["f32", "f64"])
@pytest.mark.parametrize("runs, k, whole", [(3, 20, 3), (5, 700, 2), (2, 4000, 1), (0, 5, 1)])
def test_runs_are_read_wherever_they_lie(native, name, runs, k, whole):
    """A chain is as many whole runs as fit: `whole` of them."""
    mr, nr = TILES[name][-1]
    a, b = sample(name, (runs, mr, k), 7), sample(name, (runs, k, nr), 8)
    expected = np.zeros((mr, nr), dtype(name))
    for begin in range(0, runs, whole):
        left = np.concatenate(a[begin : begin + whole], axis=1)
        right = np.concatenate(b[begin : begin + whole])
        for c in range(0, len(right), CHAIN):
            part = law(native, name, left[:, c : c + CHAIN], right[c : c + CHAIN])
            expected = part if begin + c == 0 else expected + part
    at = np.arange(runs)[::-1].copy() * (mr * k)
    left, right = native.guarded(a[::-1].copy()), native.guarded(b.reshape(runs * k, nr))
    tile = aligned((mr, nr), dtype(name))
    t = c_type(name)
    getattr(native.lib, f"tile_{name}_{mr}x{nr}_runs")(
        runs, native.pointer(at, "int64_t"), k, native.pointer(left, t), k, 1,
        native.pointer(right, t), nr, native.pointer(tile, t), SET,
    )  # fmt: skip
    np.testing.assert_array_equal(tile, expected)


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_specials_stay_in_their_row_and_column(native, name):
    mr, nr = TILES[name][-1]
    for k in (2, 40, CHAIN + 5):
        a, b = np.ones((mr, k), dtype(name)), np.ones((k, nr), dtype(name))
        a[1, 0], a[2, 0], b[k - 1, 3], b[k - 1, 4] = np.nan, np.inf, -np.inf, 0
        with np.errstate(invalid="ignore"):
            expected = law(native, name, a, b)
        got = multiply(native, name, a, b)
        np.testing.assert_array_equal(got, expected)
        assert np.isnan(got[1]).all()
        assert np.isnan(got[2, 3])
        assert (got[0, 5:] == k).all()
    if native.target.fused:
        x = np.full((mr, 2), 1 + 2.0 ** (-12 if name == "f32" else -27), dtype(name))
        y = np.repeat(np.array([[-1], [1]], dtype(name)) * x[0, 0], nr, axis=1)
        assert (multiply(native, name, x, y) != 0).all(), "the second product was rounded"


@pytest.mark.parametrize("name", ["i32", "i64", "u32", "u8", "bool"])
def test_integer_tiles_wrap(native, name):
    for mr, nr in TILES[name]:
        for k in (0, 1, 7, 100, CHAIN + 1):
            a, b = sample(name, (mr, k), k), sample(name, (k, nr), k + 1)
            exact = np.einsum("ik,kj->ij", a.astype(np.int64), b.astype(np.int64))
            expected = exact != 0 if name == "bool" else exact
            for layout, left, right in layouts(native, a, b):
                got = multiply(native, name, left, right)
                np.testing.assert_array_equal(
                    got, expected.astype(dtype(name)), f"{mr}x{nr} k={k} {layout}"
                )
            if name == "bool":
                eye = np.eye(mr, nr, dtype=np.uint8)
                again = multiply(native, name, left, right, eye.copy(), ACCUMULATE)
                np.testing.assert_array_equal(again, expected | (eye != 0))
            else:
                twice = multiply(native, name, left, right, got.copy(), ACCUMULATE)
                np.testing.assert_array_equal(twice, got + got)


@pytest.mark.parametrize("name", DTYPES)
def test_packing(native, name):
    item = dtype(name).itemsize
    for width in WIDTHS:
        for extent, depth in [(1, 1), (width, 40), (2 * width, 33), (70, 17), (50, 0), (129, 64)]:
            base = native.guarded(sample(name, (2 * extent + 3, 2 * depth + 3), extent))
            other = native.guarded(np.ascontiguousarray(base.T))
            rows, columns = base[extent + 3 :, depth + 3 :], other.T[extent + 3 :, depth + 3 :]
            spread, turned = base[3::2, 3::2], base[::-1, ::-1][:extent, :depth]
            for matrix in (rows, columns, spread, turned):
                assert matrix.shape == (extent, depth)
                panels = -(-extent // width)
                packed = native.guarded(np.full(panels * depth * width, 7, dtype(name)))
                getattr(native.lib, f"pack_{name}_{width}")(
                    extent,
                    depth,
                    native.pointer(matrix, c_type(name)),
                    matrix.strides[0] // item,
                    matrix.strides[1] // item,
                    native.pointer(packed, c_type(name)),
                )
                padded = np.zeros((panels * width, depth), dtype(name))
                padded[:extent] = matrix
                expected = padded.reshape(panels, width, depth).transpose(0, 2, 1)
                np.testing.assert_array_equal(packed, expected.ravel())
