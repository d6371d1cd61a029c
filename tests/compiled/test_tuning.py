"""`tune=True`: what was measured is used and remembered, and no bit depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, stages, tuning
from graphc.schedule.kernel import MODEL
from graphc.schedule.product import Product
from tests.compiled.checking import lowered_anew


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))


class Clock:
    """Stands for the measurement: in round `fastest` all kernels are a hundred times as fast."""

    def __init__(self, fastest: int):
        self.fastest, self.calls = fastest, 0

    def __call__(self, lowered: Any, args: Sequence[Any], runs: int) -> list[list[int]]:
        kernels = lowered.program.kernels
        used = {k.choices.get(k.identity, 0) for k in kernels if len(k.candidates) > 1}
        self.calls += 1
        return [[10 if max(used) == self.fastest else 1000] * len(kernels)] * runs


def step(images: Any, filters: Any, x: Any, w: Any) -> Any:
    kept = gx.mean(nn.conv2d(images, filters, layout="NHWC"), axis=(0, 1, 2))
    last, _ = gx.scan(lambda h, _: (gx.tanh(h @ w), None), x, None, length=2)
    loss = gx.sum(nn.relu(x @ w) ** 2) + gx.sum(kept**2) + gx.sum(last)
    return loss, *gx.grad(loss, (filters, w))


def arguments() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = (3, 12, 12, 4), (3, 3, 4, 9), (70, 37), (37, 37)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def test_the_winner_is_used_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    args = arguments()
    traced = gx.trace(step, *args)
    clock = Clock(fastest=1)
    monkeypatch.setattr(stages, "kernel_times", clock)
    plain, tuned = traced.lower(threads=2), traced.lower(threads=2, tune=True)
    assert clock.calls > 2 and plain.program is traced.lower(threads=2).program
    for before, after in zip(plain.program.kernels, tuned.program.kernels, strict=True):
        if isinstance(before, Product):
            assert before.tiling == before.candidates[0]
            assert after.tiling == before.candidates[1]
    measured = clock.calls
    again = gx.trace(step, *args).lower(threads=2, tune=True)
    assert clock.calls == measured and again.c_source == tuned.c_source != plain.c_source
    gx.trace(step, *args).lower(threads=2, target="generic", tune=True)
    assert clock.calls > measured


def test_all_candidates_give_the_same_bits() -> None:
    args = arguments()
    traced = gx.trace(step, *args)
    expected = traced.lower(threads=2).compile()(*args)
    counts = tuning._counts(traced.lower(threads=2).program)
    assert max(counts.values()) > 3
    for number in range(1, max(counts.values())):
        choices = {identity: number for identity, count in counts.items() if number < count}

        def chosen(*_: Any, choices: Any = choices) -> Any:
            return choices

        with pytest.MonkeyPatch.context() as patch:
            lowered_anew(patch)
            patch.setattr(stages, "measured_choices", chosen)
            found = traced.lower(threads=2, tune=True).compile()(*args)
        for have, want in zip(found, expected, strict=True):
            np.testing.assert_array_equal(have, want)


def test_a_measurement_of_real_kernels_ends() -> None:
    x, w = np.ones((64, 48), np.float32), np.ones((48, 32), np.float32)
    traced = gx.trace(lambda x, w: x @ w, x, w)
    tuned = traced.lower(threads=1, tune=True)
    np.testing.assert_array_equal(tuned.compile()(x, w), np.full((64, 32), 48, np.float32))


def test_nothing_is_measured_where_nothing_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(fastest=0)
    monkeypatch.setattr(stages, "kernel_times", clock)
    traced = gx.trace(lambda x: x + 1, gx.spec((5,)))
    assert traced.lower(tune=True).program is traced.lower().program and not clock.calls
    assert MODEL == {}
