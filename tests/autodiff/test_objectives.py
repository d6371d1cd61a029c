"""Objectives that differentiation tools are measured by, compiled, against JAX in double.

A Gaussian mixture with a Wishart prior, bundle adjustment, an LSTM over characters, and a skinned
hand: the four of Srajer, Kukelova and Fitzgibbon, "A benchmark of selected algorithmic
differentiation tools on some problems in computer vision and machine learning" (2018). Each is
written once, for any namespace with NumPy's manners.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx

jax = pytest.importorskip("jax", reason="JAX is the oracle of these tests")
jnp = jax.numpy


@pytest.fixture(autouse=True)
def double_precision():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def logsumexp(xp: Any, x: Any, axis: int) -> Any:
    largest = xp.max(x, axis=axis, keepdims=True)
    return xp.log(xp.sum(xp.exp(x - largest), axis=axis)) + xp.squeeze(largest, axis=axis)


def gaussian_mixture(xp: Any, alphas: Any, means: Any, icf: Any, x: Any) -> Any:
    """The log posterior of x [n, d] for K components; icf [K, d(d+1)/2] holds the logarithms of
    the diagonals of the inverse factors, then their lower triangles by columns.
    """
    (n, d), gamma, m = x.shape, 1.0, 0
    logs = icf[:, :d]
    columns, rows = np.triu_indices(d, 1)
    empty = xp.zeros((icf.shape[0], d, d), dtype="float64")
    lower = empty.at[:, rows, columns].set(icf[:, d:])
    centered = x[:, None, :] - means[None]
    whitened = xp.exp(logs) * centered + xp.einsum("kij,nkj->nki", lower, centered)
    volume = xp.sum(logs, axis=1)
    terms = alphas + volume - 0.5 * xp.sum(whitened**2, axis=2)
    prior = 0.5 * gamma**2 * (xp.sum(xp.exp(logs) ** 2) + xp.sum(icf[:, d:] ** 2))
    freedom = d + m + 1
    constant = freedom * d * math.log(gamma / math.sqrt(2))
    constant -= 0.25 * d * (d - 1) * math.log(math.pi)
    constant -= sum(math.lgamma(0.5 * (freedom - j)) for j in range(d))
    likelihood = xp.sum(logsumexp(xp, terms, 1)) - n * logsumexp(xp, alphas, 0)
    normal = -0.5 * n * d * math.log(2 * math.pi)
    return normal + likelihood + prior - m * xp.sum(volume) - icf.shape[0] * constant


def reprojection(xp: Any, camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    """Where a camera (rotation 3, center 3, focal length, principal point 2, distortion 2) sees a
    point, less where it was seen.
    """
    rotation, center, focal = camera[:3], camera[3:6], camera[6]
    angle = xp.sqrt(xp.sum(rotation**2))
    axis = rotation / angle
    seen = point - center
    along = xp.vecdot(axis, seen) * (1 - xp.cos(angle))
    turned = seen * xp.cos(angle) + xp.linalg.cross(axis, seen) * xp.sin(angle) + axis * along
    flat = turned[:2] / turned[2]
    square = xp.sum(flat**2)
    distorted = flat * (1 + camera[9] * square + camera[10] * square**2)
    return weight * (distorted * focal + camera[7:9] - feature)


def sigmoid(xp: Any, x: Any) -> Any:
    return 1 / (1 + xp.exp(-x))


def characters(xp: Any, layers: Any, ends: Any, state: Any, sequence: Any) -> Any:
    """The mean cross entropy of a stack of cells, whose gates are products element by element."""
    hidden, cells = list(state[0]), list(state[1])
    total = 0.0
    for t in range(sequence.shape[0] - 1):
        x = sequence[t] * ends[0]
        for k in range(len(hidden)):
            weight, bias = layers[k]
            joined = xp.concat([x, hidden[k], x, hidden[k]])
            gates = xp.reshape(joined * weight + bias, (4, -1))
            forget, entry, leave = (sigmoid(xp, gates[j]) for j in range(3))
            cells[k] = cells[k] * forget + entry * xp.tanh(gates[3])
            hidden[k] = x = leave * xp.tanh(cells[k])
        y = x * ends[1] + ends[2]
        total = total + xp.sum(sequence[t + 1] * (y - logsumexp(xp, y, 0)))
    return -total / (sequence.shape[0] - 1)


PARENTS = (-1, 0, 1)


def hand(xp: Any, pose: Any, bases: Any, inverses: Any, vertices: Any, weights: Any) -> Any:
    """Vertices [n, 4] moved by bones, each turned by three angles relative to its parent."""
    absolutes = []
    for k, parent in enumerate(PARENTS):
        turn = xp.eye(4, dtype="float64")
        for a, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
            c, s = xp.cos(pose[k, a]), xp.sin(pose[k, a])
            one = xp.eye(4, dtype="float64").at[i, i].set(c).at[j, j].set(c)
            turn = turn @ one.at[j, i].set(s).at[i, j].set(-s)
        relative = bases[k] @ turn
        absolutes.append(relative if parent < 0 else absolutes[parent] @ relative)
    transforms = xp.stack(absolutes) @ inverses
    moved = xp.einsum("kij,nj->nki", transforms, vertices)
    return xp.sum(moved * weights[:, :, None], axis=1)[:, :3]


def same(function: Callable, *arrays: np.ndarray) -> None:
    """A function of (transforms, namespace, *arrays) gives one pytree under graphc and JAX."""
    expected = jax.jit(lambda *a: function(jax, jnp, *a))(*map(jnp.asarray, arrays))
    found = gx.compile(lambda *a: function(gx, gx, *a), *arrays)(*arrays)
    ours, theirs = jax.tree.leaves(found), jax.tree.leaves(expected)
    assert len(ours) == len(theirs)
    for got, want in zip(ours, theirs, strict=True):
        want = np.asarray(want)
        scale = max(1.0, float(np.abs(want).max()))
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11 * scale)


RNG = np.random.default_rng(0)


def test_gaussian_mixture():
    d, k, n = 4, 5, 30
    arrays = (
        RNG.normal(size=k), RNG.normal(size=(k, d)), 0.3 * RNG.normal(size=(k, d * (d + 1) // 2)),
        RNG.normal(size=(n, d)),
    )  # fmt: skip
    same(
        lambda t, xp, *a: t.value_and_grad(
            lambda *p: gaussian_mixture(xp, *p, a[3]), argnums=(0, 1, 2)
        )(*a[:3]),
        *arrays,
    )
    same(
        lambda t, xp, *a: t.hessian(lambda m: gaussian_mixture(xp, a[0], m, a[2], a[3]))(a[1]),
        *arrays,
    )


def test_bundle_adjustment():
    n = 6
    camera = np.concatenate([[0.1, -0.2, 0.3, 0.5, 0.1, -4.0, 2.0, 0.1, 0.2, 0.01, 0.002]])
    arrays = (
        camera + 0.01 * RNG.normal(size=(n, 11)), RNG.normal(size=(n, 3)), RNG.uniform(size=n),
        RNG.normal(size=(n, 2)),
    )  # fmt: skip

    def blocks(t: Any, xp: Any, *a: Any) -> Any:
        residual = lambda *p: reprojection(xp, *p)  # noqa: E731
        values = t.vmap(residual)(*a)
        reverse = t.vmap(t.jacrev(residual, argnums=(0, 1, 2)))(*a)
        forward = t.vmap(t.jacfwd(residual, argnums=(0, 1, 2)))(*a)
        return values, reverse, forward

    same(blocks, *arrays)


def test_characters():
    layers, width, length = 2, 5, 4
    arrays = (
        0.5 * RNG.normal(size=(layers, 2, 4 * width)), RNG.normal(size=(3, width)),
        RNG.normal(size=(2, layers, width)), np.eye(width)[RNG.integers(0, width, length)],
    )  # fmt: skip
    same(
        lambda t, xp, *a: t.value_and_grad(
            lambda w, e: characters(xp, w, e, a[2], a[3]), argnums=(0, 1)
        )(a[0], a[1]),
        *arrays,
    )


def test_hand():
    bones, n = len(PARENTS), 4
    weights = RNG.uniform(size=(n, bones))
    bases = np.tile(np.eye(4), (bones, 1, 1))
    bases[:, :3, 3] = RNG.normal(size=(bones, 3))
    arrays = (
        RNG.normal(size=(bones, 3)), bases, np.linalg.inv(bases),
        np.concatenate([RNG.normal(size=(n, 3)), np.ones((n, 1))], axis=1),
        weights / weights.sum(1, keepdims=True),
    )  # fmt: skip
    same(
        lambda t, xp, *a: (
            hand(xp, *a),
            t.jacfwd(lambda p: hand(xp, p, *a[1:]))(a[0]),
            t.jacrev(lambda p: hand(xp, p, *a[1:]))(a[0]),
        ),
        *arrays,
    )
