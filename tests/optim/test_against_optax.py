"""Twenty steps of every optimizer, parameters and states, against optax."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import optim, tree

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

STEPS = 20


def decay_matrices(params):
    return {"w": True, "layers": [{"b": False, "w": True}]}


def in_double(schedule):
    """optax computes some schedules in float32 when the count is an int32, also where everything
    else is float64.
    """
    return lambda count: schedule(count.astype("float64"))


#: name: how to make the optimizer from a library (ours or optax: the programs read the same).
CASES = {
    "sgd": lambda lib: lib.sgd(0.1),
    "sgd momentum": lambda lib: lib.sgd(0.1, momentum=0.9),
    "sgd nesterov": lambda lib: lib.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": lambda lib: lib.adam(1e-2),
    "adam eps_root": lambda lib: lib.adam(1e-2, b1=0.8, b2=0.99, eps=1e-6, eps_root=1e-7),
    "adam nesterov": lambda lib: lib.adam(1e-2, nesterov=True),
    "adamw": lambda lib: lib.adamw(1e-2),
    "adamw mask": lambda lib: lib.adamw(1e-2, weight_decay=0.1, mask=decay_matrices),
    "adamw mask prefix": lambda lib: lib.adamw(1e-2, mask={"w": False, "layers": True}),
    "adamw schedules": lambda lib: lib.adamw(
        in_double(lib.warmup_cosine_decay_schedule(0.0, 1e-2, 5, 15, 1e-3)),
        weight_decay=lib.cosine_decay_schedule(0.1, 10),
    ),
    "lion": lambda lib: lib.lion(1e-3),
    "lion mask": lambda lib: lib.lion(1e-3, 0.8, 0.95, weight_decay=0.1, mask=decay_matrices),
    "lion decay": lambda lib: lib.lion(
        lib.piecewise_constant_schedule(1e-3, {4: 0.5}), weight_decay=lib.constant_schedule(0.2)
    ),
    "sgd nesterov schedule": lambda lib: lib.sgd(
        in_double(lib.cosine_decay_schedule(0.1, 15, 0.2)), momentum=0.8, nesterov=True
    ),
    "adamw nesterov eps_root": lambda lib: lib.adamw(
        1e-2, eps_root=1e-8, weight_decay=0.3, nesterov=True
    ),
    "rmsprop nesterov": lambda lib: lib.rmsprop(1e-2, momentum=0.9, nesterov=True),
    "rmsprop": lambda lib: lib.rmsprop(1e-2),
    "rmsprop as in PyTorch": lambda lib: lib.rmsprop(
        1e-2, eps_in_sqrt=False, centered=True, momentum=0.9
    ),
    "rmsprop unbiased": lambda lib: lib.rmsprop(1e-2, bias_correction=True, initial_scale=1.0),
    # At the first step the variance is 0 but for rounding, so eps decides.
    "rmsprop centered unbiased": lambda lib: lib.rmsprop(
        1e-2, eps=1e-2, centered=True, bias_correction=True
    ),
    "adagrad": lambda lib: lib.adagrad(1e-1),
    "adagrad from zero": lambda lib: lib.adagrad(1e-1, initial_accumulator_value=0.0),
    "clip": lambda lib: lib.chain(lib.clip(0.3), lib.sgd(0.1)),
    "clip_by_global_norm": lambda lib: lib.chain(lib.clip_by_global_norm(2.0), lib.adam(1e-2)),
    "a norm below the limit": lambda lib: lib.chain(lib.clip_by_global_norm(1e4), lib.sgd(0.1)),
    "ema": lambda lib: lib.chain(lib.ema(0.9), lib.sgd(0.1)),
    "ema biased": lambda lib: lib.chain(lib.ema(0.9, debias=False), lib.scale(-0.1)),
    "masked": lambda lib: lib.chain(lib.masked(lib.adam(1e-2), decay_matrices), lib.scale(0.5)),
    "piecewise": lambda lib: lib.sgd(lib.piecewise_constant_schedule(0.1, {5: 0.5, 12: 0.1})),
    "onecycle": lambda lib: lib.sgd(in_double(lib.cosine_onecycle_schedule(15, 0.1))),
    "a schedule of one's own": lambda lib: lib.sgd(lambda count: 0.1 * 0.9**count),
}


def arrays(seed: int, dtype: str) -> dict:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    return {"w": draw(3, 4), "layers": [{"b": draw(4), "w": draw(4, 2)}]}


def ours(make, dtype: str):
    opt = make(optim)
    params = arrays(0, dtype)
    state = opt.init(params)

    def step(params, state, grads):
        updates, state = opt.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    traced = gx.trace(step, params, state, params, donate_argnums=(0, 1))
    for k in range(STEPS):
        params, state = traced.evaluate(params, state, arrays(k + 1, dtype))
    return tree.leaves(params), tree.leaves(state)


def theirs(make, dtype: str):
    with jax.enable_x64(dtype == "float64"):
        opt = make(optax)
        params = jax.tree.map(jax.numpy.asarray, arrays(0, dtype))
        state = opt.init(params)

        @jax.jit
        def step(params, state, grads):
            updates, state = opt.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        for k in range(STEPS):
            params, state = step(params, state, arrays(k + 1, dtype))
        return [[np.asarray(x) for x in jax.tree.leaves(t)] for t in (params, state)]


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("name", CASES)
def test_twenty_steps(name, dtype, tolerance):
    for got, want in zip(ours(CASES[name], dtype), theirs(CASES[name], dtype), strict=True):
        for a, b in zip(got, want, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("mean", [True, False])
def test_multi_steps(mean, dtype, tolerance):
    def make(lib):
        # optax accumulates in float32 unless told; ours in the parameters' dtype.
        return lib.MultiSteps(lib.adam(1e-2), 3, use_grad_mean=mean, accumulator_dtype=dtype)

    for got, want in zip(ours(make, dtype), theirs(make, dtype), strict=True):
        for a, b in zip(got, want, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_global_norm():
    params = arrays(3, "float64")
    with jax.enable_x64(True):
        want = float(optax.tree.norm(params))
    got = gx.trace(optim.global_norm, params).evaluate(params)
    np.testing.assert_allclose(got, want, rtol=1e-14)


SCHEDULES = {
    "constant": lambda lib: lib.constant_schedule(0.3),
    "linear": lambda lib: lib.linear_schedule(0.1, 0.9, 10, 3),
    "exponential": lambda lib: lib.exponential_decay(0.5, 4, 0.7),
    "exponential steps": lambda lib: lib.exponential_decay(0.5, 4, 0.7, staircase=True),
    "cosine": lambda lib: lib.cosine_decay_schedule(0.5, 20, 0.1, 2.0),
    "warmup": lambda lib: lib.warmup_cosine_decay_schedule(0.01, 0.5, 7, 22, 0.05),
    "no warmup": lambda lib: lib.warmup_cosine_decay_schedule(0.01, 0.5, 0, 22),
    "onecycle": lambda lib: lib.cosine_onecycle_schedule(21, 0.4),
    "piecewise": lambda lib: lib.piecewise_constant_schedule(0.4, {3: 0.5, 10: 2.0}),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    schedule = SCHEDULES[name](optim)
    with jax.enable_x64(True):
        reference = SCHEDULES[name](optax)
        want = [float(reference(jax.numpy.asarray(k))) for k in range(26)]
    count = gx.input("count", (), "int32")
    value = schedule(count)
    in_graph = [float(gx.evaluate(value, {count: k})) for k in range(26)]
    # float32 where a schedule is a bare number.
    np.testing.assert_allclose(in_graph, want, rtol=1e-7 if name == "constant" else 1e-12)
    np.testing.assert_allclose([float(schedule(k)) for k in range(26)], want, rtol=1e-12)
