"""Commands run in this process, through the function that the installed script calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from graphc import cli

STEP = """
import numpy as np
import graphc as gx
from graphc import nn, optim

optimizer = optim.sgd(0.1)


def train(params, x, y):
    loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(gx.tanh(x @ params["w"]), y))
    updates, _ = optimizer.update(gx.grad(loss, params), optimizer.init(params), params)
    return optim.apply_updates(params, updates), loss


def step():
    params = {"w": gx.spec((8, 4))}
    return gx.trace(train, params, gx.spec((16, 8)), gx.spec((16,), "int32"), donate_argnums=0)


traced = step()
number = 3


def broken():
    return gx.trace(lambda x, y: x @ y, gx.spec((3, 4)), gx.spec((3, 4)))
"""


@dataclass
class Run:
    status: int
    out: str
    err: str


@pytest.fixture
def graphc(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    def run(*args: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["graphc", *map(str, args)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        captured = capsys.readouterr()
        return Run(status, captured.out, captured.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(STEP, encoding="utf-8")
    return path
