"""Pooling against PyTorch: values, gradients, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(12)

CASES = {
    "tiles": ((2, 3, 6, 4), 2, {}),
    "overlapping": ((2, 2, 5, 6), (3, 2), {"stride": (1, 2)}),
    "padded": ((1, 2, 5, 7), 3, {"stride": 2, "padding": 1}),
    "a rest": ((1, 2, 5, 7), (2, 3), {}),
}


def inward(layout, x):
    return x if layout == "NCHW" else gx.moveaxis(x, 1, -1)


def outward(layout, y):
    return y if layout == "NCHW" else gx.moveaxis(y, -1, 1)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
def test_pooling(kind, name, layout, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    shape, window, settings = CASES[name]
    x = RNG.standard_normal(shape)
    theirs, ours = getattr(torch.nn.functional, kind), getattr(nn, kind)
    want = torch_gradients(lambda x: theirs(x, window, **settings), x)
    got = with_gradients(
        lambda x: outward(layout, ours(inward(layout, x), window, layout=layout, **settings)), x
    )
    agree(got, want)


@pytest.mark.parametrize("kind", ["max_pool1d", "avg_pool1d"])
def test_one_axis(kind, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((2, 3, 9))
    settings = {"stride": 2, "padding": 1}
    want = torch_gradients(lambda x: getattr(torch.nn.functional, kind)(x, 3, **settings), x)
    agree(with_gradients(lambda x: getattr(nn, kind)(x, 3, **settings), x), want)


def test_padding_that_does_not_count(with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((1, 2, 5, 6))
    settings = {"stride": 2, "padding": 1, "count_include_pad": False}
    want = torch_gradients(lambda x: torch.nn.functional.avg_pool2d(x, 3, **settings), x)
    agree(with_gradients(lambda x: nn.avg_pool2d(x, 3, **settings), x), want)


def test_same_padding(run):
    x = np.arange(1.0, 6).reshape(1, 1, 5)
    assert run(lambda x: nn.max_pool1d(x, 2, padding="SAME"), x).tolist() == [[[2, 4, 5]]]
    assert run(lambda x: nn.max_pool1d(-x, 2, padding="SAME"), x).tolist() == [[[-1, -3, -5]]]
    mean = run(lambda x: nn.avg_pool1d(x, 2, padding="SAME"), x)
    assert mean.tolist() == [[[1.5, 3.5, 2.5]]]


def test_the_first_of_equal_elements_takes_the_gradient(with_gradients):
    _, gradient = with_gradients(lambda x: nn.max_pool2d(x, 2), np.zeros((1, 1, 2, 2)))
    assert gradient.ravel().nonzero()[0].tolist() == [0]


def test_where_nothing_is_larger_than_padding_nothing_moves(run):
    """A window that begins in padding of -inf and holds nothing else chooses the padding."""
    x = np.array([-np.inf, -np.inf, 3.0]).reshape(1, 1, 3)

    def both(x, t):
        return gx.jvp(lambda x: nn.max_pool1d(x, 2, stride=1, padding=1), (x,), (t,))

    _, moved = run(both, x, np.full((1, 1, 3), 2.0))
    assert moved.tolist() == [[[0, 2, 2, 2]]]


@pytest.mark.parametrize("space", [(5,), (3, 4)])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_global_pooling(space, layout, run):
    x = RNG.standard_normal((2, 3, *space))
    axes = tuple(range(2, x.ndim))
    largest = run(lambda x: nn.global_max_pool(inward(layout, x), layout=layout), x)
    mean = run(lambda x: nn.global_avg_pool(inward(layout, x), layout=layout), x)
    np.testing.assert_array_equal(largest, x.max(axes))
    np.testing.assert_allclose(mean, x.mean(axes), rtol=1e-13)


def test_refusals():
    x = gx.input("x", (1, 3, 8, 8))
    refused = [
        (ShapeError, "2 axes of space", lambda: nn.max_pool2d(x[0], 2)),
        (ArgumentError, "window is a number or 2", lambda: nn.max_pool2d(x, (2, 2, 2))),
        (ArgumentError, 'layout is "NCHW"', lambda: nn.avg_pool2d(x, 2, layout="CHW")),
        (ShapeError, "smaller than the window", lambda: nn.max_pool2d(x, 2, padding=2)),
        (ShapeError, "larger than the padded", lambda: nn.avg_pool2d(x, 9)),
        (DTypeError, "required float", lambda: nn.avg_pool2d(x.astype("int32"), 2)),
        (ShapeError, "axes of space required", lambda: nn.global_avg_pool(x[0, 0])),
    ]
    for error, words, call in refused:
        with pytest.raises(error, match=words):
            call()
