"""Burgers' equation: the reference against a closed form, the network against the reference."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc.examples import pinn


def test_the_reference_is_the_solution_of_cole_and_hopf() -> None:
    """u(t, x) is a mean of -sin(π(x - η)) over η of the heat kernel, with weights
    exp(-cos(π(x - η)) / 2πν); the integrals are done by Gauss and Hermite's rule.
    """
    nodes, weights = np.polynomial.hermite.hermgauss(100)
    t = np.linspace(0, 1, pinn.TIMES)[1:]
    x = np.linspace(-1, 1, pinn.PLACES, endpoint=False)
    from_where = x[:, None] - 2 * np.sqrt(pinn.VISCOSITY * t)[:, None, None] * nodes
    exponent = -np.cos(np.pi * from_where) / (2 * np.pi * pinn.VISCOSITY)
    share = weights * np.exp(exponent - exponent.max(-1, keepdims=True))
    exact = -(np.sin(np.pi * from_where) * share).sum(-1) / share.sum(-1)
    np.testing.assert_allclose(pinn.reference()[1:], exact, atol=1e-7)


def test_the_residual_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    params = [{k: p.astype(float) for k, p in layer.items()} for layer in pinn.init(rng)]
    points = rng.uniform((0.1, -0.9), (0.9, 0.9), (20, 2))
    h = 1e-4
    traced = gx.trace(pinn.field, params, points)

    def u(dt: float, dx: float) -> np.ndarray:
        return np.asarray(traced.evaluate(params, points + np.array([dt, dx])))

    u_t = (u(h, 0) - u(-h, 0)) / (2 * h)
    u_x = (u(0, h) - u(0, -h)) / (2 * h)
    u_xx = (u(0, h) - 2 * u(0, 0) + u(0, -h)) / h**2
    want = u_t + u(0, 0) * u_x - pinn.VISCOSITY * u_xx
    got = gx.trace(pinn.residual, params, points).evaluate(params, points)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_losses_do_not_depend_on_the_number_of_threads() -> None:
    told: list[tuple[int, float, float]] = []
    one = pinn.train(20, 0, 1, lambda *what: told.append(what))
    two = pinn.train(20, 0, 2, lambda *what: None)
    assert one.losses == two.losses and one.error == two.error
    assert [step for step, _, _ in told] == list(range(2, 21, 2))
    assert told[-1][1:] == (one.losses[-1], one.error)


@pytest.mark.slow
def test_the_error_is_below_five_percent() -> None:
    assert pinn.train(pinn.STEPS, 0, 2, lambda *what: None).error < 0.05
