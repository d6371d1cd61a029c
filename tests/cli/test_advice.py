"""`graphc lint`, `explain`, `profile` and `derive`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

WRONG = """
import graphc as gx
from graphc import nn


def traced():
    return gx.trace(lambda x: gx.log(nn.softmax(x)), gx.spec((4, 3)))
"""


def line_of(model: Path, text: str) -> int:
    return next(k for k, row in enumerate(model.read_text().splitlines(), 1) if text in row)


def test_lint(graphc: Command, model: Path, tmp_path: Path) -> None:
    assert graphc("lint", f"{model}:step").status == 0
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG, encoding="utf-8")
    run = graphc("lint", f"{wrong}:traced")
    assert run.status == 1
    assert run.out.startswith("wrong.py:7: ") and "nn.log_softmax" in run.out
    (finding,) = json.loads(graphc("lint", f"{wrong}:traced", "--json").out)["findings"]
    assert finding["rule"] == "log-of-softmax" and finding["line"] == "wrong.py:7"


def test_explain_a_line(graphc: Command, model: Path) -> None:
    line = line_of(model, "loss = gx.mean")
    run = graphc("explain", f"model.py:{line}", f"{model}:step")
    assert run.status == 0
    assert "floating-point work" in run.out and "derivatives: " in run.out
    record = json.loads(graphc("explain", f"{model}:{line}", f"{model}:step", "--json").out)
    assert any("tanh" in text for text in record["forward"])
    assert any("matmul" in text for text in record["backward"])
    assert 0.5 < record["share"] <= 1 and not record["measured"]
    assert record["kept"] and all(h["bytes"] > 0 for h in record["kept"])
    assert {k["phase"] for k in record["kernels"]} >= {"forward"}
    timed = json.loads(
        graphc("explain", f"{model}:{line}", f"{model}:step", "--json", "--time").out
    )
    assert timed["measured"] and 0 < timed["share"] <= 1


@pytest.mark.parametrize(
    ("place", "status", "message"),
    [("model.py", 2, "FILE.py:LINE"), ("model.py:1", 1, "nodes come from its lines"),
     ("other.py:3", 1, "no node comes from other.py")],
)  # fmt: skip
def test_explain_refuses(
    graphc: Command, model: Path, place: str, status: int, message: str
) -> None:
    run = graphc("explain", place, f"{model}:step")
    assert run.status == status and message in run.err


def test_profile(graphc: Command, model: Path, tmp_path: Path) -> None:
    names = ("report.html", "trace.json", "table.csv")
    html, trace, csv = (tmp_path / name for name in names)
    options = ["--runs", 2, "--threads", 1]
    run = graphc(
        "profile", f"{model}:step", *options, "--html", html, "--trace", trace, "--csv", csv
    )
    assert run.status == 0 and "GFLOP/s" in run.out and "limits of 1 threads" in run.out
    events = json.loads(trace.read_text())["traceEvents"]
    assert {e["ph"] for e in events} == {"X", "C"}
    assert all(e["dur"] >= 0 for e in events if e["ph"] == "X")
    assert [e["ts"] for e in events] == sorted(e["ts"] for e in events)
    head, *rows = csv.read_text().splitlines()
    assert head.startswith("kernel,calls,nanoseconds") and len(rows) <= len(events)
    assert '"runs":2' in html.read_text()
    record = json.loads(graphc("profile", f"{model}:step", *options, "--json").out)
    assert record["nanoseconds"] == sum(k["least"] for k in record["kernels"])


def test_derive(graphc: Command, model: Path) -> None:
    run = graphc("derive", f"{model}:step")
    assert run.status == 0 and "def backward(" in run.out and "import numpy as np" in run.out
    compile(run.out, "derived", "exec")
    record = json.loads(graphc("derive", f"{model}:step", "--to", "torch", "--json").out)
    assert "import torch" in record["python"]
