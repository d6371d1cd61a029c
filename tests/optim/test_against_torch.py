"""Twenty steps of a small network, forward, backward and update, compiled, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, optim

torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")

STEPS = 20
#: Ours and PyTorch's, where both define the same update.
CASES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "sgd": (lambda: optim.sgd(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (
        lambda: optim.sgd(0.05, momentum=0.9),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    ),
    "nesterov": (
        lambda: optim.sgd(0.05, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (lambda: optim.adam(1e-2), lambda p: torch.optim.Adam(p, 1e-2)),
    "adamw": (
        lambda: optim.adamw(1e-2, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1),
    ),
    "rmsprop": (
        lambda: optim.rmsprop(1e-2, decay=0.99, eps_in_sqrt=False, momentum=0.9),
        lambda p: torch.optim.RMSprop(p, 1e-2, momentum=0.9),
    ),
}


def data(dtype: str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    params = {
        "w1": rng.standard_normal((6, 8)) / 2,
        "b1": rng.standard_normal(8) / 2,
        "scale": rng.uniform(0.5, 1.5, 8),
        "shift": rng.standard_normal(8) / 2,
        "w2": rng.standard_normal((8, 4)) / 2,
    }
    x = rng.standard_normal((16, 6)).astype(dtype)
    return {k: v.astype(dtype) for k, v in params.items()}, x, rng.integers(0, 4, 16)


def ours(optimizer: Any, dtype: str) -> dict[str, np.ndarray]:
    params, x, y = data(dtype)

    def step(params: Any, state: Any) -> Any:
        hidden = nn.layer_norm(gx.tanh(x @ params["w1"] + params["b1"]), params["scale"])
        logits = (hidden + params["shift"]) @ params["w2"]
        loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, y))
        updates, state = optimizer.update(gx.grad(loss, params), state, params)
        return optim.apply_updates(params, updates), state

    state = optimizer.init(params)
    compiled = gx.compile(step, params, state, donate_argnums=(0, 1))
    for _ in range(STEPS):
        params, state = compiled(params, state)
    return params


def theirs(make: Callable[[Any], Any], dtype: str) -> dict[str, np.ndarray]:
    start, x, y = data(dtype)
    params = {k: torch.tensor(v, requires_grad=True) for k, v in start.items()}
    inputs, labels = torch.tensor(x), torch.tensor(y)
    optimizer = make(list(params.values()))
    for _ in range(STEPS):
        hidden = torch.tanh(inputs @ params["w1"] + params["b1"])
        normal = torch.nn.functional.layer_norm(hidden, (8,), params["scale"], params["shift"])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(normal @ params["w2"], labels).backward()
        optimizer.step()
    return {k: v.detach().numpy() for k, v in params.items()}


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("name", CASES)
def test_twenty_steps(name: str, dtype: str, tolerance: float) -> None:
    optimizer, make = CASES[name]
    want = theirs(make, dtype)
    for key, found in ours(optimizer(), dtype).items():
        np.testing.assert_allclose(found, want[key], rtol=tolerance, atol=tolerance, err_msg=key)
