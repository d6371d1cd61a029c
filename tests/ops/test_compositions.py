"""Constructors that compose several operators, and single facts that samples do not show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc import ops
from graphc.autodiff.reverse import grad
from graphc.dtypes import float32, float64, int64, tensor_type
from graphc.ir.graph import Value, new_input
from graphc.ops.samples import Source
from graphc.ops.slicing import Slice
from graphc.reference import evaluate

from .cases import type_of

SOURCE = Source("compositions")


def run(
    function: Callable[..., Value | tuple[Value, ...]], *arrays: np.ndarray
) -> list[np.ndarray]:
    inputs = [new_input(f"x{k}", type_of(a)) for k, a in enumerate(arrays)]
    results = function(*inputs)
    outputs = results if isinstance(results, tuple) else (results,)
    return evaluate(outputs, dict(zip(inputs, arrays, strict=True)))


def gradient(
    function: Callable[[Value], Value], x: np.ndarray, cotangent: np.ndarray | None = None
) -> np.ndarray:
    value = new_input("x", type_of(x))
    result = function(value)
    seed = ops.full_like(result, 1) if cotangent is None else ops.constant(cotangent)
    (found,) = grad([result], [value], [seed])
    assert found is not None
    return evaluate([found], {value: x})[0]


def test_slice_is_numpy_s():
    x = np.arange(30).reshape(5, 6)
    for rows, columns in (
        (np.s_[1:4], np.s_[::2]),
        (np.s_[::-1], np.s_[4:1:-2]),
        (np.s_[3:3], np.s_[5:]),
    ):
        ranges = [range(*s.indices(n)) for s, n in zip((rows, columns), x.shape, strict=True)]
        starts, lengths, steps = zip(*[(r.start, len(r), r.step) for r in ranges], strict=True)
        np.testing.assert_array_equal(Slice(starts, lengths, steps).reference(x), x[rows, columns])


@pytest.mark.parametrize("axis", (0, 1, 2))
@pytest.mark.parametrize("descending", (False, True))
def test_sort_and_its_gradient(axis: int, descending: bool):
    x = SOURCE.distinct((3, 4, 5), float64)
    expected = np.flip(np.sort(x, axis), axis) if descending else np.sort(x, axis)
    (found,) = run(lambda v: ops.sort(v, axis, descending), x)
    np.testing.assert_array_equal(found, expected)
    # The cotangent of a place goes to the element that was brought there.
    g = SOURCE.floats(x.shape, float64)
    order = np.argsort(-x if descending else x, axis)
    moved = np.zeros_like(x)
    np.put_along_axis(moved, order, g, axis)
    np.testing.assert_array_equal(gradient(lambda v: ops.sort(v, axis, descending), x, g), moved)


def test_nan_is_the_greatest():
    x = np.array([1.0, np.nan, -np.inf, np.inf, np.nan, -1.0])
    up, down = run(lambda v: (ops.sort(v, 0), ops.sort(v, 0, descending=True)), x)
    np.testing.assert_array_equal(up, [-np.inf, -1, 1, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(down, [np.nan, np.nan, np.inf, 1, -1, -np.inf])


@pytest.mark.parametrize("k", (0, 1, 3, 5))
def test_top_k(k: int):
    x = SOURCE.integers((4, 5), float32, 0, 4)
    values, positions = run(lambda v: ops.top_k(v, k, 1), x)
    order = np.argsort(-x, 1, kind="stable")[:, :k]
    np.testing.assert_array_equal(positions, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, 1))


@pytest.mark.parametrize("axis", (0, 1, 2))
def test_take_along_axis(axis: int):
    x = SOURCE.floats((3, 4, 5), float64)
    shape = list(x.shape)
    shape[axis] = 7
    at = SOURCE.integers(shape, int64, 0, x.shape[axis])
    (found,) = run(lambda v, i: ops.take_along_axis(v, i, axis), x, at)
    np.testing.assert_array_equal(found, np.take_along_axis(x, at, axis))


def test_count_nonzero():
    x = np.array([[0.0, -0.0, np.nan], [1.0, 0.0, -2.0]])
    (rows, total) = run(lambda v: (ops.count_nonzero(v, (1,)), ops.count_nonzero(v, (0, 1))), x)
    np.testing.assert_array_equal(rows, [1, 2])
    assert total == 3 and total.dtype == np.int64


def test_preceding_and_part():
    x = np.arange(12.0).reshape(3, 4)
    before, tail, last = run(
        lambda v: (ops.preceding(v, 1, 7), ops.part(v, 1, 1, 0), ops.part(v, 0, -1, 0)), x
    )
    np.testing.assert_array_equal(before[:, 1:], x[:, :-1])
    np.testing.assert_array_equal(before[:, 0], [7, 7, 7])
    np.testing.assert_array_equal(tail, x[:, 1:])
    np.testing.assert_array_equal(last, x[-1:])


def test_gap_of_equal_infinities():
    x = np.array([np.inf, -np.inf, np.inf, 1.0, 2.0])
    y = np.array([np.inf, -np.inf, -np.inf, np.inf, 0.5])
    (found,) = run(ops.gap, x, y)
    np.testing.assert_array_equal(found, [0, 0, np.inf, -np.inf, 1.5])


def test_clip_lets_missing_numbers_through():
    x = np.array([np.nan, -5.0, 0.5, 5.0])
    (found,) = run(lambda v: ops.clip(v, -1, 1), x)
    np.testing.assert_array_equal(found, [np.nan, -1, 0.5, 1])


def test_stop_gradient_stops():
    x = np.array([1.0, 2.0])
    found = gradient(lambda v: ops.multiply(v, ops.stop_gradient(v)), x)
    np.testing.assert_array_equal(found, x)


def test_prod_s_gradient_with_zeros():
    for x in ([2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 3.0, 0.0], [0.0]):
        row = np.array(x)
        others = [np.prod(np.delete(row, k)) for k in range(len(x))]
        np.testing.assert_array_equal(gradient(lambda v: ops.prod(v, (0,)), row), others)


def test_kinks():
    zero = np.array([0.0, -0.0])
    np.testing.assert_array_equal(gradient(ops.abs, zero), [0, 0])
    np.testing.assert_array_equal(gradient(ops.sqrt, np.array([0.0])), [np.inf])
    np.testing.assert_array_equal(gradient(lambda v: ops.maximum(v, 0), zero), [0.5, 0.5])
    ties = np.array([2.0, 1.0, 2.0])
    np.testing.assert_array_equal(gradient(lambda v: ops.max(v, (0,)), ties), [0.5, 0, 0.5])
    at = ops.constant(np.array([0, 0, 1]))
    x = new_input("x", tensor_type((2,), float64))
    u = new_input("u", tensor_type((3,), float64))
    most = ops.scatter_max(x, u, [at])
    found = grad([most], [x, u], [ops.full_like(most, 1)])
    arrays = {x: np.array([4.0, 4.0]), u: np.array([4.0, 4.0, 1.0])}
    dx, du = evaluate([v for v in found if v is not None], arrays)
    np.testing.assert_allclose(dx, [1 / 3, 1])
    np.testing.assert_allclose(du, [1 / 3, 1 / 3, 0])


def test_the_last_of_several_updates_wins_and_takes_the_gradient():
    x = new_input("x", tensor_type((3,), float64))
    u = new_input("u", tensor_type((4,), float64))
    at = ops.constant(np.array([2, 0, 2, -1]))
    out = ops.scatter_set(x, u, [at])
    dx, du = grad([out], [x, u], [ops.full_like(out, 1)])
    assert dx is not None and du is not None
    arrays = {x: np.zeros(3), u: np.arange(1.0, 5.0)}
    values, dx, du = evaluate([out, dx, du], arrays)
    np.testing.assert_array_equal(values, [2, 0, 4])
    np.testing.assert_array_equal(dx, [0, 1, 0])
    np.testing.assert_array_equal(du, [0, 1, 0, 1])


def test_logaddexp_of_two_impossible_events():
    x = np.array([-np.inf, -np.inf, 0.0])
    y = ops.constant(np.array([-np.inf, 1.0, -np.inf]))
    np.testing.assert_array_equal(gradient(lambda v: ops.logaddexp(v, y), x), [0.5, 0, 1])


def test_cumulative_logsumexp_past_impossible_events():
    x = np.array([-np.inf, -np.inf, 1.0, -np.inf, 0.5])
    found = gradient(lambda v: ops.cumulative_logsumexp(v, 0), x)
    assert np.isfinite(found).all()
    share = 1 / (1 + np.exp(-0.5))
    np.testing.assert_allclose(found[2:], [2 + share, 0, 1 - share])


def hessian(function: Callable[[Value], Value], x: np.ndarray) -> np.ndarray:
    value = new_input("x", type_of(x))
    result = function(value)
    (first,) = grad([result], [value], [ops.full_like(result, 1)])
    assert first is not None
    rows = []
    for k in range(x.size):
        unit = np.zeros(x.size)
        unit[k] = 1
        (row,) = grad([first], [value], [ops.constant(unit.reshape(x.shape))])
        rows.append(np.zeros(x.size) if row is None else evaluate([row], {value: x})[0].ravel())
    return np.array(rows)


def test_second_derivatives_of_powers_at_exponent_zero():
    # d²(xʸ)/dx dy = xʸ⁻¹ (1 + y log x), which is 1/x at y = 0.
    def power(v: Value) -> Value:
        x, y = (ops.reshape(ops.part(v, 0, k, k + 1), ()) for k in (0, 1))
        return ops.pow(x, y)

    found = hessian(power, np.array([2.0, 0.0]))
    np.testing.assert_allclose(found, [[0, 0.5], [0.5, np.log(2) ** 2]])


def test_second_derivatives_of_products_at_one_place_with_zeros():
    places = np.zeros(3, np.int64)

    def product(v: Value) -> Value:
        at = ops.constant(places)
        return ops.sum_all(ops.scatter_multiply(ops.full((1,), 1, float64), v, [at]))

    for factors in ([0.0, 0.0, 3.0], [0.0, 2.0, 3.0], [1.0, 2.0, 3.0]):
        a, b, c = factors
        np.testing.assert_allclose(
            hessian(product, np.array(factors)), [[0, c, b], [c, 0, a], [b, a, 0]]
        )


def test_slopes_keep_their_digits_where_a_difference_would_lose_them():
    x = np.array([-300.0, -36.0, -20.0])
    np.testing.assert_allclose(gradient(ops.expm1, x), np.exp(x), rtol=1e-15)
    wide = np.array([1e160, 3e200])
    np.testing.assert_allclose(gradient(ops.asinh, wide), 1 / wide, rtol=1e-15)
    np.testing.assert_allclose(gradient(ops.acosh, wide), 1 / wide, rtol=1e-15)
    near = np.array([1 - 1e-10, -1 + 1e-12])
    expected = 1 / np.sqrt((1 - near) * (1 + near))
    np.testing.assert_allclose(gradient(ops.asin, near), expected, rtol=1e-15)
    np.testing.assert_allclose(gradient(ops.acos, near), -expected, rtol=1e-15)
