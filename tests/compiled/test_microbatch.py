"""A batch in parts: the same numbers from less memory."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn, tree
from graphc.errors import ShapeError, TraceError

RNG = np.random.default_rng(41)
WIDTH, BATCH = 32, 64


def arrays(dtype: str):
    params = {
        "w": (RNG.standard_normal((3, WIDTH, WIDTH)) / WIDTH**0.5).astype(dtype),
        "scale": RNG.standard_normal(WIDTH).astype(dtype),
    }
    x = RNG.standard_normal((BATCH, WIDTH)).astype(dtype)
    return params, x, RNG.integers(0, WIDTH, BATCH).astype(np.int32)


def loss(params, x, y):
    h = x
    for k in range(3):
        h = gx.tanh(h @ params["w"][k]) * params["scale"]
    return gx.mean(nn.softmax_cross_entropy_with_integer_labels(h, y))


def test_losses_and_gradients_are_those_of_the_whole_batch():
    given = arrays("float32")

    def step(fn):
        return lambda params, x, y: gx.value_and_grad(fn, (0, 1))(params, x, y)

    whole = gx.compile(step(loss), *given)(*given)
    for n in (1, 4, BATCH):
        parts = gx.compile(step(gx.microbatch(loss, n)), *given)(*given)
        for a, b in zip(tree.leaves(parts), tree.leaves(whole), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_activations_of_one_part_are_in_memory():
    params, _, _ = arrays("float32")
    x, y = gx.spec((1024, WIDTH)), gx.spec((1024,), "int32")

    def peak(fn):
        step = gx.trace(lambda p, x, y: gx.value_and_grad(fn)(p, x, y), params, x, y)
        return step.lower(threads=1).memory.peak_bytes

    # Gradients of the parameters are held besides.
    gradients = sum(p.nbytes for p in params.values())
    assert peak(gx.microbatch(loss, 8)) < peak(loss) / 8 + 3 * gradients


def test_closed_over_tensors_and_second_derivatives():
    params, x, y = arrays("float64")
    direction = RNG.standard_normal(params["w"].shape)

    def step(fn):
        def of(w, scale, x):
            whole = fn(lambda w, x, y: loss({"w": w, "scale": scale}, x, y))
            return whole(w, x, y)

        def run(w, scale, x, d):
            y = of(w, scale, x)
            return y, gx.grad(y, (w, scale, x)), gx.hvp(lambda w: of(w, scale, x), w, d)

        return run

    given = params["w"], params["scale"], x, direction
    a, b = (
        gx.trace(step(fn), *given).evaluate(*given)
        for fn in (lambda f: f, lambda f: gx.microbatch(f, 4))
    )
    for p, q in zip(tree.leaves(a), tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-10, atol=1e-12)


def test_refusals():
    params, x, y = (
        tree.map(lambda a: gx.input("a", a.shape, a.dtype), t) for t in arrays("float32")
    )
    with pytest.raises(ShapeError, match="a multiple of 5 required"):
        gx.microbatch(loss, 5)(params, x, y)
    with pytest.raises(ShapeError, match="gives a scalar"):
        gx.microbatch(lambda p, x: x, 4)(params, x)
    with pytest.raises(TraceError, match="parts >= 1"):
        gx.microbatch(loss, 0)
