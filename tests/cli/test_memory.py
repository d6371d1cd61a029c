"""`graphc memory`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

DEEP = """
import graphc as gx

B = 8


def train(weights, x):
    h = x
    for w in weights:
        h = gx.tanh(h @ w)
    loss = gx.mean(h * h)
    grads = gx.grad(loss, weights)
    return [w - 0.1 * g for w, g in zip(weights, grads)], loss


def step(depth=16):
    weights = [gx.spec((32, 32)) for _ in range(depth)]
    return gx.trace(train, weights, gx.spec((B, 32)), donate_argnums=0)


def wide():
    weights = [gx.spec((96, 96)) for _ in range(16)]
    return gx.trace(train, weights, gx.spec((4096, 96)), donate_argnums=0)
"""


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    path = tmp_path / "deep.py"
    path.write_text(DEEP, encoding="utf-8")
    return path


def test_it_says_where_bytes_are_and_what_to_change(graphc: Command, deep: Path) -> None:
    run = graphc("memory", f"{deep}:wide", "--threads", 1)
    assert run.status == 0, run.err
    assert "train: an arena of" in run.out
    assert "kept from the forward pass for the backward pass" in run.out
    assert "deep.py:10  h = gx.tanh(h @ w)" in run.out
    assert "15 × h float32[4096,96], operator output: output of tanh (deep.py:10)" in run.out
    assert "what to change first: compute some of what is kept again: memory_budget=" in run.out
    assert len(run.out.splitlines()) < 40


def test_the_advice_is_true(graphc: Command, deep: Path) -> None:
    said = graphc("memory", f"{deep}:wide", "--threads", 1).out
    budget = said.split("memory_budget=")[1].split('"')[1]
    run = graphc("memory", f"{deep}:wide", "--threads", 1, "--budget", budget)
    assert run.status == 0, run.err
    assert f"within {budget}, " in run.out
    assert float(run.out.split("a step takes ")[1].split(" %")[0]) > 0


def test_a_large_state_is_named_first(graphc: Command, deep: Path) -> None:
    assert "what to change first: the state" in graphc("memory", f"{deep}:step").out


def test_a_budget_that_nothing_meets_fails(graphc: Command, deep: Path) -> None:
    run = graphc("memory", f"{deep}:step", "--budget", "1KB")
    assert run.status == 1
    assert "the smallest arena found" in run.err


@pytest.mark.parametrize("vary", ["B", "depth"])
def test_the_largest_that_fits_is_found(graphc: Command, deep: Path, vary: str) -> None:
    options = ("--fit", "300KB", "--vary", vary, "--threads", 1, "--json")
    found = json.loads(graphc("memory", f"{deep}:step", *options).out)
    assert found["total_bytes"] <= 300_000
    assert found["largest"] > 16
    less = json.loads(graphc("memory", f"{deep}:step", "--fit", found["total_bytes"] - 1,
                             *options[2:]).out)  # fmt: skip
    assert less["largest"] < found["largest"]


def test_options_that_make_no_sense_are_usage_errors(graphc: Command, deep: Path) -> None:
    for options in (["--fit", "1MB"], ["--fit", "1MB", "--vary", "Q"]):
        assert graphc("memory", f"{deep}:step", *options).status == 2
    assert graphc("memory", f"{deep}:step", "--fit", "1KB", "--vary", "B").status == 1


def test_json_and_csv(graphc: Command, deep: Path, tmp_path: Path) -> None:
    csv = tmp_path / "plan.csv"
    run = graphc("memory", f"{deep}:step", "--json", "--csv", csv)
    record = json.loads(run.out)
    assert record["peak_bytes"] == sum(record["at_peak"].values())
    assert len(csv.read_text().splitlines()) == len(record["allocations"]) + 1
