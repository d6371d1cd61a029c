"""Tiles that ask for what their epilogue will read, between parts of their terms."""

from __future__ import annotations

import re
from unittest.mock import patch

import numpy as np
import pytest

import graphc as gx
from graphc.schedule.product import Product
from tests.compiled.checking import check

rng = np.random.default_rng(0)


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return (rng.normal(size=shape) * 4).astype(dtype)


#: (batch, m, n, k): whole tiles; tiles that overlap at both edges; several chains of terms, and
#: blocks of them; parts that are no equal parts.
SHAPES = [(1, 64, 192, 256), (1, 61, 203, 131), (1, 37, 130, 3200), (3, 50, 100, 300)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("transposed", [False, True])
def test_parts_of_a_tile_have_the_bits_of_the_whole(dtype, transposed):
    arguments = []
    for batch, m, n, k in SHAPES:
        left = normal(batch, k, m, dtype=dtype) if transposed else normal(batch, m, k, dtype=dtype)
        arguments += [(left, normal(batch, k, n, dtype=dtype), normal(batch, m, n, dtype=dtype))]

    def fn(arguments):
        turn = gx.matrix_transpose if transposed else (lambda x: x)
        half = 2 if dtype == "int32" else 0.5
        return [w * half + turn(x) @ y for x, y, w in arguments]

    lowered = check(fn, arguments, tolerance=2e-5)
    asks = [k.asks for k in lowered.program.kernels if isinstance(k, Product)]
    # Whole chains, which are added rather than resumed, are not taken in parts.
    assert len(asks) == len(SHAPES)
    assert sum(n > 1 for n in asks) >= 2, asks
    parted = lowered.compile()(arguments)
    with patch.object(Product, "asks", 0):
        whole = gx.trace(fn, arguments).lower()
        assert "gx_ask(" not in "".join(k.c_text for k in whole.kernels)
        for a, b in zip(parted, whole.compile()(arguments), strict=True):
            np.testing.assert_array_equal(a, b)


def asked(lowered) -> set[str]:
    return set(re.findall(r"gx_ask\((\w+) ", lowered.kernels[0].c_text))


def test_a_tile_asks_for_what_lies_in_rows():
    """Not for a bias, which is one row; not for what is only written; not where tiles hold whole
    rows, which lie one after the other.
    """
    x, y, w, b = normal(64, 128) / 64, normal(128, 192), normal(64, 192), normal(192)
    assert not asked(check(lambda x, y, b: gx.tanh(x @ y + b), x, y, b))
    assert len(asked(check(lambda x, y, w, b: gx.tanh(x @ y + b) * w, x, y, w, b))) == 1
    assert not asked(check(lambda x, y, w: w + x @ y, x, normal(128, 16), normal(64, 16)))
