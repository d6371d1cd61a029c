"""Factorizations and systems in C, of every size up to a panel and past it, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx

#: Sizes around the runtime's four rows at once and around its panels of 32.
SIZES = (*range(1, 10), 31, 32, 33, 40)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-4), ("float64", 1e-11)])
def test_inverses_systems_and_factors_of_every_size(dtype: str, tolerance: float):
    """Right-hand sides as wide as the matrix too: rows of one call are pivots of the next."""
    rng = np.random.default_rng(0)
    matrices, sides, expected = [], [], []
    for n in SIZES:
        a = rng.normal(size=(n, n)) + n * np.eye(n)
        definite = a @ a.T
        b = rng.normal(size=(n, n))
        matrices.append([a.astype(dtype), definite.astype(dtype)])
        sides.append(b.astype(dtype))
        expected.append(
            [
                np.linalg.inv(a),
                np.linalg.solve(a, b),
                np.linalg.cholesky(definite),
                np.linalg.solve(np.tril(a), b),
                np.linalg.solve(np.triu(a), b),
                np.linalg.slogdet(a)[1],
                # d Σ b·a⁻¹ / da
                -np.linalg.inv(a).T @ b @ np.linalg.inv(a).T,
            ]
        )

    def every(matrices, sides):
        results = []
        for (a, definite), b in zip(matrices, sides, strict=True):
            inverse = gx.linalg.inv(a)
            results.append(
                [
                    inverse,
                    gx.linalg.solve(a, b),
                    gx.linalg.cholesky(definite),
                    gx.linalg.triangular_solve(a, b),
                    gx.linalg.triangular_solve(a, b, lower=False),
                    gx.linalg.slogdet(a).logabsdet,
                    gx.grad(gx.sum(b * inverse), a),
                ]
            )
        return results

    found = gx.compile(every, matrices, sides)(matrices, sides)
    for n, got, want in zip(SIZES, found, expected, strict=True):
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            scale = max(1.0, float(np.abs(w).max()))
            np.testing.assert_allclose(g, w, atol=tolerance * scale, rtol=0, err_msg=f"{n}: {k}")
