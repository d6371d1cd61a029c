"""Every form of index and every array function, with gradients, compiled and held against the
reference: a few large functions, because a compile costs a second.
"""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from tests.frontend.test_functions import EQUATIONS, PRODUCTS, SHAPES, R
from tests.frontend.test_indexing import ADVANCED, BASIC, X, inputs_of

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore::graphc.DisconnectedGradientWarning")


def same(fn, *arrays, tolerance=1e-5):
    """The compiled function gives what the reference gives; failures name the case."""
    traced = gx.trace(fn, *arrays)
    expected = traced.evaluate(*arrays)
    found = traced.lower().compile()(*arrays)
    assert found.keys() == expected.keys()
    wrong = []
    for name, array in expected.items():
        other = found[name]
        equal = other.dtype == array.dtype and other.shape == array.shape
        if not (equal and np.allclose(other, array, tolerance, tolerance, equal_nan=True)):
            wrong.append(name)
    assert wrong == []


def with_gradient(results, name, value, *by):
    """Adds a value and the gradient of the sum of its squares."""
    results[name] = value
    for k, x in enumerate(by):
        results[f"{name}: gradient {k}"] = gx.grad(gx.sum(value * value), x)


def test_indices():
    def fn(x, lists):
        results = {}
        for number, index in enumerate([*BASIC, *ADVANCED]):
            with_gradient(results, f"{number} constant {index}", x[index], x)
            _, rebuilt = inputs_of(index)
            tensors = lists[str(number)]
            if tensors:
                with_gradient(results, f"{number} tensor {index}", x[rebuilt(tensors)], x)
        return results

    lists = {str(k): inputs_of(index)[0] for k, index in enumerate([*BASIC, *ADVANCED])}
    same(fn, X, lists)


@pytest.mark.parametrize("method", ["set", "add", "multiply", "min", "max"])
def test_updates(method):
    indices = [*BASIC[::3], *ADVANCED[::3]]
    values = {str(k): RNG.standard_normal(X[i].shape) for k, i in enumerate(indices)}

    def fn(x, values):
        results = {}
        for k, index in enumerate(indices):
            v = values[str(k)]
            with_gradient(results, str(index), getattr(x.at[index], method)(v), x, v)
        return results

    same(fn, X, values)


def test_shape_functions():
    def fn(x):
        results = {}
        for name, case in SHAPES.items():
            value = case(gx, x)
            for k, part in enumerate(value if isinstance(value, tuple) else (value,)):
                results[f"{name} {k}"] = part
                if name not in ("zeros_like", "full_like", "vector_norm 0"):
                    results[f"{name} {k} gradient"] = gx.grad(gx.sum(part * part), x)
        return results

    same(fn, R)


def test_products():
    shapes = [*PRODUCTS, *[tuple(case[1:]) for case in EQUATIONS]]
    arrays = [[RNG.standard_normal(s) for s in group] for group in shapes]

    def fn(arrays):
        results = {}
        for k, group in enumerate(arrays):
            if k < len(PRODUCTS):
                value = gx.matmul(*group)
            else:
                value = gx.einsum(EQUATIONS[k - len(PRODUCTS)][0], *group)
            with_gradient(results, f"{k} {shapes[k]}", value, *group)
        return results

    same(fn, arrays, tolerance=1e-9)


def test_padding_and_order():
    def fn(x):
        results = {}
        for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
            with_gradient(results, mode, gx.pad(x, [(1, 0), (2, 3), (0, 9)], mode), x)
        with_gradient(results, "sort", gx.sort(x, axis=1, descending=True), x)
        results["argsort"] = gx.argsort(x, axis=2)
        with_gradient(results, "top_k", gx.top_k(x, 2, axis=1)[0], x)
        with_gradient(results, "cumulative_sum", gx.cumulative_sum(x, axis=1), x)
        with_gradient(results, "cumulative_prod", gx.cumulative_prod(x, axis=2), x)
        with_gradient(results, "logsumexp", gx.cumulative_logsumexp(x, axis=0), x)
        with_gradient(results, "diff", gx.diff(x, axis=2, n=2), x)
        with_gradient(results, "window", gx.dynamic_slice(x, (1, 0, 2), (1, 2, 2)), x)
        results["searchsorted"] = gx.searchsorted(gx.sort(x[0, 0]), x)
        return results

    same(fn, R)


def test_reductions():
    def fn(x):
        results = {}
        for axis in (None, 0, 1, 2, (0, 2), (0, 1), (1, 2), ()):
            for name in ("sum", "prod", "max", "min", "mean", "var", "std", "logsumexp"):
                value = getattr(gx, name)(x, axis=axis, keepdims=axis == 1)
                if name == "std" and axis == ():
                    continue
                with_gradient(results, f"{name} {axis}", value, x)
            for name in ("any", "all", "count_nonzero"):
                results[f"{name} {axis}"] = getattr(gx, name)(x > 0, axis=axis)
        for axis in (None, 0, 1, 2):
            results[f"argmax {axis}"] = gx.argmax(x, axis=axis)
            results[f"argmin {axis}"] = gx.argmin(x, axis=axis, keepdims=True)
        return results

    same(fn, R, tolerance=1e-4)


def test_transforms():
    @gx.custom_vjp
    def rule(x, w):
        return gx.sin(x) * w

    rule.defvjp(
        lambda x, w: (gx.sin(x) * w, (gx.cos(x), gx.sin(x), w)),
        lambda saved, g: (g * saved[0] * saved[2], g * saved[1]),
    )

    def fn(x, w):
        energy = lambda x: gx.sum(gx.tanh(x @ w) ** 3)  # noqa: E731
        return {
            "grad": gx.grad(energy)(x),
            "hessian": gx.hessian(energy)(x),
            "hvp": gx.hvp(energy, x, gx.sin(x)),
            "jacrev": gx.jacrev(lambda x: gx.exp(x @ w))(x),
            "jacfwd": gx.jacfwd(lambda w: x @ w)(w),
            "vmap": gx.vmap(gx.grad(energy))(x),
            "custom": gx.grad(lambda x: gx.sum(gx.grad(lambda y: gx.sum(rule(y, x)))(x) ** 2))(x),
            "custom vmap": gx.vmap(gx.grad(lambda x: gx.sum(rule(x, x)[1:])))(x),
            "checkpoint": gx.grad(lambda x: gx.sum(gx.checkpoint(energy)(x) * x))(x),
        }

    same(fn, RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)), tolerance=1e-9)
