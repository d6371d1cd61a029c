"""Normalization against PyTorch: values, gradients, running statistics."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(5)


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape) * 2 + 0.5


def test_layer_norm(with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    arrays = draw(2, 3, 8), draw(8), draw(8)
    want = torch_gradients(
        lambda x, s, b: torch.nn.functional.layer_norm(x, (8,), s, b, 1e-3), *arrays
    )
    agree(with_gradients(lambda x, s, b: nn.layer_norm(x, s, b, eps=1e-3), *arrays), want)


def test_layer_norm_without_parameters(with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x = draw(3, 8)
    want = torch_gradients(lambda x: torch.nn.functional.layer_norm(x, (8,)), x)
    agree(with_gradients(nn.layer_norm, x), want)


def test_layer_norm_keeps_its_digits_far_from_zero(run):
    x = (1e4 + np.arange(8, dtype=np.float32))[None]
    want = (np.arange(8) - 3.5) / np.sqrt(5.25)
    np.testing.assert_allclose(run(nn.layer_norm, x)[0], want, rtol=1e-5)


def test_rms_norm(with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    arrays = draw(2, 3, 8), draw(8)
    want = torch_gradients(lambda x, s: torch.nn.functional.rms_norm(x, (8,), s, 1e-6), *arrays)
    agree(with_gradients(nn.rms_norm, *arrays), want)


@pytest.mark.parametrize("space", [(), (5,), (3, 4)])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_group_norm(space, layout, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x, scale, bias = draw(2, 6, *space), draw(6), draw(6)
    last = layout == "NHWC"

    def ours(x, s, b):
        x = gx.moveaxis(x, 1, -1) if last else x
        y = nn.group_norm(x, 3, s, b, eps=1e-4, layout=layout)
        return gx.moveaxis(y, -1, 1) if last else y

    want = torch_gradients(
        lambda x, s, b: torch.nn.functional.group_norm(x, 3, s, b, 1e-4), x, scale, bias
    )
    agree(with_gradients(ours, x, scale, bias), want)


@pytest.mark.parametrize("space", [(), (5,), (3, 4)])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(space, layout, training, run, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x, scale, bias = draw(4, 3, *space), draw(3), draw(3)
    mean, var = draw(3), draw(3) ** 2
    last = layout == "NHWC"

    def whole(x, s, b):
        x = gx.moveaxis(x, 1, -1) if last else x
        y, m, v = nn.batch_norm(
            x, s, b, gx.asarray(mean), gx.asarray(var), training=training, momentum=0.2,
            eps=1e-3, layout=layout,
        )  # fmt: skip
        return [gx.moveaxis(y, -1, 1) if last else y, m, v]

    running = [torch.tensor(mean), torch.tensor(var)]

    def theirs(x, s, b):
        return torch.nn.functional.batch_norm(x, *running, s, b, training, 0.2, 1e-3)

    want = torch_gradients(theirs, x, scale, bias)
    agree(with_gradients(lambda *a: whole(*a)[0], x, scale, bias), want)
    agree(run(whole, x, scale, bias)[1:], [r.numpy() for r in running])


def test_batch_norm_without_scale_and_bias(run):
    x = draw(6, 2)
    y, _, _ = run(
        lambda x: nn.batch_norm(x, None, None, np.zeros(2), np.ones(2), training=True, eps=0.0), x
    )
    np.testing.assert_allclose(y, (x - x.mean(0)) / x.std(0), rtol=1e-12)


def test_running_statistics_keep_their_dtype():
    x = gx.input("x", (4, 3), "float64")
    old = gx.input("m", (3,))
    _, mean, var = nn.batch_norm(x, None, None, old, old, training=True)
    assert mean.type == old.type == var.type


def test_refusals():
    x = gx.input("x", (2, 6, 5))
    with pytest.raises(ShapeError, match="6 channels are not 4 equal groups"):
        nn.group_norm(x, 4)
    with pytest.raises(ArgumentError, match="layout"):
        nn.group_norm(x, 3, layout="NWC")
    with pytest.raises(ShapeError, match="more than one value"):
        nn.batch_norm(gx.input("x", (1, 3)), None, None, np.zeros(3), np.ones(3), training=True)
    with pytest.raises(ShapeError, match="batch, channels"):
        nn.batch_norm(gx.input("x", (3,)), None, None, np.zeros(3), np.ones(3), training=False)
