"""What optimizers promise beside their formulas: kinds of parameters, states, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import optim, tree
from graphc.errors import ArgumentError
from graphc.optim.base import MAX_COUNT


def one_step(opt, params, state, grads):
    def step(params, state, grads):
        updates, state = opt.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    return gx.trace(step, params, state, grads).evaluate(params, state, grads)


def test_states_of_arrays_are_arrays():
    params = {"w": np.ones((2, 3), np.float32), "b": np.ones(3)}
    state = optim.adam(1e-3).init(params)
    assert isinstance(state, tuple) and state[0]._fields == ("count", "mu", "nu")
    for leaf in tree.leaves(state):
        assert type(leaf) is np.ndarray and leaf.flags.writeable and not leaf.any()
    assert state[0].count.dtype == np.int32 and state[0].count.shape == ()
    assert state[0].mu["b"].dtype == np.float64 and state[0].nu["w"].shape == (2, 3)
    leaves = tree.leaves(state)
    assert len({id(leaf) for leaf in leaves}) == len(leaves)


def test_states_of_specs_and_of_other_libraries():
    torch = pytest.importorskip("torch")
    jax = pytest.importorskip("jax")
    params = [gx.spec((2,), "float64"), torch.ones(3), jax.numpy.ones(4), 1.5]
    state = optim.sgd(0.1, momentum=0.9).init(params)
    assert [x.shape for x in state[0].trace] == [(2,), (3,), (4,), ()]
    assert [x.dtype for x in state[0].trace] == ["float64", "float32", "float32", "float64"]


def test_states_of_tensors_are_tensors():
    opt = optim.adagrad(0.1)

    def first_update(params, grads):
        updates, _ = opt.update(grads, opt.init(params), params)
        return updates

    grads = np.array([2.0, -3.0])
    update = gx.trace(first_update, grads, grads).evaluate(grads, grads)
    np.testing.assert_allclose(update, -0.1 * grads / np.sqrt(0.1 + grads**2), rtol=1e-6)
    state = optim.adam(0.1).init(gx.input("p", (2,)))
    assert all(isinstance(leaf, gx.Tensor) for leaf in tree.leaves(state))


def test_dtype_of_the_first_moment():
    params = {"w": np.ones(3)}
    for opt in (optim.adam(0.1, mu_dtype="float32"), optim.lion(0.1, mu_dtype="float32")):
        state = opt.init(params)
        params_after, state_after = one_step(opt, params, state, params)
        assert state[0].mu["w"].dtype == np.float32 == state_after[0].mu["w"].dtype
        assert params_after["w"].dtype == np.float64


def test_the_first_step_of_adam_is_the_sign():
    params, grads = np.zeros(4), np.array([5.0, -0.1, 1e-3, -200.0])
    params, _ = one_step(optim.adam(0.01), params, optim.adam(0.01).init(params), grads)
    np.testing.assert_allclose(params, -0.01 * np.sign(grads), rtol=1e-4)


def test_counts_stay_at_the_largest():
    opt = optim.lion(0.1)
    params = np.ones(2)
    state = opt.init(params)
    state = (state[0]._replace(count=np.int32(MAX_COUNT)), *state[1:])
    _, state = one_step(opt, params, state, params)
    assert state[0].count == MAX_COUNT


def test_a_learning_rate_that_is_an_argument():
    def step(params, grads, rate):
        opt = optim.sgd(rate)
        updates, _ = opt.update(grads, opt.init(params))
        return optim.apply_updates(params, updates)

    x = np.ones(3, np.float32)
    traced = gx.trace(step, x, x, 0.5)
    assert traced.evaluate(x, x, 0.25).tolist() == [0.75] * 3


def test_parameters_keep_their_dtype():
    params = {"a": np.ones(2, np.float32), "b": np.ones(2, np.float64)}
    opt = optim.chain(optim.clip_by_global_norm(0.5), optim.adamw(0.1))
    after, _ = one_step(opt, params, opt.init(params), params)
    assert (after["a"].dtype, after["b"].dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(after["a"], after["b"], rtol=1e-5)


def test_empty_subtrees():
    params = {"w": np.ones(2), "frozen": None}
    opt = optim.adam(0.1)
    after, _ = one_step(opt, params, opt.init(params), params)
    assert after["frozen"] is None and after["w"].shape == (2,)


def test_a_step_can_be_differentiated():
    """The derivative of the loss after a step of SGD by the learning rate is -⟨g', g⟩."""

    def after(rate, w):
        opt = optim.sgd(rate, momentum=0.9)
        grads = gx.grad(gx.sum(w**3.0), w)
        updates, _ = opt.update(grads, opt.init(w), w)
        return gx.sum(optim.apply_updates(w, updates) ** 3.0)

    rate, w = gx.input("rate", (), "float64"), gx.input("w", (3,), "float64")
    x = np.array([0.5, 1.0, -2.0])
    slope = gx.evaluate(gx.grad(after(rate, w), rate), {rate: np.float64(0.01), w: x})
    moved = x - 0.01 * 3 * x**2
    np.testing.assert_allclose(slope, -(3 * moved**2 * 3 * x**2).sum(), rtol=1e-13)


def test_clipping_keeps_what_is_not_a_number_visible():
    opt = optim.clip_by_global_norm(1.0)
    grads = [np.array([1.0, np.nan]), np.ones(2)]
    clipped, _ = gx.trace(lambda g: opt.update(g, opt.init(g)), grads).evaluate(grads)
    assert np.isnan(np.concatenate(clipped)).all()


def test_a_norm_below_the_limit_changes_no_bit():
    opt = optim.clip_by_global_norm(10.0)
    grads = np.random.default_rng(0).standard_normal(20).astype(np.float32)
    same, _ = gx.trace(lambda g: opt.update(g, opt.init(g)), grads).evaluate(grads)
    assert np.array_equal(same, grads)


def test_multi_steps_waits():
    opt = optim.MultiSteps(optim.sgd(0.1), lambda done: gx.where(done < 1, 2, 3))
    params = np.zeros(2)
    state = opt.init(params)
    trail = []
    for k in range(6):
        before = params
        grads = np.full(2, float(k + 1))
        params, state = one_step(opt, params, state, grads)
        trail.append(not np.array_equal(before, params))
        assert bool(opt.has_updated(state)) == trail[-1]
    assert trail == [False, True, False, False, True, False]
    np.testing.assert_allclose(params, -0.1 * (1.5 + 4.0), rtol=1e-12)
    assert (state.mini_step, state.gradient_step) == (1, 2)


def test_the_mask_has_no_state_for_what_it_hides():
    params = {"w": np.ones((2, 2)), "b": np.ones(2)}
    opt = optim.masked(optim.adam(0.1), {"w": True, "b": False})
    state = opt.init(params)
    assert state.inner_state[0].mu["b"] is None
    updates, _ = gx.trace(opt.update, params, state, params).evaluate(params, state, params)
    assert np.array_equal(updates["b"], params["b"])
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)


def test_refusals():
    params = {"w": np.ones(2)}
    opt = optim.adamw(0.1)
    with pytest.raises(ArgumentError, match="weight decay needs the parameters"):
        opt.update(params, opt.init(params))
    with pytest.raises(ArgumentError, match="chain of 3 transformations: got a state of 2"):
        opt.update(params, opt.init(params)[:2], params)
    with pytest.raises(ArgumentError, match="the mask does not fit"):
        optim.masked(optim.sgd(0.1), {"v": True}).init(params)
    with pytest.raises(ArgumentError, match="a mask holds bools, got 1"):
        optim.masked(optim.sgd(0.1), {"w": 1}).init(params)
    with pytest.raises(ArgumentError, match="k is at least 1"):
        optim.MultiSteps(optim.sgd(0.1), 0)
    with pytest.raises(ArgumentError, match="without leaves"):
        optim.global_norm({})
    with pytest.raises(ArgumentError, match="decay_steps > 0"):
        optim.cosine_decay_schedule(0.1, 0)
    with pytest.raises(ArgumentError, match="transition_steps > 0"):
        optim.cosine_onecycle_schedule(0, 0.1)
    with pytest.raises(ArgumentError, match="scales >= 0"):
        optim.piecewise_constant_schedule(0.1, {3: -1.0})
    with pytest.raises(ArgumentError, match="2 schedules need 1 boundaries, got 2"):
        optim.join_schedules([optim.constant_schedule(0.1)] * 2, [1, 2])
