"""Convolution and its transpose against NumPy, PyTorch and JAX: values, gradients, refusals."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(11)

#: Settings with the shapes of x and w, channels first, that they need.
CASES = {
    "plain": ((2, 3, 5, 6), (4, 3, 2, 3), {}),
    "strided": ((1, 2, 7, 6), (3, 2, 3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    "dilated": ((1, 2, 8, 7), (2, 2, 3, 2), {"dilation": (2, 3), "padding": 2}),
    "groups": ((2, 6, 4, 5), (4, 3, 3, 3), {"groups": 2, "padding": 1}),
    "depthwise": ((2, 3, 5, 5), (6, 1, 3, 3), {"groups": 3, "stride": 2}),
    "one tap": ((2, 5, 3, 3), (4, 5, 1, 1), {}),
}


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def to_last(layout: str, x, w):
    """Arrays of PyTorch's layout in ours, and a way back for the result."""
    if layout == "NCHW":
        return x, w, lambda y: y
    space = range(2, x.ndim)
    x = gx.moveaxis(x, 1, -1)
    w = gx.permute_dims(w, (*space, 1, 0))
    return x, w, lambda y: gx.moveaxis(y, -1, 1)


def brute_force(x, w, stride, pads, dilation, groups):
    """The sum of its definition, an element at a time."""
    (n, _, *extents), (o, inputs, *kernel) = x.shape, w.shape
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    counts = [
        (e + sum(p) - (k - 1) * d - 1) // s + 1
        for e, p, k, d, s in zip(extents, pads, kernel, dilation, stride, strict=True)
    ]
    y = np.zeros((n, o, *counts))
    for b, f, *at in itertools.product(range(n), range(o), *map(range, counts)):
        first = f // (o // groups) * inputs
        for i, *tap in itertools.product(range(inputs), *map(range, kernel)):
            place = [a * s + t * d for a, s, t, d in zip(at, stride, tap, dilation, strict=True)]
            y[b, f, *at] += w[f, i, *tap] * padded[b, first + i, *place]
    return y


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", CASES)
def test_conv2d(name, layout, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x_shape, w_shape, settings = CASES[name]
    x, w = draw(*x_shape), draw(*w_shape)

    def ours(x, w):
        x, w, back = to_last(layout, x, w)
        return back(nn.conv2d(x, w, layout=layout, **settings))

    want = torch_gradients(lambda x, w: torch.nn.functional.conv2d(x, w, **settings), x, w)
    agree(with_gradients(ours, x, w), want)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_conv1d(layout, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x, w = draw(2, 4, 9), draw(6, 2, 3)
    settings = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}

    def ours(x, w):
        x, w, back = to_last(layout, x, w)
        return back(nn.conv1d(x, w, layout=layout, **settings))

    want = torch_gradients(lambda x, w: torch.nn.functional.conv1d(x, w, **settings), x, w)
    agree(with_gradients(ours, x, w), want)


@pytest.mark.parametrize("padding", [1, (0, 2), ((1, 2), (0, 1)), ((1, 0), 2), "VALID", "same"])
def test_forms_of_padding_against_the_definition(padding, run):
    x, w = draw(1, 4, 5, 6), draw(2, 2, 3, 2)
    stride, dilation = (2, 1), (1, 2)
    pads = {
        1: ((1, 1), (1, 1)),
        (0, 2): ((0, 0), (2, 2)),
        ((1, 0), 2): ((1, 0), (2, 2)),
        "VALID": ((0, 0), (0, 0)),
        # 3 windows of 3 over 5 with stride 2 need 7; 6 windows of 1 + 2 over 6 need 8.
        "same": ((1, 1), (1, 1)),
    }.get(padding, padding)
    got = run(
        lambda x, w: nn.conv2d(x, w, stride=stride, padding=padding, dilation=dilation, groups=2),
        x, w,
    )  # fmt: skip
    np.testing.assert_allclose(got, brute_force(x, w, stride, pads, dilation, 2), rtol=1e-12)


@pytest.mark.parametrize("extent, kernel, stride, dilation", [
    (6, 4, 1, 1), (7, 3, 2, 1), (8, 2, 3, 1), (5, 2, 1, 3), (4, 1, 3, 1),
])  # fmt: skip
def test_same_is_that_of_jax(extent, kernel, stride, dilation, run):
    jax = pytest.importorskip("jax")
    x, w = draw(1, 2, extent), draw(3, 2, kernel)
    with jax.enable_x64(True):
        want = jax.lax.conv_general_dilated(x, w, (stride,), "SAME", rhs_dilation=(dilation,))
    got = run(lambda x, w: nn.conv1d(x, w, stride=stride, padding="SAME", dilation=dilation), x, w)
    np.testing.assert_allclose(got, np.asarray(want), rtol=1e-12)


TRANSPOSED = {
    "plain": ((2, 3, 4, 5), (3, 4, 2, 3), {}),
    "strided": ((1, 2, 3, 4), (2, 3, 3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    "grouped": ((1, 4, 3, 4), (4, 3, 3, 2), {"groups": 2, "stride": 2, "output_padding": 1}),
    "dilated": ((1, 2, 3, 4), (2, 2, 3, 2), {"dilation": 2, "padding": 1}),
}


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_conv_transpose2d(name, layout, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x_shape, w_shape, settings = TRANSPOSED[name]
    x, w = draw(*x_shape), draw(*w_shape)

    def ours(x, w):
        x, w, back = to_last(layout, x, w)
        return back(nn.conv_transpose2d(x, w, layout=layout, **settings))

    want = torch_gradients(
        lambda x, w: torch.nn.functional.conv_transpose2d(x, w, **settings), x, w
    )
    agree(with_gradients(ours, x, w), want)


def test_conv_transpose1d(with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x, w = draw(2, 4, 5), draw(4, 3, 3)
    settings = {"stride": 3, "padding": 1, "output_padding": 2}
    want = torch_gradients(
        lambda x, w: torch.nn.functional.conv_transpose1d(x, w, **settings), x, w
    )
    agree(with_gradients(lambda x, w: nn.conv_transpose1d(x, w, **settings), x, w), want)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_transpose_with_same_padding_undoes_the_shape(stride):
    x, w = gx.input("x", (1, 4, 5, 6)), gx.input("w", (4, 3, 2, 3))
    y = nn.conv_transpose2d(x, w, stride=stride, padding="SAME")
    assert y.shape == (1, 3, 5 * stride, 6 * stride)
    again = nn.conv2d(y, w, stride=stride, padding="SAME")
    assert again.shape == x.shape


def test_the_transpose_is_the_gradient_by_the_input(run):
    x, y, w = draw(2, 3, 7, 6), draw(2, 4, 3, 3), draw(4, 3, 3, 2)
    settings = {"stride": 2, "padding": ((1, 0), (0, 1))}

    def both(x, y, w):
        gradient = gx.grad(nn.conv2d(x, w, **settings), x, y)
        return gradient, nn.conv_transpose2d(y, w, output_padding=(1, 1), **settings)

    gradient, transposed = run(both, x, y, w)
    assert transposed.shape == (2, 3, 7, 6)
    np.testing.assert_allclose(gradient, transposed, rtol=1e-12)


def test_layouts_and_derivatives_are_compiled():
    """Second derivatives and both layouts in one compiled function."""
    x, w = draw(2, 3, 6, 5).astype(np.float32), draw(4, 3, 3, 3).astype(np.float32)

    def step(x, w):
        results = []
        for layout in ("NCHW", "NHWC"):
            image, kernel, back = to_last(layout, x, w)
            y = back(nn.conv2d(image, kernel, stride=2, padding="SAME", layout=layout))
            gradients = gx.grad(gx.sum(y**3), (x, w))
            second = gx.grad(sum(gx.sum(g**2) for g in gradients), (x, w))
            results.extend((y, *gradients, *second))
        return results

    traced = gx.trace(step, x, w)
    for got, want in zip(traced.lower().compile()(x, w), traced.evaluate(x, w), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-3)


def test_refusals_name_the_call_and_the_line():
    x, w = gx.input("x", (1, 3, 8, 8)), gx.input("w", (16, 4, 3, 3))
    with pytest.raises(ShapeError, match="3 channels do not fit 1 groups of 4") as caught:
        nn.conv2d(x, w)
    message = str(caught.value)
    assert message.startswith("conv2d(float32[1,3,8,8], float32[16,4,3,3]), NCHW: ")
    assert f"({Path(__file__).name}:" in message
    good = gx.input("w", (16, 3, 3, 3))
    refused = [
        (ShapeError, "2 axes of space", lambda: nn.conv2d(x[0], good)),
        (ShapeError, "weights with 2 axes", lambda: nn.conv2d(x, good[0])),
        (ArgumentError, 'layout is "NCHW"', lambda: nn.conv2d(x, good, layout="NWC")),
        (ArgumentError, "padding is a number", lambda: nn.conv2d(x, good, padding="FULL")),
        (ArgumentError, "padding is a number", lambda: nn.conv2d(x, good, padding=(1, 2, 3))),
        (ArgumentError, "stride is a number or 2", lambda: nn.conv2d(x, good, stride=(1, 2, 3))),
        (ArgumentError, "dilation is a number", lambda: nn.conv2d(x, good, dilation=1.5)),
        (ShapeError, "strides and dilation >= 1", lambda: nn.conv2d(x, good, stride=0)),
        (ShapeError, "padding >= 0", lambda: nn.conv2d(x, good, padding=-1)),
        (ShapeError, "larger than the padded", lambda: nn.conv2d(x[:, :, :2], good)),
        (DTypeError, "one float dtype", lambda: nn.conv2d(x.astype("int32"), good.astype("int32"))),
        (ShapeError, "required", lambda: nn.conv_transpose2d(x, w, output_padding=1)),
        (ShapeError, "extents >= 0", lambda: nn.conv_transpose2d(good, x, padding=9)),
    ]
    for error, words, call in refused:
        with pytest.raises(error, match=words):
            call()
