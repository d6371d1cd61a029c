"""One training step under everything that may not matter: threads, passes and their order,
debug builds, bound calls, targets. Where the bits are promised they are equal, else nearly.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, optim, tree
from graphc.passes import pipeline
from tests.compiled.checking import assert_bits, assert_same, lowered_anew

rng = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return (rng.normal(size=shape) / shape[0] ** 0.5).astype(np.float32)


OPTIMIZER = optim.adamw(1e-2)
PARAMS = {
    "up": normal(24, 48),
    "down": normal(48, 24),
    "w": normal(24, 4 * 24),
    "out": normal(24, 7),
}
STATE = {"params": PARAMS, "opt": OPTIMIZER.init(PARAMS)}
BATCH, TIME = 24, 16
X = normal(BATCH, TIME, 24)
LABELS = rng.integers(0, 7, (BATCH, TIME)).astype(np.int32)


def loss(p: dict[str, Any], x: Any, labels: Any) -> Any:
    """Attention, a wide layer, a scan, norms: something of every kind of kernel."""
    q, k, v, gate = gx.split(nn.layer_norm(x) @ p["w"], 4, axis=-1)
    heads = [gx.permute_dims(gx.reshape(t, (BATCH, TIME, 2, 12)), (0, 2, 1, 3)) for t in (q, k, v)]
    mixed = gx.permute_dims(nn.attention(*heads, causal=True), (0, 2, 1, 3))
    x = x + gx.reshape(mixed, x.shape) * gx.sigmoid(gate)
    x = x + nn.gelu(nn.rms_norm(x) @ p["up"]) @ p["down"]
    _, ys = gx.scan(lambda c, t: (0.5 * c + gx.tanh(t), c), x[:, 0], gx.permute_dims(x, (1, 0, 2)))
    scores = (x + gx.permute_dims(ys, (1, 0, 2))) @ p["out"]
    return gx.mean(nn.softmax_cross_entropy_with_integer_labels(scores, labels))


def train(state: dict[str, Any], x: Any, labels: Any) -> Any:
    value, gradients = gx.value_and_grad(loss)(state["params"], x, labels)
    updates, opt = OPTIMIZER.update(gradients, state["opt"], state["params"])
    return {"params": optim.apply_updates(state["params"], updates), "opt": opt}, value


def traced() -> Any:
    return gx.trace(train, STATE, X, LABELS, donate_argnums=0)


def fresh() -> Any:
    return tree.map(np.copy, STATE)


def result(lowered: Any, debug: bool = False) -> Any:
    return lowered.compile(debug=debug)(fresh(), X, LABELS)


@pytest.fixture(scope="module")
def usual() -> Any:
    return result(traced().lower(threads=1))


def test_the_reference_agrees(usual: Any) -> None:
    assert_same(usual, traced().evaluate(STATE, X, LABELS), 1e-4)


@pytest.mark.parametrize("threads", [2, 4, pytest.param(3, marks=pytest.mark.slow)])
def test_threads(usual: Any, threads: int) -> None:
    assert_bits(result(traced().lower(threads=threads)), usual)


def test_debug_builds(usual: Any) -> None:
    assert_bits(result(traced().lower(threads=2), debug=True), usual)


def test_bound_calls(usual: Any) -> None:
    state = fresh()
    step = traced().lower(threads=2).compile().bind(state, X, LABELS)
    _, value = step()
    assert_bits((state, value), usual)


def test_calls_again_and_again() -> None:
    """Two processes' worth of steps: nothing is left over from one call for the next."""
    step, state = traced().lower(threads=2).compile(), fresh()
    for _ in range(3):
        state, _ = step(state, X, LABELS)
    other, bound = fresh(), traced().lower(threads=1).compile()
    run = bound.bind(other, X, LABELS)
    for _ in range(3):
        run()
    assert_bits(state, other)


def test_targets(usual: Any) -> None:
    """Without fused multiply-adds products round once more: nearly equal is what is promised."""
    assert_same(result(traced().lower(threads=2, target="generic")), usual, 1e-4)


def _without(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    def change(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(pipeline, "REPEATED", tuple(p for p in pipeline.REPEATED if p[0] != name))

    return change


def _shuffled(seed: int) -> Callable[[pytest.MonkeyPatch], None]:
    def change(patch: pytest.MonkeyPatch) -> None:
        order = list(pipeline.REPEATED)
        random.Random(seed).shuffle(order)
        patch.setattr(pipeline, "REPEATED", tuple(order))

    return change


SLOW = pytest.mark.slow
CHANGES = [
    *[pytest.param(_without(name), id=name, marks=SLOW) for name, *_ in pipeline.REPEATED[1:]],
    pytest.param(_without(pipeline.REPEATED[0][0]), id=pipeline.REPEATED[0][0]),
    pytest.param(_shuffled(1), id="another order"),
    pytest.param(_shuffled(2), id="a third order", marks=SLOW),
]


@pytest.mark.parametrize("change", CHANGES)
def test_passes(
    usual: Any, change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rewriting law keeps values, but a product of constants, for one, is rounded elsewhere."""
    lowered_anew(monkeypatch)
    change(monkeypatch)
    assert_same(result(traced().lower(threads=1)), usual, 1e-5)
