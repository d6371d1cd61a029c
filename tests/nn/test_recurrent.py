"""Recurrent layers against PyTorch: values, gradients, trainings."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn, optim, tree
from graphc.errors import ShapeError

RNG = np.random.default_rng(21)
TIME, BATCH, IN, HIDDEN = 5, 3, 4, 6


def draw(*shape: int) -> np.ndarray:
    return 0.5 * RNG.standard_normal(shape)


def lstm_arrays():
    state = draw(BATCH, HIDDEN), draw(BATCH, HIDDEN)
    weights = draw(IN, 4 * HIDDEN), draw(HIDDEN, 4 * HIDDEN), draw(4 * HIDDEN)
    return (draw(TIME, BATCH, IN), *state, *weights)


def gru_arrays():
    weights = draw(IN, 3 * HIDDEN), draw(HIDDEN, 3 * HIDDEN), draw(3 * HIDDEN), draw(3 * HIDDEN)
    return (draw(TIME, BATCH, IN), draw(BATCH, HIDDEN), *weights)


def ours_lstm(x, h, c, w_ih, w_hh, b):
    ys, (h, c) = nn.lstm(x, (h, c), w_ih, w_hh, b)
    return gx.concat([gx.reshape(v, (-1,)) for v in (ys, h, c)])


def ours_gru(x, h, w_ih, w_hh, b_ih, b_hh):
    ys, h = nn.gru(x, h, w_ih, w_hh, b_ih, b_hh)
    return gx.concat([gx.reshape(v, (-1,)) for v in (ys, h)])


def theirs(layer, x, state, *weights):
    """PyTorch's layer with weights of ours."""
    torch = pytest.importorskip("torch")
    module = layer(x.shape[-1], state[0].shape[-1]).to(x.dtype)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    parameters = dict(zip(names, (weights[0].T, weights[1].T, *weights[2:]), strict=True))
    state = tuple(s[None] for s in state)
    given = state if len(state) > 1 else state[0]
    ys, last = torch.func.functional_call(module, parameters, (x, given))
    last = last if isinstance(last, tuple) else (last,)
    return torch.cat([v.reshape(-1) for v in (ys, *last)])


def torch_lstm(x, h, c, w_ih, w_hh, b):
    torch = pytest.importorskip("torch")
    return theirs(torch.nn.LSTM, x, (h, c), w_ih, w_hh, b, torch.zeros_like(b))


def torch_gru(x, h, *weights):
    torch = pytest.importorskip("torch")
    return theirs(torch.nn.GRU, x, (h,), *weights)


def test_lstm(with_gradients, torch_gradients, agree):
    arrays = lstm_arrays()
    agree(with_gradients(ours_lstm, *arrays), torch_gradients(torch_lstm, *arrays))


def test_gru(with_gradients, torch_gradients, agree):
    arrays = gru_arrays()
    agree(with_gradients(ours_gru, *arrays), torch_gradients(torch_gru, *arrays))


def test_without_biases(run):
    x, h, c, w_ih, w_hh, b = lstm_arrays()
    with_zero = run(ours_lstm, x, h, c, w_ih, w_hh, 0 * b)
    np.testing.assert_array_equal(
        run(lambda *a: ours_lstm(*a, None), x, h, c, w_ih, w_hh), with_zero
    )
    x, h, w_ih, w_hh, b, _ = gru_arrays()
    with_zero = run(ours_gru, x, h, w_ih, w_hh, 0 * b, 0 * b)
    np.testing.assert_array_equal(
        run(lambda *a: ours_gru(*a, None, None), x, h, w_ih, w_hh), with_zero
    )


@pytest.mark.parametrize("ours, their, arrays", [
    (ours_lstm, torch_lstm, lstm_arrays), (ours_gru, torch_gru, gru_arrays),
], ids=["lstm", "gru"])  # fmt: skip
def test_twenty_training_steps(ours, their, arrays):
    """Compiled, in float32: losses and parameters of twenty steps of gradient descent."""
    torch = pytest.importorskip("torch")
    data = [a.astype(np.float32) for a in arrays()]
    first = len(data) - (3 if ours is ours_lstm else 4)
    given, weights = data[:first], data[first:]

    def loss(weights, given):
        return gx.mean(ours(*given, *weights) ** 2)

    opt = optim.sgd(0.5)

    def step(weights, given):
        value, grads = gx.value_and_grad(loss)(weights, given)
        updates, _ = opt.update(grads, opt.init(weights), weights)
        return optim.apply_updates(weights, updates), value

    twins = [torch.tensor(w, requires_grad=True) for w in weights]
    fixed = [torch.tensor(g) for g in given]
    compiled = gx.compile(step, weights, given, threads=2)
    for _ in range(20):
        weights, value = compiled(weights, given)
        twin = (their(*fixed, *twins) ** 2).mean()
        gradients = torch.autograd.grad(twin, twins)
        with torch.no_grad():
            for w, g in zip(twins, gradients, strict=True):
                w -= 0.5 * g
        np.testing.assert_allclose(value, twin.item(), rtol=1e-5)
    for a, b in zip(weights, twins, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_the_inputs_of_all_steps_are_one_product():
    """Only the product with the hidden state is in the loop, which C has once."""
    sizes = []
    for time in (4, 40):
        x = gx.spec((time, BATCH, IN))
        arrays = [gx.spec(a.shape) for a in lstm_arrays()[1:]]
        traced = gx.trace(lambda x, *a: ours_lstm(x, *a), x, *arrays)
        products = [n for n in traced.graph.nodes if n.op.name == "matmul"]
        assert [n.types[0].size for n in products] == [time * BATCH * 4 * HIDDEN]
        sizes.append(len(traced.lower(threads=1).kernels))
    assert sizes[0] == sizes[1]


def test_refusals():
    x, h, c, w_ih, w_hh, b = (gx.input("t", a.shape) for a in lstm_arrays())
    refused = [
        (r"\[time, batch, in\] and two matrices", lambda: nn.lstm(x[0], (h, c), w_ih, w_hh)),
        ("w_hh of shape", lambda: nn.lstm(x, (h, c), w_ih, w_ih, b)),
        ("w_ih of shape", lambda: nn.lstm(x, (h, c), w_hh, w_hh, b)),
        ("a state of shape", lambda: nn.lstm(x, (h, c[:2]), w_ih, w_hh, b)),
        ("a bias of shape", lambda: nn.lstm(x, (h, c), w_ih, w_hh, b[1:])),
        ("w_hh of shape", lambda: nn.gru(x, h, w_ih, w_hh)),
    ]
    for words, call in refused:
        with pytest.raises(ShapeError, match=words):
            call()


def test_second_derivatives():
    """The derivative along a direction of the gradient, against differences of gradients."""
    arrays = lstm_arrays()
    direction = [draw(*a.shape) for a in arrays]
    h = 1e-5

    def gradient(*a):
        return gx.grad(lambda *a: gx.sum(gx.sin(ours_lstm(*a))), tuple(range(6)))(*a)

    def moved(sign):
        return [a + sign * h * d for a, d in zip(arrays, direction, strict=True)]

    traced = gx.trace(gradient, *arrays)
    differences = [
        (a - b) / (2 * h)
        for a, b in zip(traced.evaluate(*moved(1)), traced.evaluate(*moved(-1)), strict=True)
    ]
    along = gx.trace(lambda a, d: gx.jvp(gradient, a, d)[1], arrays, tuple(direction))
    found = tree.leaves(along.evaluate(arrays, tuple(direction)))
    for a, b in zip(found, differences, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
