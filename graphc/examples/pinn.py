"""A physics-informed network: Burgers' equation u_t + u·u_x = ν·u_xx on x in [-1, 1] and t in
[0, 1], with u(0, x) = -sin(πx), u(t, ±1) = 0 and ν = 0.01/π, where a shock forms at x = 0.

The network knows no solution: what it learns from is the equation's residual at random points. It
is then compared with one that a spectral method computes. Source: Raissi, Perdikaris and
Karniadakis, Journal of Computational Physics 378, 2019.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import pi
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, nn, optim

VISCOSITY = 0.01 / pi
SIZES = (2, 32, 32, 32, 32, 1)
POINTS, STEPS = 2000, 8000
#: The times and places, evenly spaced, at which network and reference are compared.
TIMES, PLACES = 101, 256


@dataclass(frozen=True)
class Result:
    lowered: gx.Lowered[Any, Any]
    losses: list[float]
    step_seconds: list[float]
    error: float


def reference(times: int = TIMES, places: int = PLACES, modes: int = 2048) -> np.ndarray:
    """The solution at t = 0 … 1 and x = -1 … (without 1), float64[times, places].

    It is odd, so it is periodic: its Fourier coefficients are followed in time by a Runge-Kutta
    method of fourth order, diffusion being solved exactly (an integrating factor). The highest
    third of the coefficients is kept at zero, which a product of two functions would alias to.
    """
    frequency = pi * np.fft.rfftfreq(modes, 1 / modes)
    kept = frequency < pi * modes / 3
    substeps = 32
    dt = 1 / ((times - 1) * substeps)
    half = np.exp(-VISCOSITY * frequency**2 * dt / 2)

    def advection(c: np.ndarray) -> np.ndarray:
        return -0.5j * frequency * kept * np.fft.rfft(np.fft.irfft(c, modes) ** 2)

    def advanced(c: np.ndarray) -> np.ndarray:
        k1 = advection(c)
        k2 = advection(half * (c + dt / 2 * k1))
        k3 = advection(half * c + dt / 2 * k2)
        k4 = advection(half * (half * c + dt * k3))
        return half * (half * (c + dt / 6 * k1) + dt / 3 * (k2 + k3)) + dt / 6 * k4

    c = np.fft.rfft(-np.sin(pi * np.linspace(-1, 1, modes, endpoint=False)))
    rows = [c]
    for _ in range(times - 1):
        for _ in range(substeps):
            c = advanced(c)
        rows.append(c)
    return np.fft.irfft(rows, modes)[:, :: modes // places]


def init(rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    weight = nn.initializers.glorot_normal()
    return [{"w": weight(rng, (m, n)), "b": np.zeros(n, np.float32)} for m, n in pairwise(SIZES)]


def field(params: Any, points: Tensor) -> Tensor:
    """u at points (t, x): float32[N,2] -> float32[N]. Start and boundary hold by construction."""
    t, x = points[:, 0], points[:, 1]
    h = gx.stack([2 * t - 1, x], axis=1)
    for p in params[:-1]:
        h = gx.tanh(nn.linear(h, p["w"], p["b"]))
    h = nn.linear(h, params[-1]["w"], params[-1]["b"])[:, 0]
    return -gx.sin(pi * x) + t * (1 - x**2) * h


def residual(params: Any, points: Tensor) -> Tensor:
    """What is left of the equation at each point. The derivatives by t and x are forward ones: one
    run of the network beside each, however many points there are.
    """

    def u(p: Tensor) -> Tensor:
        return field(params, p)

    along_t, along_x = (gx.broadcast_to(gx.eye(2)[axis], points.shape) for axis in (0, 1))

    def with_slope(p: Tensor) -> Any:
        return gx.jvp(u, (p,), (along_x,))

    (value, u_x), (_, u_xx) = gx.jvp(with_slope, (points,), (along_x,))
    _, u_t = gx.jvp(u, (points,), (along_t,))
    return u_t + value * u_x - VISCOSITY * u_xx


def loss(params: Any, points: Tensor) -> Tensor:
    return gx.mean(residual(params, points) ** 2)


def grid() -> np.ndarray:
    """The points of the comparison, float32[TIMES·PLACES, 2]."""
    t, x = np.linspace(0, 1, TIMES), np.linspace(-1, 1, PLACES, endpoint=False)
    return np.stack(np.meshgrid(t, x, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)


def train(
    steps: int, seed: int, threads: int | None, watch: Callable[[int, float, float], None]
) -> Result:
    """Adam on points that are drawn anew for each step; `watch(step, loss, error)` is told ten
    times of the relative L2 error.
    """
    rng = np.random.default_rng(seed)
    optimizer = optim.adam(optim.cosine_decay_schedule(3e-3, steps))

    def step(state: Any, points: Tensor) -> Any:
        params, opt = state
        value, grads = gx.value_and_grad(loss)(params, points)
        updates, opt = optimizer.update(grads, opt, params)
        return (optim.apply_updates(params, updates), opt), value

    params = init(rng)
    state = params, optimizer.init(params)
    points = np.empty((POINTS, 2), np.float32)
    lowered = gx.trace(step, state, points, donate_argnums=0).lower(threads=threads)
    run = lowered.compile().bind(state, points)
    everywhere = grid()
    evaluate: Any = gx.compile(field, params, everywhere, threads=threads)
    exact = reference().ravel()

    losses, seconds, error = [], [], 0.0
    for k in range(steps):
        points[:] = rng.uniform((0, -1), (1, 1), (POINTS, 2))
        begin = time.perf_counter()
        _, value = run()
        seconds.append(time.perf_counter() - begin)
        losses.append(float(value))
        if (k + 1) % max(1, steps // 10) == 0 or k + 1 == steps:
            distance = np.linalg.norm(evaluate(params, everywhere) - exact)
            error = float(distance / np.linalg.norm(exact))
            watch(k + 1, losses[-1], error)
    return Result(lowered, losses, seconds, error)
