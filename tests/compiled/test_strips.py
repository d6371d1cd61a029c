"""Narrow rows in strips: a loop where it pays, with the bits and the results of none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, tree
from graphc.schedule import program, strips
from graphc.schedule.repeat import Repeat
from tests.compiled.checking import assert_bits, assert_same, check, lowered_anew

rng = np.random.default_rng(0)


def layers(*widths: int) -> list[dict[str, np.ndarray]]:
    return [
        {"w": rng.normal(size=(m, n)).astype("f") / m**0.5, "b": rng.normal(size=n).astype("f")}
        for m, n in pairwise(widths)
    ]


def network(params: Any, x: Any) -> Any:
    for p in params[:-1]:
        x = gx.tanh(x @ p["w"] + p["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def step(loss: Callable[..., Any]) -> Callable[..., Any]:
    def one(params: Any, *batch: Any) -> Any:
        value, *rest = loss(params, *batch)
        grads = gx.grad(value, params)
        return tree.map(lambda p, g: p - 0.1 * g, params, grads), value, rest

    return one


def with_slope(params: Any, x: Any, along: Any) -> tuple[Any, ...]:
    """A view inside of a row, and a derivative inside of a derivative."""
    value, slope = gx.jvp(lambda x: network(params, x)[:, 0], (x,), (along,))
    return (gx.mean((slope + value) ** 2),)


def with_rows_out(params: Any, x: Any, y: Any) -> tuple[Any, ...]:
    """Rows that are results, reductions of rows, and labels."""
    logits = network(params, x)
    losses = nn.softmax_cross_entropy_with_integer_labels(logits, y)
    return gx.mean(losses), gx.exp(logits), gx.max(logits, axis=1)


def normalized(params: Any, x: Any) -> tuple[Any, ...]:
    """All rows meet between two chains of products, forward and backward."""
    h = network(params, x)
    h = (h - gx.mean(h, axis=0)) / (1 + gx.std(h, axis=0))
    return (gx.mean(network(params, h) ** 2),)


def loops(lowered: Any) -> list[Repeat]:
    return [k for k in lowered.program.kernels if isinstance(k, Repeat)]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sums go by strips, but nothing goes into a loop."""

    def without_loops() -> None:
        real = strips.strips

        def split(graph: Any) -> Any:
            found = real(graph)
            return None if found is None else (found[0], found[0])

        lowered_anew(monkeypatch)
        monkeypatch.setattr(program, "strips", split)

    return without_loops


CASES = {
    "slope": (with_slope, layers(2, 20, 20, 20, 1), (2,), (2,)),
    "rows out": (with_rows_out, layers(2, 16, 16, 16, 16, 16, 5), (2,), None),
    "normalized": (normalized, layers(20, 20, 20), (20,)),
}


@pytest.mark.parametrize("name", CASES)
def test_bits_and_results_with_loops_and_without(name: str, plain: Callable[[], None]) -> None:
    loss, params, *shapes = CASES[name]
    rows = 3000
    batch = [
        rng.integers(5, size=rows) if s is None else rng.normal(size=(rows, *s)).astype("f")
        for s in shapes
    ]
    lowered = check(step(loss), params, *batch, threads=(1, 2), tolerance=2e-4)
    (loop,) = loops(lowered)
    assert loop.apart
    assert loop.loop.length == 24
    got = lowered.compile()(params, *batch)
    plain()
    without = gx.trace(step(loss), params, *batch).lower(threads=2)
    assert not loops(without)
    assert lowered.memory.peak_bytes < without.memory.peak_bytes
    assert_bits(got, without.compile()(params, *batch))


def test_results_alone_go_in_strips() -> None:
    params, x = layers(2, 20, 20, 1), rng.normal(size=(4096, 2)).astype("f")
    lowered = gx.trace(lambda p, x: gx.sum(network(p, x) ** 2), params, x).lower(threads=2)
    assert len(loops(lowered)) == 1
    assert_same(lowered.compile()(params, x), lowered.traced.evaluate(params, x), 1e-4)


@pytest.mark.parametrize("rows, width", [(3001, 20), (200, 20), (3000, 80)])
def test_no_loop_where_none_fits(rows: int, width: int) -> None:
    """Rows without a divisor, few rows, wide products."""
    params, x = layers(width, width, width), rng.normal(size=(rows, width)).astype("f")
    assert not loops(gx.trace(step(normalized), params, x).lower(threads=2))


def test_a_result_that_is_a_view_of_a_row_is_stored():
    """One column of what a strip ends with, and nothing else of it."""

    def column(params: Any, x: Any) -> Any:
        return network(params, x)[:, 0]

    lowered = check(column, layers(2, 32, 32, 32, 1), rng.normal(size=(4096, 2)).astype("f"))
    assert any(isinstance(kernel, Repeat) for kernel in lowered.program.kernels)
