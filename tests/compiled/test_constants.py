"""Numbers that are hard to write in C, and those at which a shorter loop would go wrong."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from tests.compiled.checking import assert_same

INTEGERS = {name: np.iinfo(name) for name in ("int32", "int64", "uint8", "uint32")}


def floats(dtype: str) -> list[float]:
    info = np.finfo(dtype)
    return [
        float("nan"), float("inf"), -float("inf"), -0.0, 0.1, 1 / 3, float(info.max),
        float(info.min), float(info.tiny), float(info.smallest_subnormal),
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_in_the_text_are_the_numbers(dtype):
    """Each is chosen by a mask, so that its bits come out, and is an operand of a maximum and of a
    minimum: NaN wins both, on either side."""
    numbers = np.array([*floats(dtype), 2.0], dtype)
    mask = np.arange(numbers.size) % 3 == 0

    def fn(x, mask):
        chosen = [gx.where(mask, x, c) for c in floats(dtype)]
        higher = [gx.maximum(x, c) for c in floats(dtype)]
        lower = [gx.minimum(gx.astype(c, dtype), x) for c in floats(dtype)]
        return chosen, higher, lower, [gx.clip(x, c, 2.0) for c in floats(dtype)[1:]]

    traced = gx.trace(fn, numbers, mask)
    got, want = traced.lower(threads=1).compile()(numbers, mask), traced.evaluate(numbers, mask)
    for k, (a, b) in enumerate(zip(tree.leaves(got), tree.leaves(want), strict=True)):
        np.testing.assert_array_equal(a, b, err_msg=f"result {k}")
    for a, c in zip(got[0], floats(dtype), strict=True):
        expected = np.where(mask, numbers, np.array(c, dtype))
        np.testing.assert_array_equal(np.signbit(a), np.signbit(expected))


def test_integers_in_the_text_are_the_numbers():
    arrays = {name: np.array([i.min, 0, 1, 7, i.max], name) for name, i in INTEGERS.items()}

    def fn(arrays):
        limits = {name: (int(i.min), int(i.max)) for name, i in INTEGERS.items()}
        return {
            name: [
                [gx.where(x == 7, c, x), gx.maximum(x, c), gx.minimum(x, c), x - c, x ^ c]
                for c in limits[name]
            ]
            for name, x in arrays.items()
        }

    traced = gx.trace(fn, arrays)
    assert_same(traced.lower(threads=1).compile()(arrays), traced.evaluate(arrays))
