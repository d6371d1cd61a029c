"""What goes across the order in which arrays lie: transpositions, and reshapes behind them."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from tests.compiled.checking import check

rng = np.random.default_rng(0)


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_large_transpositions_are_copied_in_tiles(dtype):
    """Sides that are multiples of a tile's and sides that are not; an axis between, and in front;
    another array beside that lies as the result does.
    """
    x, y, z = (
        (abs(normal(*s)) * 9).astype(dtype) for s in ((256, 192), (3, 203, 2, 131), (192, 256))
    )

    def fn(x, y, z):
        return x.T + z, gx.permute_dims(y, (0, 3, 2, 1)), gx.permute_dims(y, (3, 0, 2, 1)) * 2

    lowered = check(fn, x, y, z)
    assert all("+= 8" in kernel.c_text for kernel in lowered.kernels)


def test_tiles_leave_what_is_read_in_order():
    x = normal(256, 192)

    def fn(x):
        return gx.tanh(x) * 2.0, gx.flip(x, axis=1) + 1.0

    assert all("+= 8" not in kernel.c_text for kernel in check(fn, x).kernels)


def test_reshapes_of_transposed_arrays_are_copied_along_their_axes():
    """No position is found by division: also in a loop's body, and behind a product."""
    x, w = normal(4, 6, 10), normal(10, 10)

    def body(carry, x):
        return carry + x.T.reshape(12, 5) @ np.ones((5, 5), np.float32), None

    def fn(x, w):
        a = gx.permute_dims(x, (0, 2, 1)).reshape(8, 30) * 2.0
        b = gx.permute_dims(x @ w, (2, 0, 1)).reshape(24, 10)
        c, _ = gx.scan(body, gx.zeros((12, 5)), x)
        d = gx.broadcast_to(x[:, None], (4, 3, 6, 10)).reshape(12, 60) + 1.0
        return a, b + x.reshape(24, 10), c, d

    lowered = check(fn, x, w)
    copies = [k for k in lowered.kernels if any(n.op.name == "copy" for n in k.nodes)]
    stores = [line for k in copies for line in k.c_text.splitlines() if "] = " in line]
    assert stores
    assert not any(" / " in line or " % " in line for line in stores)


@pytest.mark.parametrize("shape", [(1, 70, 150), (3, 20, 2, 3, 7), (2, 9, 300, 2), (40, 5, 64)])
def test_folds_along_an_axis_that_is_not_the_last(shape):
    x = normal(*shape)

    def fn(x):
        y = gx.cumulative_sum(x, axis=1)
        return y, gx.cumulative_logsumexp(x, axis=1), gx.cumulative_prod(1 + x / 9, axis=-2)

    check(fn, x)
