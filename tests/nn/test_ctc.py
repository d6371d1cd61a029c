"""Connectionist temporal classification against all paths, and against PyTorch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.errors import DTypeError, ShapeError

RNG = np.random.default_rng(31)


def probabilities(time: int, batch: int, classes: int) -> np.ndarray:
    z = np.exp(RNG.standard_normal((time, batch, classes)))
    return z / z.sum(-1, keepdims=True)


def read(path, blank):
    return [symbol for symbol, _ in itertools.groupby(path) if symbol != blank]


def of_all_paths(p, target, blank):
    """-log of the summed probability of every path that reads as the target."""
    time, classes = p.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=time):
        if read(path, blank) == list(target):
            total += math.prod(p[t, symbol] for t, symbol in enumerate(path))
    return -math.log(total) if total else math.inf


@pytest.mark.parametrize("blank", [0, 2])
def test_the_sum_over_all_paths(blank, run):
    p = probabilities(5, 8, 3)
    a, b = [k for k in range(3) if k != blank]
    targets = [[a], [b, a], [a, a], [a, b, a], [], [a, a, b], [b, b, b], [b, a]]
    frames = np.array([5, 5, 5, 4, 3, 4, 4, 0])
    padded = np.full((8, 3), b)
    for k, t in enumerate(targets):
        padded[k, : len(t)] = t
    lengths = np.array([len(t) for t in targets])
    got = run(lambda p: nn.ctc_loss(gx.log(p), padded, frames, lengths, blank=blank), p)
    want = [
        of_all_paths(p[:n, k], t, blank)
        for k, (n, t) in enumerate(zip(frames, targets, strict=True))
    ]
    assert got[6] == got[7] == math.inf
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-9), ("float32", 2e-4)])
def test_values_and_gradients_are_those_of_pytorch(dtype, tolerance):
    """Compiled; long sequences, repeated symbols, an empty target, impossible ones."""
    torch = pytest.importorskip("torch")
    time, batch, classes = 40, 6, 7
    logits = RNG.standard_normal((time, batch, classes)).astype(dtype)
    targets = RNG.integers(1, classes, (batch, 12))
    targets[2] = 3
    frames = np.array([40, 33, 40, 9, 12, 25], np.int32)
    lengths = np.array([12, 9, 12, 12, 0, 12], np.int32)

    def step(logits, frames, lengths):
        log_probs = nn.log_softmax(logits)
        plain = nn.ctc_loss(log_probs, targets, frames, lengths)
        loss = nn.ctc_loss(log_probs, targets, frames, lengths, zero_infinity=True)
        return plain, loss, gx.grad(gx.sum(loss * gx.arange(1.0, 7.0)), logits)

    plain, loss, gradient = gx.compile(step, logits, frames, lengths)(logits, frames, lengths)
    twin = torch.tensor(logits, requires_grad=True)

    def theirs(zero_infinity):
        return torch.nn.functional.ctc_loss(
            twin.log_softmax(-1), torch.tensor(targets), torch.tensor(frames.astype(np.int64)),
            torch.tensor(lengths.astype(np.int64)), reduction="none", zero_infinity=zero_infinity,
        )  # fmt: skip

    assert plain[3] == math.inf and loss[3] == 0 and not gradient[:, 3].any()
    np.testing.assert_allclose(plain, theirs(False).detach().numpy(), rtol=tolerance)
    np.testing.assert_allclose(loss, theirs(True).detach().numpy(), rtol=tolerance)
    (theirs(True) * torch.arange(1, 7)).sum().backward()
    np.testing.assert_allclose(gradient, twin.grad.numpy(), atol=tolerance)
    behind = np.arange(time)[:, None] >= frames
    assert not gradient[behind].any()


def test_classes_that_cannot_be():
    """Logarithms of zero make alignments impossible, and no derivative NaN."""
    p = probabilities(4, 2, 3)
    p[:, 0, 1] = 0
    p[2, 1, 0] = 0
    targets, frames, lengths = np.array([[1, 2], [1, 2]]), np.array([4, 4]), np.array([2, 2])

    def both(log_p):
        loss = nn.ctc_loss(log_p, targets, frames, lengths)
        return loss, gx.grad(gx.sum(gx.where(loss < math.inf, loss, 0.0)), log_p)

    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    loss, gradient = gx.trace(both, log_p).evaluate(log_p)
    assert loss[0] == math.inf
    np.testing.assert_allclose(loss[1], of_all_paths(p[:, 1], [1, 2], 0), rtol=1e-12)
    assert np.isfinite(gradient).all() and not gradient[:, 0].any()


def test_the_gradient_is_the_true_one(with_gradients):
    """By the logarithms themselves, against differences; and of second order."""
    log_p = np.log(probabilities(6, 2, 3))
    given = np.array([[1, 2], [2, 2]]), np.array([6, 5]), np.array([2, 2])

    def loss(v):
        return gx.sum(nn.ctc_loss(v, *given) ** 2)

    step = gx.trace(lambda v, d: (loss(v), gx.grad(loss)(v), gx.hvp(loss, v, d)), log_p, log_p)
    direction, h = RNG.standard_normal(log_p.shape), 1e-5
    _, gradient, second = step.evaluate(log_p, direction)
    ahead, behind = (step.evaluate(log_p + s * h * direction, direction) for s in (1, -1))
    np.testing.assert_allclose(
        np.sum(gradient * direction), (ahead[0] - behind[0]) / (2 * h), rtol=1e-8
    )
    np.testing.assert_allclose(second, (ahead[1] - behind[1]) / (2 * h), rtol=1e-5, atol=1e-6)


def test_refusals():
    p, t = gx.input("p", (5, 2, 3)), gx.input("t", (2, 4), "int32")
    n = gx.input("n", (2,), "int32")
    refused = [
        (ShapeError, r"\[time, batch, classes\]", lambda: nn.ctc_loss(p[0], t, n, n)),
        (ShapeError, r"targets \[batch, longest\]", lambda: nn.ctc_loss(p, t[0], n, n)),
        (ShapeError, r"target_lengths \[2\]", lambda: nn.ctc_loss(p, t, n, n[:1])),
        (ShapeError, "blank is one of 3", lambda: nn.ctc_loss(p, t, n, n, blank=3)),
        (DTypeError, "integers required", lambda: nn.ctc_loss(p, t.astype("float32"), n, n)),
    ]
    for error, words, call in refused:
        with pytest.raises(error, match=words):
            call()
