"""The report's data: complete, consistent with the plan, under its schema."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import graphc as gx
from graphc.build.machine import Limits, model
from graphc.inspect.page import inert, page
from graphc.ir.names import value_names
from graphc.passes.pipeline import optimize
from graphc.profile import summarize
from graphc.schedule.traffic import bounds, predicted
from tests.inspect.subjects import HOSTILE, traced


@pytest.fixture(scope="module")
def lowered() -> Any:
    return traced().lower(threads=1)


@pytest.fixture(scope="module")
def record(lowered: Any) -> Any:
    return json.loads(json.dumps(lowered.record()))


def test_it_is_what_the_schema_says(record: Any) -> None:
    schema = json.loads((files("graphc.inspect") / "schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(record)


def test_every_stage_holds_its_nodes_once_in_the_picture(lowered: Any, record: Any) -> None:
    graph = record["graph"]
    for stage, kept in zip(graph["stages"], lowered.stages, strict=True):
        if stage["nodes"] is None:
            continue
        assert len(stage["nodes"]) == len(kept.graph) == stage["picture"][0]["size"]
        shown = [m for g in stage["picture"] for m in g["members"] if m >= 0]
        assert sorted(shown) == sorted(stage["nodes"])
        inner = [-1 - m for g in stage["picture"] for m in g["members"] if m < 0]
        assert sorted(inner) == list(range(1, len(stage["picture"])))
        for group in stage["picture"]:
            layout = graph["layouts"][group["layout"]]
            assert len(layout["xy"]) == 2 * len(group["members"]) <= 2 * 36


def test_a_loop_shows_its_rounds(record: Any) -> None:
    labels = [g["label"] for g in record["graph"]["stages"][0]["picture"]]
    assert {"block", "block (2)", "block (3)", "forward", "backward", "update"} <= set(labels)


def test_changes_explain_every_node_that_comes_or_goes(record: Any) -> None:
    stages = record["graph"]["stages"]
    before: set[int] = set(stages[0]["nodes"])
    merged = 0
    for stage in stages[1:]:
        if stage["nodes"] is None:
            continue
        after, changes = set(stage["nodes"]), stage["changes"]
        gone = [old for kind in ("merged", "rewritten") for old, _ in changes[kind]]
        assert sorted(gone + changes["dropped"]) == sorted(before - after)
        new = {now for _, now in changes["rewritten"]} | set(changes["made"])
        assert new >= after - before
        merged += len(changes["merged"])
        for old, now in changes["merged"]:
            assert record["graph"]["nodes"]["op"][old] == record["graph"]["nodes"]["op"][now]
        before = after
    assert merged > 10


def test_kernels_are_told_in_the_users_words(record: Any) -> None:
    formulas = [line for k in record["kernels"] for line in k["formulas"]]
    assert any("@ in" in f or "@ state0_in" in f for f in formulas)
    assert any(f.startswith("d_") for f in formulas)
    places = {tuple(p) for k in record["kernels"] for p in k["calls"]}
    (number,) = [k for k, f in enumerate(record["files"]) if f["name"] == "subjects.py"]
    text = {
        run["first"] + i: line
        for run in record["files"][number]["runs"]
        for i, line in enumerate(run["lines"])
    }
    assert any("nn.gelu" in text[line] for f, line in places if f == number)


def test_buffers_are_those_of_the_plan(lowered: Any, record: Any) -> None:
    buffers = record["memory"]["buffers"]
    assert len(buffers) == len(lowered.memory.allocations)
    steps = len(record["kernels"])
    live = [sum(b["room"] for b in buffers if b["first"] <= t < b["last"]) for t in range(steps)]
    assert max(live) == lowered.memory.max_live_bytes
    assert max(b["offset"] + b["room"] for b in buffers) == lowered.memory.peak_bytes
    for b in buffers:
        assert all(b["first"] <= k < b["last"] for k in b["readers"])


def test_the_ledger_calls_values_as_the_picture_of_the_arena_does(record: Any) -> None:
    memory = record["memory"]
    shown = {name for b in memory["buffers"] for name in b["name"].split(", ")}
    ledger = [row["name"] for row in memory["ledger"]]
    assert ledger and len(set(ledger)) == len(ledger) and set(ledger) <= shown
    names = {name for row in record["graph"]["nodes"]["name"] for name in row.split(", ")}
    assert set(ledger) <= names


def test_a_value_has_one_name_in_every_view(lowered: Any, record: Any) -> None:
    """Printed at every stage, in kernels' formulas, the arena, the ledger and what is derived."""
    graphs = [stage.graph for stage in lowered.stages]
    called: dict[Any, str] = {}
    for graph in graphs:
        names = value_names(graph)
        assert len(set(names.values())) == len(names)
        for value, name in names.items():
            origin = value.node.meta, value.index
            assert called.setdefault(origin, name) == name
            assert f"{name}: {value.type}" in str(graph)
    shown = {name for row in record["graph"]["nodes"]["name"] for name in row.split(", ")}
    last = set(value_names(graphs[-1]).values())
    memory = record["memory"]
    arrays = {name for k in record["kernels"] for name, _ in [*k["reads"], *k["writes"]]}
    held = {n for b in memory["buffers"] for n in b["name"].split(", ")} - {"workspace"}
    assert arrays <= last and held <= last <= shown
    assert {row["name"] for row in memory["ledger"]} <= last
    text = graphs[-1].to_python()
    generated = {name for name in last if name.startswith("v") and f"    {name} = " in text}
    assert len(generated) > 50
    # A law that finds another way to compute a value leaves it its name.
    written, end = value_names(graphs[0]), value_names(graphs[-1])
    assert {n for v, n in written.items() if v.node.op.name == "divide"} & {
        n for v, n in end.items() if v.node.op.name == "multiply"
    }


def test_lines_of_merged_nodes_lead_to_the_kernel_that_serves_them() -> None:
    x = gx.input("x", (4, 4))
    first = gx.sum(gx.tanh(x @ x))
    second = gx.mean(gx.tanh(x @ x))
    graph = gx.Graph.from_outputs([first, second])
    kernels = gx.trace(both, np.ones((4, 4), np.float32)).lower(threads=1).kernels
    (product,) = [k for k in kernels if any(n.op.name == "matmul" for n in k.nodes)]
    line = both.__code__.co_firstlineno
    assert {f"test_record.py:{line + k}" for k in (1, 2)} <= set(product.sources)
    (node,) = {n for n in optimize(graph)[-1].graph.nodes if n.op.name == "tanh"}
    assert len(node.meta.sites()) == 2 and len(node.meta.family()) == 2


def both(x: Any) -> Any:
    first = gx.sum(gx.tanh(x @ x))
    second = gx.mean(gx.tanh(x @ x))
    return first, second


def test_no_kernel_is_below_what_the_limits_allow(lowered: Any) -> None:
    machine = model(Limits(1, 50.0, 10.0), 1)
    least = bounds(lowered.program, machine, 50.0)
    assert all(a > 0 for a, k in zip(least, lowered.kernels, strict=True) if k.flops)
    assert all(a < b for a, b in zip(least, predicted(lowered.program, machine), strict=True))
    far = bounds(lowered.program, replace(machine, second_cache=0, last_cache=0), 50.0)
    assert sum(far) > sum(least)


def test_the_trace_holds_kernels_and_live_bytes(lowered: Any, tmp_path: Path) -> None:
    count = len(lowered.kernels)
    limits = Limits(1, 50.0, 10.0)
    times = [[1000] * count]
    live = lowered.memory.timeline
    profile = summarize(lowered.kernels, times, [[]] * count, limits, lowered.program, live)
    profile.to_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    counters = [e for e in events if e["ph"] == "C"]
    assert [e["name"] for e in spans] == [k.name for k in lowered.kernels]
    assert [e["ts"] for e in counters] == [e["ts"] for e in spans]
    assert max(sum(e["args"].values()) for e in counters) == lowered.memory.max_live_bytes


def test_flops_are_counted_by_phase(lowered: Any, record: Any) -> None:
    flops = record["summary"]["flops"]
    assert sum(flops.values()) == lowered.cost_analysis()["flops"]
    assert flops["backward"] > flops["forward"] > 100_000 and flops["update"] > 0
    assert record["summary"]["parameters"] == 12 * 16 + 3 * 2 * 16 * 64 + 16 * 5


def test_the_page_holds_its_data_and_refers_to_nothing(record: Any) -> None:
    text = page(record)
    assert HOSTILE not in text and text.count("</script>") == len(record) + 1
    assert "http://" not in text and "https://" not in text
    for name, part in record.items():
        begin = text.index(f'id="data-{name}">') + len(f'id="data-{name}">')
        assert json.loads(text[begin : text.index("</script>", begin)]) == part
    names = record["graph"]["nodes"]["name"]
    assert HOSTILE in names


def test_inert_json_can_begin_no_tag() -> None:
    assert json.loads(inert({"a": "<b>&\u2028\ud800"})) == {"a": "<b>&\u2028\ud800"}
    assert not set("<>&") & set(inert([HOSTILE]))
    with pytest.raises(ValueError, match="not JSON compliant"):
        inert(float("nan"))
