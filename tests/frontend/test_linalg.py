"""Systems of equations, factors and determinants, against NumPy and known derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx

RNG = np.random.default_rng(0)


def run(fn, *arrays):
    return gx.trace(fn, *arrays).evaluate(*arrays)


def square(*shape):
    return RNG.standard_normal(shape) + 0.5 * np.eye(shape[-1])


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 3, 4, 4), (12, 12)], ids=str)
def test_values(shape):
    a = square(*shape)
    n = shape[-1]
    np.testing.assert_allclose(run(gx.linalg.det, a), np.linalg.det(a), rtol=1e-9)
    sign, size = run(gx.linalg.slogdet, a)
    np.testing.assert_allclose((sign, size), np.linalg.slogdet(a), rtol=1e-9)
    np.testing.assert_allclose(run(gx.linalg.inv, a), np.linalg.inv(a), rtol=1e-7, atol=1e-9)
    for b in (RNG.standard_normal((n, 2)), RNG.standard_normal((*shape[:-2], n, 3))):
        expected = np.linalg.solve(a, np.broadcast_to(b, (*shape[:-2], *b.shape[-2:])))
        np.testing.assert_allclose(run(gx.linalg.solve, a, b), expected, rtol=1e-7, atol=1e-9)
    vector = RNG.standard_normal(n)
    np.testing.assert_allclose(
        run(gx.linalg.solve, a, vector), np.linalg.inv(a) @ vector, rtol=1e-7, atol=1e-9
    )
    definite = a @ np.swapaxes(a, -1, -2) + np.eye(n)
    factor = np.linalg.cholesky(definite)
    np.testing.assert_allclose(run(gx.linalg.cholesky, definite), factor, rtol=1e-9, atol=1e-12)
    upper = run(lambda x: gx.linalg.cholesky(x, upper=True), definite)
    np.testing.assert_allclose(upper, np.swapaxes(factor, -1, -2), rtol=1e-9, atol=1e-12)
    for transpose in (False, True):
        whole = np.tril(a) + 2 * np.eye(n)
        solved = run(
            lambda m, b, t=transpose: gx.linalg.triangular_solve(m, b, transpose=t), whole, vector
        )
        matrix = np.swapaxes(whole, -1, -2) if transpose else whole
        np.testing.assert_allclose(
            (matrix @ solved[..., None])[..., 0], np.broadcast_to(vector, solved.shape), atol=1e-9
        )


def test_a_singular_matrix():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert run(gx.linalg.det, a) == 0
    sign, size = run(gx.linalg.slogdet, a)
    assert sign == 0 and size == -np.inf


def test_derivatives():
    a, b = square(4, 4), RNG.standard_normal((4, 2))
    inverse = np.linalg.inv(a)
    logdet = run(gx.grad(lambda x: gx.linalg.slogdet(x).logabsdet), a)
    np.testing.assert_allclose(logdet, inverse.T, rtol=1e-8)
    det = run(gx.grad(gx.linalg.det), a)
    np.testing.assert_allclose(det, np.linalg.det(a) * inverse.T, rtol=1e-8)
    g = RNG.standard_normal((4, 2))
    da, db = run(gx.grad(lambda a, b: gx.sum(gx.linalg.solve(a, b) * g), (0, 1)), a, b)
    np.testing.assert_allclose(db, inverse.T @ g, rtol=1e-7)
    np.testing.assert_allclose(da, -(inverse.T @ g) @ (inverse @ b).T, rtol=1e-7)
    g = RNG.standard_normal((4, 4))
    dx = run(gx.grad(lambda a: gx.sum(gx.linalg.inv(a) * g)), a)
    np.testing.assert_allclose(dx, -inverse.T @ g @ inverse.T, rtol=1e-7)


def test_refusals():
    x = gx.input("x", (2, 3))
    for fn in (gx.linalg.det, gx.linalg.inv, gx.linalg.cholesky):
        with pytest.raises(gx.ShapeError, match="square matrices required"):
            fn(x)
    with pytest.raises(gx.ShapeError, match="numbers of rows differ"):
        gx.linalg.solve(gx.eye(3), gx.ones((2, 2)))
    with pytest.raises(gx.ShapeError, match="at least 2 axes"):
        gx.linalg.trace(gx.ones(3))


def test_cholesky_is_of_the_symmetric_part():
    a = np.array([[4.0, 1.0], [3.0, 5.0]])
    symmetric = (a + a.T) / 2
    np.testing.assert_allclose(run(gx.linalg.cholesky, a), np.linalg.cholesky(symmetric))
    lower = run(lambda x: gx.linalg.cholesky(x, symmetrize_input=False), a)
    np.testing.assert_allclose(lower, np.linalg.cholesky(a))
    # log det a = 2 Σ log diag L, so its gradient is the inverse, on both sides of the diagonal.
    logdet = run(
        gx.grad(lambda x: 2 * gx.sum(gx.log(gx.linalg.diagonal(gx.linalg.cholesky(x))))), symmetric
    )
    np.testing.assert_allclose(logdet, np.linalg.inv(symmetric), rtol=1e-12)


def test_gradient_of_the_determinant_of_singular_matrices():
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(run(gx.grad(gx.linalg.det), singular), [[4, -2], [-2, 1]])
    np.testing.assert_array_equal(run(gx.grad(gx.linalg.det), np.zeros((3, 3))), 0)
    hessian = run(gx.hessian(gx.linalg.det), singular)
    expected = np.zeros((2, 2, 2, 2))
    expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1
    expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1
    np.testing.assert_allclose(hessian, expected, atol=1e-12)
