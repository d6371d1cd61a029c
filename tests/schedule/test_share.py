"""Kernels in loops that share rows alike: nobody waits for what the same thread has written."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.dtypes import float32
from graphc.ir.expr import INDEX, cast
from graphc.ir.spec import Pointwise, Strided
from graphc.schedule.product import Product
from graphc.schedule.repeat import Repeat
from graphc.schedule.share import leading, reads_own_rows, stays_in_row
from tests.compiled.checking import check

rng = np.random.default_rng(3)


def normal(*shape):
    return rng.standard_normal(shape, np.float32) * np.float32(0.3)


def trained(layer, gates):
    """The loss of a recurrent layer and its gradients."""

    def step(x, h, w_ih, w_hh, b):
        def loss(x, w_ih, w_hh, b):
            state = (h, h) if gates == 4 else h
            return gx.sum(layer(x, state, w_ih, w_hh, b)[0] ** 2)

        return loss(x, w_ih, w_hh, b), gx.grad(loss(x, w_ih, w_hh, b), (x, w_ih, w_hh, b))

    return step


def arrays(gates, length, batch, width, hidden):
    shapes = [(length, batch, width), (batch, hidden), (width, gates * hidden)]
    return [normal(*s) for s in (*shapes, (hidden, gates * hidden), (gates * hidden,))]


def loops(lowered):
    """The functions of the loops."""
    return re.findall(r"static void k\d+_scan\(.*?\n\}\n", lowered.c_source, re.S)


def repeats(lowered):
    return [k for k in lowered.program.kernels if isinstance(k, Repeat)]


@pytest.mark.parametrize(("layer", "gates"), [(nn.lstm, 4), (nn.gru, 3)])
def test_steps_without_barriers(layer, gates):
    args = arrays(gates, 6, 32, 8, 64)
    lowered = check(trained(layer, gates), *args, threads=(1, 2, 3), tolerance=2e-4)
    lowered = gx.trace(trained(layer, gates), *args).lower(threads=2)
    assert len(repeats(lowered)) == 2
    for kernel in repeats(lowered):
        assert {k.share for k in kernel.program.kernels} == {kernel.program.kernels[0].share}
        assert kernel.program.kernels[0].share.workers(2) == 2
    for text in loops(lowered):
        before, steps = re.split(r"\n    for \(int64_t i\d+ = 0; i\d+ < 6; i\d+\+\+\) \{", text)
        assert "_matmul_panels(" in before
        assert "gx_barrier_wait" in before
        assert "gx_barrier_wait" not in steps


@pytest.mark.parametrize("batch", [1, 5, 12, 31])
def test_any_batch(batch):
    check(trained(nn.lstm, 4), *arrays(4, 3, batch, 5, 20), threads=(1, 2, 3), tolerance=2e-4)


def test_what_other_rows_are_needed_for_waits():
    """A step that mixes the examples of its batch, by a sum and by a product from the left."""

    def mixed(x, w, m):
        def step(h, x):
            h = gx.tanh(h @ w + x)
            h = h - gx.mean(h, axis=0, keepdims=True) + h[::-1] + m @ h
            return h, h

        return gx.scan(step, x[0], x)

    args = normal(4, 32, 64), normal(64, 64), normal(32, 32)
    check(mixed, *args, threads=(1, 2, 3), tolerance=2e-4)
    (text,) = loops(gx.trace(mixed, *args).lower(threads=2))
    assert text.count("gx_barrier_wait") >= 4


def test_a_row_that_reads_another_waits():
    def turned(x, w):
        def step(h, x):
            h = gx.tanh(h @ w + x)
            return h + h[::-1], h

        return gx.scan(step, x[0], x)

    args = normal(4, 32, 128), normal(128, 128)
    check(turned, *args, threads=(1, 2), tolerance=2e-4)
    lowered = gx.trace(turned, *args).lower(threads=2)
    (kernel,) = repeats(lowered)
    assert all(k.share is not None for k in kernel.program.kernels)
    (text,) = loops(lowered)
    # One until all rows are there, one until all are read.
    assert text[text.rindex("for (") :].count("gx_barrier_wait") == 2


def test_a_packed_copy_only_of_what_stays():
    def changing(x, w):
        def step(carry, x):
            h, w = carry
            h = gx.tanh(h @ w + x @ w)
            return (h, w * 0.5), h

        return gx.scan(step, (x[0], w), x)

    args = normal(4, 8, 32), normal(32, 32)
    check(changing, *args, threads=(1, 3), tolerance=2e-4)
    (kernel,) = repeats(gx.trace(changing, *args).lower(threads=2))
    products = [k for k in kernel.program.kernels if isinstance(k, Product)]
    assert products
    assert not any(k.is_prepared for k in products)
    assert not kernel.program.panels


def test_rows_of_a_buffer():
    whole = Strided.contiguous((4, 3, 8))
    assert stays_in_row(whole, 4, 96)
    assert stays_in_row(whole, 12, 96)
    assert not stays_in_row(whole, 6, 96)
    assert stays_in_row(Strided((4, 8), (24, 1), 16), 4, 96)
    assert not stays_in_row(Strided((4, 8), (24, 1), 17), 4, 96)
    assert not stays_in_row(Strided((4, 8), (0, 1)), 4, 8)
    assert not stays_in_row(Strided((4, 8), (-8, 1), 24), 4, 32)
    assert not stays_in_row(Strided((4, 8), (1, 4)), 4, 32)
    assert [leading((2, 3, 4), n) for n in (1, 2, 3, 6, 24)] == [0, 1, None, 2, 3]


def test_which_elements_are_read():
    def own(body):
        return reads_own_rows(Pointwise(body), (4, 8), [float32, float32], 1)

    assert own(lambda i, read: read(0, (i[0], i[1] + 1)) + read(1, (i[0], 7 - i[1])))
    assert own(lambda i, read: cast(i[0], float32))
    assert not own(lambda i, read: read(0, (i[1], i[0])))
    assert not own(lambda i, read: read(0, i) + read(1, (3 - i[0], i[1])))
    assert not own(lambda i, read: read(0, (cast(read(1, i), INDEX), i[1])))
