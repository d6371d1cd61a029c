"""Losses against optax and PyTorch: values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.errors import DTypeError, ShapeError

RNG = np.random.default_rng(11)
LOGITS = RNG.standard_normal((5, 4)) * 3
LABELS = np.array([0, 3, 1, 1, 2])
TARGETS = RNG.dirichlet(np.ones(4), 5)


def optax_gradients(fn, *arrays):
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    with jax.enable_x64(True):
        own = [jax.numpy.asarray(a) for a in arrays]
        y, pullback = jax.vjp(lambda *moving: fn(*moving), *own)
        seed = np.cos(np.arange(y.size, dtype=np.float64) + 1).reshape(y.shape)
        return [np.asarray(x) for x in (y, *pullback(jax.numpy.asarray(seed)))]


#: name: our function, optax's, float arguments.
PAIRS = {
    "softmax_cross_entropy": (
        nn.softmax_cross_entropy,
        lambda optax: optax.softmax_cross_entropy,
        (LOGITS, TARGETS),
    ),
    "sigmoid_binary_cross_entropy": (
        nn.sigmoid_binary_cross_entropy,
        lambda optax: optax.sigmoid_binary_cross_entropy,
        (LOGITS * 10, TARGETS),
    ),
    "squared_error": (nn.squared_error, lambda optax: optax.squared_error, (LOGITS, TARGETS)),
    "huber_loss": (nn.huber_loss, lambda optax: optax.huber_loss, (LOGITS, TARGETS)),
    "huber_loss 0.3": (
        lambda a, b: nn.huber_loss(a, b, delta=0.3),
        lambda optax: lambda a, b: optax.huber_loss(a, b, delta=0.3),
        (LOGITS, TARGETS),
    ),
    "l2_loss": (nn.l2_loss, lambda optax: optax.l2_loss, (LOGITS, TARGETS)),
    "log_cosh": (nn.log_cosh, lambda optax: optax.log_cosh, (LOGITS, TARGETS)),
    "hinge_loss": (nn.hinge_loss, lambda optax: optax.hinge_loss, (LOGITS, TARGETS)),
    "kl_divergence": (nn.kl_divergence, lambda optax: optax.kl_divergence, (LOGITS, TARGETS)),
    "cosine_similarity": (
        nn.cosine_similarity,
        lambda optax: optax.cosine_similarity,
        (LOGITS, TARGETS),
    ),
    "cosine_similarity epsilon": (
        lambda a, b: nn.cosine_similarity(a, b, epsilon=5.0, axis=0),
        lambda optax: lambda a, b: optax.cosine_similarity(a, b, epsilon=5.0, axis=0),
        (LOGITS, TARGETS),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_against_optax(name, with_gradients, agree):
    optax = pytest.importorskip("optax")
    ours, theirs, arrays = PAIRS[name]
    agree(with_gradients(ours, *arrays), optax_gradients(theirs(optax), *arrays))


def test_integer_labels_against_optax(with_gradients, agree):
    optax = pytest.importorskip("optax")
    want = optax_gradients(
        lambda x: optax.softmax_cross_entropy_with_integer_labels(x, LABELS), LOGITS
    )
    for labels in (LABELS, LABELS.astype(np.int32), LABELS.astype(np.uint8)):
        got = with_gradients(nn.softmax_cross_entropy_with_integer_labels, LOGITS, labels)
        agree(got, want)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("ignore", [None, 1, -100])
def test_integer_labels_against_torch(smoothing, ignore, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    labels = np.where(LABELS == 0, -100, LABELS) if ignore == -100 else LABELS
    got = with_gradients(
        lambda x, y: nn.softmax_cross_entropy_with_integer_labels(
            x, y, label_smoothing=smoothing, ignore_index=ignore
        ),
        LOGITS,
        labels,
    )
    want = torch_gradients(
        lambda x, y: torch.nn.functional.cross_entropy(
            x,
            y,
            reduction="none",
            label_smoothing=smoothing,
            ignore_index=-100 if ignore is None else ignore,
        ),
        LOGITS,
        labels,
    )
    agree(got, want)


def test_integer_labels_keep_their_digits(run):
    """Logits far from 0: log Σ exp(x) alone would round to whole steps of 2^-4 here."""
    logits = np.array([[1e6, 1e6 - 1]], np.float32)
    loss = run(nn.softmax_cross_entropy_with_integer_labels, logits, np.array([0]))
    np.testing.assert_allclose(loss, [np.log1p(np.exp(-1))], rtol=1e-6)


def test_the_gradient_of_integer_labels_scatters_nothing():
    logits = gx.input("logits", (8, 10))
    labels = gx.input("labels", (8,), "int32")
    loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, labels))
    graph = gx.Graph.from_outputs([gx.grad(loss, logits)])
    assert not [n for n in graph.nodes if n.op.name in ("scatter_add", "gather")]


def test_more_axes(run):
    logits, labels = np.zeros((2, 3, 4, 10)), np.ones((2, 3, 4), np.int64)
    loss = run(nn.softmax_cross_entropy_with_integer_labels, logits, labels)
    np.testing.assert_allclose(loss, np.full((2, 3, 4), np.log(10)), rtol=1e-14)


def test_binary_cross_entropy_far_out(run):
    """log(1 + exp(-x)) keeps its digits, and so does the gradient."""
    x = np.array([-80.0, -20.0, 0.0, 20.0, 80.0], np.float32)
    for label in (0.0, 1.0):
        labels = np.full_like(x, label)
        sign = 1 - 2 * np.float64(label)
        loss, slope, bend = run(
            lambda t, y: [
                nn.sigmoid_binary_cross_entropy(t, y),
                gx.grad(gx.sum(nn.sigmoid_binary_cross_entropy(t, y)), t),
                gx.grad(gx.sum(gx.grad(gx.sum(nn.sigmoid_binary_cross_entropy(t, y)), t)), t),
            ],
            x,
            labels,
        )
        z = sign * x.astype(np.float64)
        p = 1 / (1 + np.exp(-z))
        np.testing.assert_allclose(loss, np.logaddexp(z, 0), rtol=1e-6)
        np.testing.assert_allclose(slope, sign * p, rtol=1e-6)
        np.testing.assert_allclose(bend, p / (1 + np.exp(z)), rtol=1e-6, atol=3e-9)


def test_labels_that_do_not_fit():
    logits = gx.input("logits", (5, 4))
    with pytest.raises(DTypeError, match="integer labels required, got float32"):
        nn.softmax_cross_entropy_with_integer_labels(logits, gx.input("y", (5,)))
    with pytest.raises(ShapeError, match=r"labels of shape \(5,\) required, got int64\[5,4\]"):
        nn.softmax_cross_entropy_with_integer_labels(logits, gx.input("y", (5, 4), "int64"))


def test_safe_norm(run, with_gradients, agree):
    x = np.array([[3.0, 4.0], [0.0, 0.0], [1e-3, 0.0]])
    y, slope = with_gradients(lambda t: nn.safe_norm(t, 0.01, axis=-1), x)
    np.testing.assert_allclose(y, [5, 0.01, 0.01], rtol=1e-15)
    np.testing.assert_allclose(slope[0], np.cos(1) * x[0] / 5, rtol=1e-15)
    assert (slope[1:] == 0).all()
    y, slope = with_gradients(nn.safe_norm, np.zeros((2, 2)))
    assert y == 0 and (slope == 0).all()
    kept = run(lambda t: nn.safe_norm(t, axis=(0, 1), keepdims=True), x)
    assert kept.shape == (1, 1)
    np.testing.assert_allclose(kept, [[np.linalg.norm(x)]], rtol=1e-15)
