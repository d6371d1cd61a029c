"""Packed predicates: one bit an element from the forward to the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from tests.compiled.checking import check

RNG = np.random.default_rng(0)


def floats(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


def masks(lowered: Any) -> list[Any]:
    return [row for row in lowered.memory.saved if row.kind == "mask"]


def of_product(x, w):
    """Nothing but the mask is kept of what the product makes."""
    h = nn.relu(x @ w)
    return gx.grad(gx.sum(gx.sin(gx.mean(h + 1, axis=-1))), (x, w))


def of_map(x, w):
    """An elementwise kernel writes the mask."""
    h = nn.relu(gx.cumulative_sum(x, axis=1) - gx.flip(w, axis=0))
    return gx.grad(gx.sum(gx.sin(h @ np.full((50, 3), 0.02, np.float32))), (x, w))


def of_rows(x, w):
    """A kernel with reductions of rows writes the mask, one with rows of columns reads it."""
    total = gx.cumulative_sum(x, axis=0) - w
    h = nn.relu(total - gx.mean(total, axis=-1, keepdims=True))
    return gx.grad(gx.sum(gx.sin(gx.mean(h * 2, axis=0))), (x, w))


def of_parts(x, w):
    """Parts of the mask are read: some of its rows, some of its columns."""
    h = nn.relu(gx.cumulative_sum(x, axis=1) - w)
    return gx.grad(gx.sum(gx.sin(gx.mean(h[3:, 5:60], axis=-1))), (x, w))


def of_batch(x, w):
    """Products of a batch, the mask in a shape of more axes."""
    h = nn.relu(gx.reshape(x, (2, -1, x.shape[-1])) @ w)
    h = gx.reshape(h, (4, -1, w.shape[-1]))
    return gx.grad(gx.sum(gx.sin(gx.mean(h + 1, axis=-1))), (x, w))


def of_convolution(x, w):
    """Of several units an image; the gradient of the weights reads the mask where it copies y."""
    h = nn.relu(nn.conv2d(x, w, padding="SAME", layout="NHWC"))
    return gx.grad(gx.sum(gx.sin(gx.mean(h, axis=(1, 2)))), (x, w))


def of_groups(x, w):
    h = nn.relu(nn.conv2d(x, w, padding="SAME", groups=2, layout="NHWC"))
    return gx.grad(gx.sum(gx.sin(gx.mean(h, axis=(1, 2)))), (x, w))


def of_columns(x, w):
    """A kernel of column sums, in several blocks of rows, writes the mask."""
    total = gx.cumulative_sum(x, axis=1) - w
    h = nn.relu(total)
    return gx.grad(gx.sum(gx.sin(gx.mean(h, axis=0))), (x, w))


CASES: list[tuple[Callable, tuple[np.ndarray, ...], int]] = [
    (of_product, (floats(517, 40), floats(40, 70)), 517 * 70),
    (of_product, (floats(61, 9, dtype="float64"), floats(9, 33, dtype="float64")), 61 * 33),
    (of_map, (floats(90, 50), floats(90, 50)), 90 * 50),
    (of_rows, (floats(83, 41), floats(83, 41)), 83 * 41),
    (of_parts, (floats(75, 64), floats(75, 64)), 75 * 64),
    (of_batch, (floats(96, 24), floats(24, 48)), 96 * 48),
    (of_convolution, (floats(3, 24, 24, 4), floats(3, 3, 4, 37)), 3 * 24 * 24 * 37),
    (of_convolution, (floats(48, 4, 4, 16), floats(3, 3, 16, 24)), 48 * 4 * 4 * 24),
    (of_groups, (floats(2, 4, 8, 4), floats(3, 3, 2, 34)), 2 * 4 * 8 * 34),
    (of_columns, (floats(301, 41), floats(301, 41)), 301 * 41),
]


@pytest.mark.parametrize(("fn", "args", "size"), CASES)
def test_a_mask_takes_a_bit_an_element(fn, args, size):
    lowered = check(fn, *args, threads=(1, 2, 5))
    packed = [row for row in masks(lowered) if row.bits == 1]
    assert packed, lowered.memory
    for row in packed:
        columns = int(row.value.rsplit(",", 1)[1].rstrip("]"))
        assert row.bytes == -(-size // columns // 8) * columns
        assert row.rule.startswith("mask of ")


def test_what_is_kept_anyway_needs_no_mask():
    """The next product's derivative asks for the ReLU's result, which tells where it was 0."""

    def step(x, w):
        return gx.grad(gx.sum(gx.sin(nn.relu(x @ w) @ w)), (x, w))

    lowered = gx.trace(step, gx.spec((64, 32)), gx.spec((32, 32))).lower(threads=1)
    assert not masks(lowered) and len(lowered.memory.saved) == 1


def test_a_mask_is_kept_or_computed_again_as_the_user_says():
    traced = gx.trace(of_product, gx.spec((64, 32)), gx.spec((32, 48)))
    (row,) = traced.lower(threads=1).memory.saved
    assert row.kind == "mask" and row.peak_drop_bytes <= 0
    assert traced.lower(threads=1, keep=[row]).memory.saved[0].place == row.place
    assert not masks(traced.lower(threads=1, recompute=[row]))


def test_debugging_reads_bits():
    x, w = floats(64, 32), floats(32, 48)
    with np.errstate(invalid="ignore"):
        step = gx.trace(of_product, x, w).lower(threads=2).compile(debug=True)
    want = gx.trace(of_product, x, w).evaluate(x, w)
    for a, b in zip(step(x, w), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
