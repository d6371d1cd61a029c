"""Worked examples from teaching material on automatic differentiation, with known answers."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest

import graphc as gx
from graphc import nn

F64 = "float64"
RNG = np.random.default_rng(0)


def test_1_two_paths_to_one_variable():
    """f = log(x1·x2)·sin(x2)."""
    x1, x2 = gx.input("x1", (), F64), gx.input("x2", (), F64)
    f = gx.log(x1 * x2) * gx.sin(x2)
    gradients = gx.evaluate(gx.grad(f, (x1, x2)), {x1: 0.5, x2: 0.75})
    np.testing.assert_allclose(gradients, (1.3632775200466682, 0.19118983333660755), rtol=1e-14)


def test_2_second_order_through_an_explicit_backward_graph():
    av, bv = RNG.standard_normal((2, 4))
    a, b = gx.input("a", (4,), F64), gx.input("b", (4,), F64)
    given = {a: av, b: bv}
    da, db = gx.grad(gx.sum((a + b) * b), (a, b))
    first = gx.evaluate((da, db), given)
    np.testing.assert_allclose(first, (bv, av + 2 * bv))
    second = gx.grad(gx.sum(da**2 + db**2), (a, b))
    np.testing.assert_allclose(
        gx.evaluate(second, given), (2 * av + 4 * bv, 4 * av + 10 * bv), rtol=1e-12
    )


def test_3_least_squares():
    xv, wv, yv = RNG.standard_normal(5), RNG.standard_normal(5), 0.7
    x, w, y = gx.input("x", (5,), F64), gx.input("w", (5,), F64), gx.input("y", (), F64)
    z = (gx.vecdot(x, w) - y) ** 2
    dw = gx.evaluate(gx.grad(z, w), {x: xv, w: wv, y: yv})
    np.testing.assert_allclose(dw, 2 * (xv @ wv - yv) * xv)
    Xv, tv = RNG.standard_normal((7, 5)), RNG.standard_normal(7)
    X, t = gx.input("X", (7, 5), F64), gx.input("t", (7,), F64)
    z = gx.sum((X @ w - t) ** 2)
    dw = gx.evaluate(gx.grad(z, w), {X: Xv, w: wv, t: tv})
    np.testing.assert_allclose(dw, 2 * Xv.T @ (Xv @ wv - tv))


def test_4_linear_layer():
    """dX = dY·Wᵀ, dW = Xᵀ·dY, db = Σ_rows dY: two products of the size of the one forward."""
    Xv, Wv, bv = RNG.standard_normal((6, 3)), RNG.standard_normal((3, 4)), RNG.standard_normal(4)
    seed = RNG.standard_normal((6, 4))
    X, W, b = gx.input("X", (6, 3), F64), gx.input("W", (3, 4), F64), gx.input("b", (4,), F64)
    Y = X @ W + b
    gradients = gx.grad(Y, (X, W, b), seed=seed)
    result = gx.evaluate(gradients, {X: Xv, W: Wv, b: bv})
    for found, expected in zip(result, (seed @ Wv.T, Xv.T @ seed, seed.sum(0)), strict=True):
        np.testing.assert_allclose(found, expected)

    def flops(*tensors):
        graph = gx.Graph.from_outputs(tensors)
        return sum(
            n.op.flops(*[v.type for v in n.inputs]) for n in graph.nodes if n.op.name == "matmul"
        )

    forward = flops(Y)
    assert flops(gradients[0], gradients[1]) == 2 * forward
    assert flops(gx.grad(Y, W, seed=seed)) == forward


def test_5_two_layer_perceptron_with_its_intermediates():
    Y = np.array([0.1177, -0.4787, 1.1570, -0.7038, -0.3809])
    Y2 = np.array([1.0282, 2.7791, 2.5685, -1.9691, 2.8020])
    W2 = np.array([0.10959, 1.97413, -1.45474, 0.40185])
    # Any inputs do: the derivatives by the hidden layer depend on W2 and the residuals alone.
    X, W1 = RNG.standard_normal((5, 3)), RNG.standard_normal((3, 4))
    x, w1, b1 = gx.input("x", (5, 3), F64), gx.input("w1", (3, 4), F64), gx.input("b1", (4,), F64)
    w2, b2 = gx.input("w2", (4, 1), F64), gx.input("b2", (5,), F64)
    y1 = x @ w1 + b1
    y2 = (y1 @ w2)[:, 0] + b2
    loss = gx.sum((y2 - Y) ** 2)
    given = {x: X, w1: W1, b1: np.zeros(4), w2: W2[:, None], b2: Y2 - X @ W1 @ W2}
    value, dy2, dy1, dw1, db1 = gx.evaluate((loss, *gx.grad(loss, (y2, y1, w1, b1))), given)
    np.testing.assert_allclose(value, 25.1672, atol=1e-3)
    np.testing.assert_allclose(dy2, (1.8210, 6.5158, 2.8230, -2.5306, 6.3659), atol=1e-3)
    np.testing.assert_allclose(dy1, dy2[:, None] * W2)
    np.testing.assert_allclose(dw1, X.T @ dy1)
    np.testing.assert_allclose(db1, (1.6432, 29.6020, -21.8138, 6.0257), atol=1e-3)


def test_6_sum_over_paths():
    """On random graphs of scalar operators: the derivative is the sum over all paths of the product
    of the derivatives of their edges.
    """
    for seed in range(5):
        rng = np.random.default_rng(seed)
        values = [gx.input(f"x{k}", (), F64) for k in range(3)]
        numbers = list(rng.uniform(0.5, 1.5, 3))
        given = dict(zip(values, numbers, strict=True))
        edges: dict[int, list[tuple[int, float]]] = {}
        for k in range(3, 15):
            i, j = rng.integers(0, k, 2).tolist()
            a, b = numbers[i], numbers[j]
            kind = rng.integers(4)
            if kind == 0:
                values.append(values[i] + values[j])
                numbers.append(a + b)
                edges[k] = [(i, 1.0), (j, 1.0)]
            elif kind == 1:
                values.append(values[i] * values[j])
                numbers.append(a * b)
                edges[k] = [(i, b), (j, a)]
            elif kind == 2:
                values.append(gx.sin(values[i]))
                numbers.append(np.sin(a))
                edges[k] = [(i, np.cos(a))]
            else:
                values.append(values[i] / (1 + values[j] ** 2))
                numbers.append(a / (1 + b * b))
                edges[k] = [(i, 1 / (1 + b * b)), (j, -2 * a * b / (1 + b * b) ** 2)]

        def over_paths(node, target, edges=edges):
            if node == target:
                return 1.0
            return sum(d * over_paths(child, target) for child, d in edges.get(node, ()))

        root = values[-1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", gx.DisconnectedGradientWarning)
            gradients = gx.evaluate(gx.grad(root, values), given)
        expected = [over_paths(14, k) for k in range(15)]
        np.testing.assert_allclose(gradients, expected, rtol=1e-10, atol=1e-12)


def test_7_the_backward_pass_of_a_convolution_is_a_convolution():
    """dX is dY with the kernel flipped and its channels exchanged; dW is X with dY as the kernel,
    images and channels exchanged.
    """
    X, W, dY = (RNG.standard_normal(s) for s in ((2, 3, 6, 5), (4, 3, 3, 2), (2, 4, 4, 4)))
    x, w = gx.input("x", X.shape, F64), gx.input("w", W.shape, F64)
    y = nn.conv2d(x, w)
    dx, dw = gx.grad(y, (x, w), dY)
    flipped = gx.permute_dims(gx.flip(w, axis=(2, 3)), (1, 0, 2, 3))
    by_input = nn.conv2d(gx.asarray(dY), flipped, padding=(2, 1))
    over_batch = nn.conv2d(x.transpose(1, 0, 2, 3), gx.asarray(dY).transpose(1, 0, 2, 3))
    given = {x: X, w: W}
    found = gx.evaluate((dx, dw), given)
    expected = gx.evaluate((by_input, over_batch.transpose(1, 0, 2, 3)), given)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    graph = gx.Graph.from_outputs([dx, dw])
    backward = {n.op.name for n in graph.nodes if n.meta.rule is not None}
    assert {"conv_input_grad", "conv_weight_grad"} <= backward


def test_8_matrix_identities():
    A, B, X = RNG.standard_normal((3, 4, 4))
    t = {n: gx.input(n, (4, 4), F64) for n in "ABX"}
    a, b, x = t["A"], t["B"], t["X"]
    given = {a: A, b: B, x: X}
    identities = [
        (gx.linalg.trace(a @ x @ b), A.T @ B.T),
        (gx.linalg.trace(x.T @ a @ x), (A + A.T) @ X),
        (gx.linalg.matrix_norm(x) ** 2, 2 * X),
    ]
    for y, expected in identities:
        gradient = gx.evaluate(gx.grad(y, x), given)
        np.testing.assert_allclose(gradient, expected, rtol=1e-10)


def test_8_softmax_layer_norm_log_sum_exp():
    X, G = RNG.standard_normal((2, 3, 5))
    x = gx.input("x", (3, 5), F64)
    shifted = gx.exp(x - gx.max(x, axis=1, keepdims=True))
    y = shifted / gx.sum(shifted, axis=1, keepdims=True)
    softmax = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    expected = softmax * (G - (G * softmax).sum(1, keepdims=True))
    np.testing.assert_allclose(gx.evaluate(gx.grad(y, x, seed=G), {x: X}), expected, atol=1e-14)
    total = gx.sum(gx.logsumexp(x, axis=1))
    np.testing.assert_allclose(gx.evaluate(gx.grad(total, x), {x: X}), softmax, rtol=1e-12)
    gamma = RNG.standard_normal(5)
    centred = x - gx.mean(x, axis=1, keepdims=True)
    rstd = gx.rsqrt(gx.var(x, axis=1, keepdims=True) + 1e-5)
    normed = centred * rstd * gamma
    s = 1 / np.sqrt(X.var(1, keepdims=True) + 1e-5)
    hat, g = (X - X.mean(1, keepdims=True)) * s, G * gamma
    expected = s * (g - g.mean(1, keepdims=True) - hat * (g * hat).mean(1, keepdims=True))
    found = gx.evaluate(gx.grad(normed, x, seed=G), {x: X})
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_10_the_graph_holds_no_values():
    array = np.array([1.0, 2.0])
    traced = gx.trace(gx.grad(lambda t: gx.sum(t**3)), array)
    array[:] = 100
    np.testing.assert_array_equal(traced.evaluate(np.array([1.0, 2.0])), [3, 12])


def test_11_straight_through():
    x = gx.input("x", (3,), F64)
    rounded = x + gx.stop_gradient(gx.round(x) - x)
    value, gradient = gx.evaluate((rounded, gx.grad(gx.sum(rounded**2), x)), {x: [0.4, 1.6, -2.2]})
    np.testing.assert_array_equal(value, [0, 2, -2])
    np.testing.assert_array_equal(gradient, [0, 4, -4])


def test_12_micrograd():
    def sanity(x):
        z = 2 * x + 2 + x
        q = gx.maximum(z, 0) + z * x
        h = gx.maximum(z * z, 0)
        return h + q + q * x

    value, gradient = gx.evaluate(gx.value_and_grad(sanity)(np.float64(-4)))
    assert value == -20 and gradient == 46

    def readme(a, b):
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + gx.maximum(b + a, 0)
        d += 3 * d + gx.maximum(b - a, 0)
        e = c - d
        f = e**2
        g = f / 2.0
        return g + 10.0 / f

    value, (da, db) = gx.evaluate(gx.value_and_grad(readme, (0, 1))(np.float64(-4), np.float64(2)))
    np.testing.assert_allclose((value, da, db), (24.7041, 138.8338, 645.5773), atol=5e-5)


def test_13_gradients_of_gradients():
    Xv, Yv = RNG.standard_normal((2, 3))
    x, y = gx.input("x", (3,), F64), gx.input("y", (3,), F64)
    dx, dy = gx.grad(gx.sum(x * y), (x, y))
    u = gx.sum(dx * dy)
    found = gx.evaluate(gx.grad(u, (x, y)), {x: Xv, y: Yv})
    np.testing.assert_allclose(found, (Yv, Xv))


def test_13_linear_with_optional_bias_as_custom_vjp():
    @gx.custom_vjp
    def linear(x, w, b):
        return x @ w if b is None else x @ w + b

    linear.defvjp(
        lambda x, w, b: (linear.fn(x, w, b), (x, w, b)),
        lambda saved, g: (
            g @ saved[1].T,
            saved[0].T @ g,
            None if saved[2] is None else gx.sum(g, axis=0),
        ),
    )
    x, w, b = gx.input("x", (5, 3), F64), gx.input("w", (3, 4), F64), gx.input("b", (4,), F64)
    given = {x: RNG.standard_normal((5, 3)), w: RNG.standard_normal((3, 4)), b: np.zeros(4)}
    z = gx.sum(linear(x, w, b))
    dw, db = gx.grad(z, (w, b))
    np.testing.assert_allclose(
        gx.evaluate(dw, given), np.broadcast_to(given[x].sum(0)[:, None], (3, 4))
    )
    np.testing.assert_allclose(gx.evaluate(db, given), np.full(4, 5))
    with pytest.warns(gx.DisconnectedGradientWarning, match=r"wrt\[0\], wrt\[1\]"):
        second = gx.grad(gx.sum(dw) + gx.sum(db[:, None]), (w, b))
    for zero in gx.evaluate(second, given):
        assert not zero.any()
    without = gx.grad(gx.sum(linear(x, w, None)), w)
    np.testing.assert_allclose(gx.evaluate(without, given), gx.evaluate(dw, given))


def test_15_what_is_kept_for_the_backward_pass():
    """Of tanh and softmax their outputs, of a product its inputs, which the ledger names both for
    the same array; of ReLU a bit an element.
    """

    def step(function, x, w):
        h = function(x @ w)
        return gx.grad(gx.sum(gx.sin(h @ w)), (x, w))

    for function, name in ((gx.tanh, "tanh"), (gx.nn.softmax, "softmax")):
        traced = gx.trace(partial(step, function), gx.spec((64, 64)), gx.spec((64, 64)))
        (row,) = traced.lower(threads=1).memory.saved
        assert row.bytes == 64 * 64 * 4 and row.kind == "operator output"
        assert row.producer.startswith(name)
        assert f"output of {name}" in row.rule and "input 0 of matmul" in row.rule

    def masked(x, w):
        h = nn.relu(x @ w)
        return gx.grad(gx.sum(gx.sin(gx.mean(h, axis=1))), (x, w))

    (row,) = gx.trace(masked, gx.spec((64, 64)), gx.spec((64, 64))).lower(threads=1).memory.saved
    assert (row.kind, row.bits, row.bytes) == ("mask", 1, 64 * 64 // 8)
    assert row.rule.startswith("mask of relu")
