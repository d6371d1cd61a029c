"""Initial values: moments, fans, orthogonality, and that equal seeds give equal values."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.errors import ArgumentError, DTypeError, ShapeError
from graphc.nn import initializers as init

SHAPE = (400, 250)

#: Initializer, expected variance, and bound of the absolute value (None: unbounded).
CASES = {
    "normal": (init.normal(0.02), 0.02**2, None),
    "uniform": (init.uniform(0.5), None, 0.5),
    "truncated_normal": (init.truncated_normal(1.0), 0.87962566**2, 2.0),
    "lecun_normal": (init.lecun_normal(), 1 / 400, 2 / 0.87962566 / 20),
    "lecun_uniform": (init.lecun_uniform(), 1 / 400, (3 / 400) ** 0.5),
    "he_normal": (init.he_normal(), 2 / 400, 2 * (2 / 400) ** 0.5 / 0.87962566),
    "he_uniform": (init.he_uniform(), 2 / 400, (6 / 400) ** 0.5),
    "glorot_normal": (init.glorot_normal(), 2 / 650, 2 * (2 / 650) ** 0.5 / 0.87962566),
    "glorot_uniform": (init.glorot_uniform(), 2 / 650, (6 / 650) ** 0.5),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments(name, dtype):
    make, variance, bound = CASES[name]
    values = make(7, SHAPE, dtype)
    assert values.dtype == dtype and values.shape == SHAPE
    if variance is not None:
        # Five standard errors of mean and variance of 100 000 values.
        assert abs(values.mean()) < 5 * (variance / values.size) ** 0.5
        assert abs(values.var() / variance - 1) < 5 * (2 / values.size) ** 0.5
    if bound is not None:
        assert np.abs(values).max() <= bound * (1 + 1e-6)
        assert np.abs(values).max() > 0.99 * bound


def test_uniform_is_not_negative():
    values = init.uniform(0.5)(0, (1000,))
    assert values.min() >= 0 and abs(values.mean() - 0.25) < 0.03


def test_equal_seeds_equal_values_and_generators_move_on():
    make = init.he_normal()
    key = np.array([3, 4], np.uint32)
    assert np.array_equal(make(key, (3, 5)), make(key, (3, 5)))
    assert not np.array_equal(make(key, (3, 5)), make(key[::-1], (3, 5)))
    rng = np.random.default_rng(1)
    assert not np.array_equal(make(rng, (3, 5)), make(rng, (3, 5)))


def test_fans_of_a_convolution():
    values = init.he_uniform(in_axis=1, out_axis=0)(0, (64, 32, 3, 3))
    bound = (6 / (32 * 9)) ** 0.5
    assert 0.99 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("shape", [(6, 6), (8, 3), (3, 8), (2, 3, 4)])
def test_orthogonal(shape):
    values = init.orthogonal(2.0)(5, shape, "float64")
    matrix = values.reshape(-1, shape[-1]) / 2
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(min(matrix.shape)), atol=1e-12)
    assert values.shape == shape and values.flags.c_contiguous


def test_orthogonal_columns_along_another_axis():
    values = init.orthogonal(column_axis=0)(5, (3, 4, 5), "float64")
    matrix = values.reshape(3, 20)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)


def test_constants():
    assert np.array_equal(init.zeros(None, (2, 3)), np.zeros((2, 3), np.float32))
    assert np.array_equal(init.ones(None, (2,), "int32"), np.ones(2, np.int32))
    assert np.array_equal(init.constant(0.5)(None, (2,)), np.full(2, 0.5, np.float32))


def test_refusals():
    with pytest.raises(ArgumentError, match="fan_in, fan_out or fan_avg"):
        init.variance_scaling(1.0, "fan", "normal")
    with pytest.raises(ArgumentError, match="distribution"):
        init.variance_scaling(1.0, "fan_in", "cauchy")
    with pytest.raises(ArgumentError, match="lower < upper"):
        init.truncated_normal(1.0, 2.0, -2.0)
    with pytest.raises(ShapeError, match="two axes"):
        init.he_normal()(0, (5,))
    with pytest.raises(ShapeError, match="two axes"):
        init.orthogonal()(0, (5,))
    with pytest.raises(DTypeError, match="float32 or float64"):
        init.normal()(0, (5,), "int32")
