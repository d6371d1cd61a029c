"""What is told of the kernels inside of a loop."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import graphc as gx
from graphc.build.machine import Limits
from graphc.compiled import Compiled
from graphc.inspect.explanation import Explanation, explain
from graphc.inspect.plan import kernel_phases


def loss(w: Any, rows: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = gx.tanh(h @ w["recurrent"] + row)
        return h, gx.sum(h * h)

    start = gx.zeros((6, 16))
    _, sums = gx.scan(step, start, rows @ w["in"])
    return gx.mean(sums)


def train(w: Any, rows: Any) -> Any:
    value, slopes = gx.value_and_grad(loss)(w, rows)
    return gx.tree.map(lambda p, g: p - 0.1 * g, w, slopes), value


def arguments() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    w = {"recurrent": rng.standard_normal((16, 16)) / 4, "in": rng.standard_normal((5, 16)) / 2}
    given = rng.standard_normal((9, 6, 5))
    return {k: v.astype(np.float32) for k, v in w.items()}, given.astype(np.float32)


@pytest.fixture(scope="module")
def compiled() -> Compiled[..., Any]:
    return gx.trace(train, *arguments(), donate_argnums=0).lower(threads=2).compile()


def line(text: str) -> int:
    """The line of this file that holds a text first."""
    rows = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(k for k, row in enumerate(rows, 1) if text in row)


def told(compiled: Compiled[..., Any], at: int) -> Explanation:
    lowered = compiled.lowered
    names = [k.name for k in lowered.kernels]
    phases = [p.value for p in kernel_phases(lowered.program)]
    graph = lowered.traced.graph
    return explain(graph, lowered.program, names, phases, None, Path(__file__).name, at)


def test_a_loop_names_its_kernels_and_their_lines(compiled: Compiled[..., Any]) -> None:
    lowered = compiled.lowered
    loops = [k for k in lowered.kernels if k.parts]
    assert len(loops) == 2  # forward and backward
    body = f"test_loops.py:{line('gx.tanh(h @')}"
    for loop in loops:
        assert body in loop.sources
        assert sum(p.flops for p in loop.parts) == loop.flops
        for part in loop.parts:
            assert part.turns == 9 and f"{part.calls} × {part.kernel.name}" in lowered.as_text()
    assert any(body in p.sources for k in loops for p in k.parts)


def test_work_is_counted_inside_of_loops(compiled: Compiled[..., Any]) -> None:
    record = json.loads(json.dumps(compiled.lowered.record()))
    schema = json.loads((files("graphc.inspect") / "schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(record)
    flops = record["summary"]["flops"]
    assert sum(flops.values()) == compiled.lowered.cost_analysis()["flops"]
    assert flops["backward"] > flops["forward"] >= 9 * 2 * 6 * 16 * 16
    # The gradient is that of a function's arguments, and by the step's.
    assert record["summary"]["parameters"] == 16 * 16 + 5 * 16
    for kernel in record["kernels"]:
        if kernel["work"] is not None:
            assert sum(row[5] for row in kernel["work"]) >= kernel["flops"]
            assert all(p["share"] is None for p in kernel["parts"])


def test_times_inside_of_loops_are_parts_of_theirs(
    compiled: Compiled[..., Any], tmp_path: Path
) -> None:
    profile = compiled.profile(*arguments(), runs=3, limits=Limits(2, 50.0, 10.0))
    loops = [row for row in profile.rows if row.kernel.parts]
    assert len(loops) == 2
    for row in loops:
        assert [p.part for p in row.parts] == list(row.kernel.parts)
        assert sum(p.share for p in row.parts) == pytest.approx(1)
        assert all(p.share > 0 for p in row.parts)
    table = str(profile)
    rows = list(csv.DictReader(io.StringIO(profile.to_csv())))
    for row in loops:
        inside = [r for r in rows if r["kernel"].startswith(row.kernel.name + "/")]
        assert sum(float(r["nanoseconds"]) for r in inside) == pytest.approx(row.least)
        assert all(r["of_limit"] == "" for r in inside)
        longest = max(row.parts, key=lambda p: p.share).part.kernel.name
        assert f"\n  {longest} " in table
    profile.to_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    parts = [e for e in events if e.get("cat") == "part"]
    spans = {e["name"]: e for e in events if e.get("cat") == "kernel"}
    ends = [(spans[r.kernel.name]["ts"], spans[r.kernel.name]["dur"]) for r in loops]
    assert len(parts) == sum(len(r.parts) for r in loops)
    for e in parts:
        assert any(a <= e["ts"] and e["ts"] + e["dur"] <= a + d + 1e-6 for a, d in ends)


def test_a_line_inside_of_a_loop_is_explained(compiled: Compiled[..., Any]) -> None:
    found = told(compiled, line("gx.tanh(h @"))
    assert any("tanh" in text for text in found.forward)
    assert any("matmul" in text for text in found.backward)
    assert {k.phase for k in found.kernels} == {"forward", "backward"}
    assert 0.5 < found.share < 1


def test_gradients_by_a_functions_arguments_are_called_after_them(
    compiled: Compiled[..., Any],
) -> None:
    graph = compiled.lowered.stages[-2].graph
    assert {"d_in", "d_recurrent"} <= set(graph.to_python().split())
