"""Activations: values, first and second derivatives, kinks, extremes."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn

X = np.array([-30.0, -3.1, -1.2, -0.3, -1e-3, 1e-3, 0.4, 1.7, 2.9, 25.0])

#: ours, and the name and options of PyTorch's function.
PAIRS = {
    "relu": (nn.relu, "relu", {}),
    "leaky_relu": (nn.leaky_relu, "leaky_relu", {}),
    "leaky_relu 0.3": (lambda x: nn.leaky_relu(x, 0.3), "leaky_relu", {"negative_slope": 0.3}),
    "elu": (nn.elu, "elu", {}),
    "elu 0.7": (lambda x: nn.elu(x, 0.7), "elu", {"alpha": 0.7}),
    "silu": (nn.silu, "silu", {}),
    "gelu": (nn.gelu, "gelu", {}),
    "gelu tanh": (lambda x: nn.gelu(x, approximate=True), "gelu", {"approximate": "tanh"}),
    "sigmoid": (nn.sigmoid, "sigmoid", {}),
    "softplus": (nn.softplus, "softplus", {"threshold": 1000}),
    "tanh": (nn.tanh, "tanh", {}),
    "log_sigmoid": (nn.log_sigmoid, "logsigmoid", {}),
    "soft_sign": (nn.soft_sign, "softsign", {}),
    "hard_tanh": (nn.hard_tanh, "hardtanh", {}),
    "relu6": (nn.relu6, "relu6", {}),
    "hard_silu": (nn.hard_silu, "hardswish", {}),
    "celu": (lambda x: nn.celu(x, 0.5), "celu", {"alpha": 0.5}),
    "selu": (nn.selu, "selu", {}),
    "mish": (nn.mish, "mish", {}),
    "softmax": (nn.softmax, "softmax", {"dim": -1}),
    "log_softmax": (nn.log_softmax, "log_softmax", {"dim": -1}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_against_torch(name, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    ours, function, options = PAIRS[name]
    theirs = getattr(torch.nn.functional, function)
    x = np.stack([X, X[::-1] / 7])
    agree(with_gradients(ours, x), torch_gradients(lambda t: theirs(t, **options), x))


@pytest.mark.filterwarnings("ignore::graphc.DisconnectedGradientWarning")
@pytest.mark.parametrize("name", PAIRS)
def test_second_derivatives(name, run):
    """Against central differences of the first."""
    ours = PAIRS[name][0]
    step = 1e-5

    def slope(t):
        return gx.grad(gx.sum(ours(t) * gx.asarray(np.cos(X))), t)

    def curvature(t):
        return gx.grad(gx.sum(slope(t) * gx.asarray(np.sin(X))), t)

    def moved(k: int, by: float) -> float:
        x = X.copy()
        x[k] += by
        return float((run(slope, x) * np.sin(X)).sum())

    differences = [(moved(k, step) - moved(k, -step)) / (2 * step) for k in range(len(X))]
    np.testing.assert_allclose(run(curvature, X), differences, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu_at_the_edges(run, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 2.0, -2.0], dtype)
    y = run(nn.relu, x)
    np.testing.assert_array_equal(y, np.array([np.nan, np.inf, 0, 0, 0, 2, 0], dtype))
    slope = run(lambda t: gx.grad(gx.sum(nn.relu(t)), t), x)
    np.testing.assert_array_equal(slope, np.array([0, 1, 0, 0, 0, 1, 0], dtype))


def test_relu_keeps_only_its_result():
    """The derivative reads the result, so the argument need not live until then."""
    x = gx.input("x", (4,))
    h = x * 3.0
    y = nn.relu(h)
    (slope,) = [
        n
        for n in gx.Graph.from_outputs([gx.grad(gx.sum(y), h)]).nodes
        if any(v.dtype is gx.bool_ for v in n.outputs)
    ]
    assert y.value in slope.inputs and h.value not in slope.inputs


def test_relu_of_integers(run):
    assert run(nn.relu, np.array([-2, 0, 3], np.int32)).tolist() == [0, 0, 3]


def test_derivatives_at_zero(run):
    zero = np.zeros(1)

    def slope(fn):
        return run(lambda t: gx.grad(gx.sum(fn(t)), t), zero)[0]

    def curvature(fn):
        return run(lambda t: gx.grad(gx.sum(gx.grad(gx.sum(fn(t)), t)), t), zero)[0]

    assert slope(nn.relu) == 0
    assert slope(nn.leaky_relu) == 0.01
    assert slope(nn.softplus) == 0.5 and curvature(nn.softplus) == 0.25
    assert slope(nn.silu) == 0.5 and curvature(nn.silu) == 0.5
    assert slope(nn.gelu) == 0.5


@pytest.mark.parametrize("name", sorted(set(PAIRS) - {"relu", "softmax", "log_softmax"}))
def test_large_arguments(name, run):
    x = np.array([-1e4, 1e4], np.float32)
    ours = PAIRS[name][0]
    y, slope = run(lambda t: [ours(t), gx.grad(gx.sum(ours(t)), t)], x)
    assert np.isfinite(y).all() and np.isfinite(slope).all()


def test_softmax_of_large_logits(run):
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e30, -1e30, -1e30]], np.float32)
    want = np.array([[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], [1 / 3] * 3])
    np.testing.assert_allclose(run(nn.softmax, x), want, rtol=1e-6)
    np.testing.assert_allclose(run(nn.log_softmax, x)[1], [-np.log(3)] * 3, rtol=1e-6)


def test_softmax_axes(run):
    x = np.arange(24.0).reshape(2, 3, 4)
    for axis in (0, 1, -1, (0, 2)):
        e = np.exp(x - x.max(axis, keepdims=True))
        want = e / e.sum(axis, keepdims=True)
        np.testing.assert_allclose(run(lambda t: nn.softmax(t, axis), x), want, rtol=1e-14)  # noqa: B023
        got = run(lambda t: nn.log_softmax(t, axis), x)  # noqa: B023
        np.testing.assert_allclose(got, np.log(want), rtol=1e-13, atol=1e-14)
    assert run(nn.softmax, np.zeros((2, 0))).shape == (2, 0)


def test_softmax_with_impossible_classes(with_gradients):
    x = np.array([[0.0, -np.inf, 1.0]])
    y, gradient = with_gradients(nn.softmax, x)
    assert y[0, 1] == 0 and gradient[0, 1] == 0 and np.isfinite(gradient).all()


def test_hard_sigmoid(with_gradients):
    """Against its definition: PyTorch's slope is 1/6 in single precision."""
    y, slope = with_gradients(nn.hard_sigmoid, X)
    np.testing.assert_allclose(y, np.clip(X + 3, 0, 6) / 6, rtol=1e-14)
    inside = np.abs(X) < 3
    np.testing.assert_allclose(slope, inside / 6 * np.cos(np.arange(X.size) + 1), rtol=1e-14)


def test_glu(with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    x = np.stack([X, X[::-1] / 7])
    agree(with_gradients(nn.glu, x), torch_gradients(torch.nn.functional.glu, x))
    along = torch_gradients(lambda t: torch.nn.functional.glu(t, 0), x)
    agree(with_gradients(lambda t: nn.glu(t, axis=0), x), along)


def test_limits_have_no_slope_at_their_ends(with_gradients):
    for function, ends in ((nn.hard_tanh, (-1.0, 1.0)), (nn.relu6, (0.0, 6.0))):
        y, slope = with_gradients(function, np.array([*ends, np.nan]))
        assert y[:2].tolist() == list(ends) and slope[:2].tolist() == [0, 0] and np.isnan(y[2])
