"""Every kernel class on shapes that reach its corners: edges of tiles, blocks, chunks and rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import graphc as gx
from tests.compiled.checking import assert_bits, check

rng = np.random.default_rng(0)


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


PRODUCTS = [
    (1, 1, 1), (1, 7, 1), (8, 32, 16), (9, 33, 17), (7, 31, 5), (64, 64, 64), (3, 200, 40),
    (200, 3, 40), (130, 70, 1537), (20, 40, 3100), (5, 500, 4000), (300, 16, 64), (300, 17, 64),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_products(dtype):
    def cast(x):
        return (x * 3).astype(dtype)

    pairs = [(cast(normal(m, k)), cast(normal(k, n))) for m, n, k in PRODUCTS]

    def all_forms(pairs):
        plain = [x @ y for x, y in pairs]
        left = [x.T.T @ y for x, y in pairs]
        turned = [(y.T @ x.T) for x, y in pairs]
        return plain, left, turned

    check(all_forms, pairs, tolerance=2e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chains_in_parts(dtype):
    """A left operand that lies transposed is used some terms at a time, where it lies or, if its
    columns lie too far apart, packed: the sum is the same.
    """
    shapes = [(70, 300, 3100), (64, 100, 3072), (40, 70, 1537), (2048, 70, 1537), (67, 40, 100)]
    pairs = [(normal(m, k, dtype=dtype), normal(k, n, dtype=dtype)) for m, n, k in shapes]
    turned = [np.ascontiguousarray(x.T) for x, _ in pairs]

    def both(pairs, turned):
        return [x @ y for x, y in pairs], [t.T @ y for t, (_, y) in zip(turned, pairs, strict=True)]

    lowered = check(both, pairs, turned, tolerance=2e-4)
    assert "totals" in lowered.c_source
    plain, packed = lowered.compile()(pairs, turned)
    assert_bits(plain, packed)


def test_narrow_products():
    """Few columns are the rows of tiles; and right operands whose rows share places in the caches
    are read where they lie, a strip at a time: the sums are the same.
    """
    shapes = [(70, 3, 64), (200, 1, 1700), (90, 5, 100), (5, 1024, 300), (9, 2048, 1600)]
    cases = [(normal(m, k), normal(k, n), normal(n), normal(m, n)) for m, n, k in shapes]
    turned = [np.ascontiguousarray(x.T) for x, *_ in cases]
    batch = normal(3, 2, 50, 20), normal(3, 2, 20, 2), normal(3, 1, 50, 2)

    def fn(cases, turned, batch):
        plain = [(x @ y, gx.tanh(x @ y + b) * r, gx.sum(x @ y, axis=1)) for x, y, b, r in cases]
        forms = [(t.T @ y, (y.T @ x.T).T) for t, (x, y, *_) in zip(turned, cases, strict=True)]
        x, y, r = batch
        return plain, forms, gx.maximum(x @ y, r)

    lowered = check(fn, cases, turned, batch, tolerance=2e-4)
    plain, forms, _ = lowered.compile()(cases, turned, batch)
    assert_bits([first for first, *_ in plain], [first for first, _ in forms])
    assert_bits([first for first, *_ in plain], [second for _, second in forms])


def test_parts_of_a_merged_axis_are_chosen_before_the_loop():
    """The middle axis is part of a loop over several, which cannot be split at positions of one."""
    parts = [normal(5, 7, 6).transpose(1, 0, 2) for _ in range(3)]

    def joined(a, b, c):
        return gx.stack([a, b * 2.0, c], axis=1), gx.concat([a, a + b, c, b, c], axis=1)

    check(joined, *parts)
    source = gx.trace(joined, *parts).lower().c_source
    assert "else if" in source


def test_products_of_transposed_operands():
    x, y = normal(40, 70), normal(90, 40)
    check(lambda x, y: (x.T @ y.T, y @ x, (y @ x).T * 2.0), x, y)


def test_products_that_ask_for_the_next_panel():
    x, plain, turned, r = normal(300, 500), normal(500, 620), normal(620, 500), normal(300, 620)

    def fn(x, y, t, r):
        return x @ y, x @ t.T, x @ t.T + r

    check(fn, x, plain, turned, r)
    lowered = gx.trace(fn, x, plain, turned, r).lower(target="x86-64-v4")
    assert lowered.c_source.count("gx_ask") > 3


def test_batched_products():
    cases = [((3, 2, 9, 17), (3, 2, 17, 33)), ((48, 8, 8), (48, 8, 8)), ((2, 130, 64), (2, 64, 70))]
    arrays = [(normal(*a), normal(*b)) for a, b in cases]

    def fn(arrays):
        return [gx.tanh(x @ y) + gx.sum(y) for x, y in arrays]

    check(fn, arrays)


def test_products_with_empty_extents():
    shapes = [((0, 3), (3, 4)), ((3, 0), (0, 4)), ((3, 4), (4, 0)), ((0, 2, 3), (0, 3, 2))]
    arrays = [(normal(*a), normal(*b)) for a, b in shapes]
    check(lambda arrays: [x @ y + 1.0 for x, y in arrays], arrays)


def test_epilogues_read_and_write_what_they_need():
    x, w, b, r = normal(70, 40), normal(40, 50), normal(50), normal(70, 50)

    def fn(x, w, b, r):
        h = x @ w + b
        return gx.tanh(h), gx.maximum(h, 0.0) + r, gx.sum(h, axis=0), gx.max(h, axis=1)

    check(fn, x, w, b, r)


SHAPES = [(3, 4, 5), (1, 7, 1), (2, 300, 3), (40, 1, 70), (2, 3, 1100)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_reductions_over_all_axes(shape):
    axes = [a for n in (1, 2, 3) for a in itertools.combinations(range(3), n)]

    def fn(x):
        y = gx.exp(x)
        sums = [gx.sum(x, axis=a) for a in axes] + [gx.max(y, axis=a) for a in axes]
        centred = [x - gx.mean(x, axis=a, keepdims=True) for a in axes]
        return sums, centred, [gx.sum(gx.permute_dims(y, (2, 0, 1)), axis=a) for a in axes]

    check(fn, normal(*shape))


def test_long_rows_and_tall_columns():
    x, tall = normal(3, 40000), normal(1000, 33)

    def fn(x, tall):
        flat = x.reshape(-1)
        return (
            gx.sum(x), gx.sum(x * 2.0, axis=1), gx.max(gx.abs(flat)), gx.prod(1.0 + x[0] * 1e-4),
            gx.sum(tall, axis=0), gx.max(tall * 2.0, axis=0), gx.argmax(tall, axis=0),
            gx.nn.softmax(x), gx.sum(gx.exp(tall)), x / gx.sqrt(gx.sum(x * x)),
        )  # fmt: skip

    check(fn, x, tall, tolerance=1e-4)


@pytest.mark.parametrize("dtype", ["float64", "int32", "int64", "uint8", "uint32"])
def test_reductions_of_other_dtypes(dtype):
    x = (normal(5, 70) * 40).astype(dtype)

    def fn(x):
        sums = [gx.sum(x, axis=a) for a in (None, 0, 1)]
        extremes = [gx.max(x, axis=a) for a in (0, 1)] + [gx.argmin(x, axis=1)]
        return sums, extremes, gx.any(x > 3, axis=0), gx.all(x > 3, axis=1)

    check(fn, x)


def test_row_kernels():
    x, g, b = normal(33, 70), normal(70), normal(70)

    def fn(x, g, b):
        return (
            gx.nn.softmax(x), gx.nn.log_softmax(x, axis=0), gx.nn.layer_norm(x, g, b),
            gx.logsumexp(x, axis=1), gx.std(x, axis=1), gx.var(x, axis=0),
        )  # fmt: skip

    check(fn, x, g, b)


def test_rows_that_do_not_fit_a_local_array():
    x = normal(4, 3000)
    check(lambda x: (gx.nn.softmax(x), gx.nn.layer_norm(x)), x)


def test_positions_and_indexing():
    x, i = normal(6, 5, 7), np.array([4, -1, 0, 2], np.int32)

    def fn(x, i):
        return (
            x[1:5:2, ::-1], x[..., None, 3], x[i], x[:, i % 5], gx.roll(x, 2, axis=1),
            gx.concat([x, x * 2.0, x[:, :2]], axis=1), gx.stack([x, -x], axis=1),
            gx.tril(x[0]), gx.pad(x, ((1, 0), (0, 2), (3, 3))), gx.one_hot(i, 5),
            gx.arange(7, dtype="float32") + x, gx.eye(5) * x[0, :, :5],
            x.at[i].add(1.0), gx.repeat(x, 2, axis=2),
        )  # fmt: skip

    check(fn, x, i)


def test_transposed_results_are_stored_as_they_are_read():
    """Attention's output is stored [batch, time, heads, width], so that no copy is made of it."""
    q = normal(2, 5, 3, 8)

    def fn(q):
        heads = gx.permute_dims(q, (0, 2, 1, 3))
        mixed = gx.nn.attention(heads, heads, heads, causal=True)
        return gx.tanh(gx.permute_dims(mixed, (0, 2, 1, 3)).reshape(10, 24))

    lowered = check(fn, q)
    names = [op.op.name for kernel in lowered.kernels for op in kernel.nodes]
    assert "reshape" not in names


def test_empty_tensors():
    x = normal(0, 3)

    def fn(x):
        return gx.sum(x), gx.sum(x, axis=0), gx.sum(x, axis=1), gx.tanh(x), gx.prod(x, axis=0)

    check(fn, x)


def test_scalars():
    def fn(x, n):
        return gx.sin(x) + x, n // 2, x.astype("int32"), gx.sum(x)

    check(fn, np.float32(2.5), np.int64(7))


def test_what_a_row_needs_again_is_kept_from_where_it_is_computed_first():
    """exp(x) is first needed in the second pass, to be folded there and read in the third."""
    x = normal(5, 30)

    def fn(x):
        largest = gx.max(x, axis=1, keepdims=True)
        e = gx.exp(x)
        weighted = gx.sum(e * (x - largest), axis=1, keepdims=True)
        total = gx.sum(e, axis=1, keepdims=True)
        return e / (weighted + 50.0), gx.sum(gx.exp(x) * largest, axis=1) + total[:, 0]

    check(fn, x)
