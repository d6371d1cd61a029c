"""Every rule fires where it should and is silent where it should be."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, optim
from graphc.lint import RULES, lint
from tests.inspect import subjects

X = gx.spec((4, 3))
V = gx.spec((4,))
LABELS = np.array([0, 1, 2, 1])


def gradient(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def both(x: Any) -> Any:
        y = f(x)
        return y, gx.grad(y, x)

    return both


def unused(p: Any) -> Any:
    return gx.grad(gx.sum(p["a"] ** 2), p)


def used(p: Any) -> Any:
    return gx.grad(gx.sum(p["a"] * p["b"]), p)


PAIR = {"a": V, "b": V}
KEY = gx.spec((2,), "uint32")

#: Rule, a program with the mistake and one without, and the arguments of both.
CASES: tuple[tuple[str, Callable[..., Any], Callable[..., Any], tuple[Any, ...]], ...] = (
    ("log-of-softmax", lambda x: gx.log(nn.softmax(x)), lambda x: nn.log_softmax(x), (X,)),
    (
        "log-of-softmax",
        lambda x: gx.log(gx.exp(x) / gx.sum(gx.exp(x), axis=-1, keepdims=True)),
        lambda x: gx.log(gx.exp(x) + 1.0),
        (X,),
    ),
    (
        "log-of-sum-of-exp",
        lambda x: gx.log(gx.sum(gx.exp(x), axis=1)),
        lambda x: gx.logsumexp(x, axis=1),
        (X,),
    ),
    ("softmax-over-batch", lambda x: nn.softmax(x, axis=0), lambda x: nn.softmax(x), (X,)),
    (
        "outer-difference",
        lambda p, y: gx.mean((p - y) ** 2),
        lambda p, y: gx.mean((p[:, 0] - y) ** 2),
        (gx.spec((4, 1)), V),
    ),
    (
        "outer-difference",
        lambda p, y: gx.mean((p - y) ** 2),
        # All pairwise distances of one array are wanted.
        lambda p, y: gx.mean((y[:, None] - y) ** 2),
        (gx.spec((4, 1)), V),
    ),
    (
        "label-out-of-range",
        lambda x: nn.softmax_cross_entropy_with_integer_labels(x, LABELS + 1),
        lambda x: nn.softmax_cross_entropy_with_integer_labels(x, LABELS),
        (X,),
    ),
    (
        "accidental-float64",
        lambda x: x * np.linspace(0, 1, 3),
        lambda x: x * np.linspace(0, 1, 3, dtype=np.float32) * 2.5,
        (X,),
    ),
    ("disconnected-gradient", unused, used, (PAIR,)),
    (
        "infinite-gradient",
        gradient(lambda x: gx.sum(gx.where(x > 0, gx.log(x), 0.0))),
        gradient(lambda x: gx.sum(gx.where(x > 0, gx.log(gx.where(x > 0, x, 1.0)), 0.0))),
        (X,),
    ),
    (
        "root-at-zero",
        gradient(lambda x: gx.sqrt(gx.sum(x * x))),
        gradient(lambda x: gx.sqrt(gx.sum(x * x) + 1e-6)),
        (X,),
    ),
    (
        "variance-of-one",
        lambda x: gx.var(x[:, :1], axis=1),
        lambda x: gx.var(x, axis=1),
        (X,),
    ),
    (
        "variance-of-one",
        lambda x: gx.var(x[:1], axis=0, correction=1),
        lambda x: gx.var(x, axis=0, correction=1),
        (X,),
    ),
    (
        "dropout-at-inference",
        lambda x, key: nn.dropout(x, 0.5, key),
        lambda x, key: nn.dropout(x, 0.5, key, training=False),
        (X, KEY),
    ),
    (
        "dropout-at-inference",
        lambda x, key: nn.dropout(x, 0.5, key),
        lambda x, key: gx.grad(gx.sum(nn.dropout(x, 0.5, key) ** 2), x),
        (X, KEY),
    ),
)


def rules(program: Callable[..., Any], arguments: tuple[Any, ...]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [f.rule for f in lint(gx.trace(program, *arguments))]


@pytest.mark.parametrize("case", CASES, ids=[f"{k}-{case[0]}" for k, case in enumerate(CASES)])
def test_a_rule_fires_and_is_silent(case: Any) -> None:
    rule, wrong, right, arguments = case
    assert rules(wrong, arguments) == [rule]
    assert rules(right, arguments) == []


def test_every_rule_has_a_case() -> None:
    assert {r.__name__.replace("_", "-") for r in RULES} == {case[0] for case in CASES}


def test_a_finding_says_line_cause_and_remedy() -> None:
    (finding,) = lint(gx.trace(lambda x: gx.log(nn.softmax(x)), X))
    assert finding.line.startswith("test_rules.py:") and Path(finding.path) == Path(__file__)
    assert "underflows" in finding.cause and "log_softmax" in finding.remedy
    assert str(finding).startswith(finding.line)


def test_models_without_mistakes_get_none() -> None:
    assert lint(subjects.traced()) == []

    def classify(params: Any, x: Any, y: Any, key: Any) -> Any:
        h = nn.dropout(nn.relu(x @ params["w"]), 0.1, key)
        h = nn.layer_norm(h)
        logits = nn.attention(h[None, None], h[None, None], h[None, None])[0, 0]
        loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, y))
        grads = gx.grad(loss, params)
        optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-3))
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return optim.apply_updates(params, updates), loss

    arguments = {"w": gx.spec((3, 5))}, X, gx.spec((4,), "int32"), KEY
    assert lint(gx.trace(classify, *arguments, donate_argnums=0)) == []
