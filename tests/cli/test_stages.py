"""`graphc inspect`, `compile` and `verify`."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphc import ops
from graphc.codegen import unit
from graphc.commands import target, verification
from graphc.ir.graph import Graph, Node, Value, standing_in_for
from graphc.ops.trigonometric import Tanh
from graphc.passes import pipeline
from graphc.passes.pipeline import Stage

Command = Callable[..., Any]


@pytest.mark.parametrize("name", ["step", "traced"])
def test_inspect_prints_the_kernels(graphc: Command, model: Path, name: str) -> None:
    run = graphc("inspect", f"{model}:{name}")
    assert run.status == 0
    assert "matmul" in run.out and "model.py:10" in run.out


def test_inspect_finds_modules(
    graphc: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    assert graphc("inspect", "model:step").out == graphc("inspect", "model.py:step").out


def test_inspect_prints_a_stage(graphc: Command, model: Path) -> None:
    run = graphc("inspect", f"{model}:step", "--stage", "written")
    assert run.status == 0
    assert "softmax" not in run.out and "return loss" in run.out


def test_inspect_in_json(graphc: Command, model: Path) -> None:
    record = json.loads(graphc("inspect", f"{model}:step", "--json").out)
    assert record["summary"]["step"] == "train" and record["memory"]["figures"]["peak_bytes"] > 0
    assert sum(k["flops"] for k in record["kernels"]) >= 3 * 2 * 16 * 8 * 4 * 2 / 3
    stages = [stage["name"] for stage in record["graph"]["stages"]]
    for stage, count in zip(stages, record["summary"]["nodes"], strict=True):
        graph = json.loads(graphc("inspect", f"{model}:step", "--stage", stage, "--json").out)
        assert len(graph["nodes"]) == count
        for k, node in enumerate(graph["nodes"]):
            assert all(operand < k for operand, _ in node["operands"])


def test_inspect_shows_one_kernel(graphc: Command, model: Path) -> None:
    first = json.loads(graphc("inspect", f"{model}:step", "--kernel", 0, "--json").out)
    assert first["formulas"] and f"static void {first['name']}(" in first["c"]
    run = graphc("inspect", f"{model}:step", "--kernel", first["name"])
    assert run.status == 0 and first["formulas"][0] in run.out and "static void" in run.out
    assert graphc("inspect", f"{model}:step", "--kernel", "k99").status == 2


def test_inspect_writes_html(graphc: Command, model: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert graphc("inspect", f"{model}:step", "--html", page).status == 0
    assert page.read_text().startswith("<!doctype html>")


def test_compile_writes_c_that_a_compiler_accepts(
    graphc: Command, model: Path, tmp_path: Path
) -> None:
    run = graphc("compile", f"{model}:step", "-o", tmp_path / "out", "--json")
    assert run.status == 0
    files = {path.name: path for path in map(Path, json.loads(run.out)["files"])}
    assert {"step.c", "step.h", "selftest.c", "Makefile", "manifest.json"} <= files.keys()
    from graphc.build.toolchain import find

    flags = find().flags("native")
    sources = {files["step.c"]: (), files["selftest.c"]: ()}
    find().compile(sources, tmp_path / "selftest", flags, shared=False)
    subprocess.run([tmp_path / "selftest"], check=True)
    other = graphc("compile", f"{model}:step", "-o", tmp_path / "out", "--name", "a b")
    assert other.status == 1 and "identifier" in other.err
    package = graphc("compile", f"{model}:step", "-o", tmp_path / "package", "--form", "cffi")
    assert package.status == 0 and (tmp_path / "package" / "setup.py").is_file()
    assert graphc("compile", f"{model}:step", "-o", tmp_path, "--form", "rust").status == 1


def test_verify_agrees(graphc: Command, model: Path) -> None:
    run = graphc("verify", f"{model}:step")
    assert run.status == 0 and "2 results agree" in run.out
    record = json.loads(graphc("verify", f"{model}:step", "--json").out)
    assert record["ok"] and len(record["results"]) == 4


def test_verify_names_the_node_that_a_pass_replaced(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(graph: Graph) -> Graph:
        def rewrite(node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
            if node.op.name != "pick":
                return None
            with standing_in_for(node):
                return [ops.add(ops.pick(*inputs), 0.5)]

        return graph.map(rewrite)

    monkeypatch.setattr(pipeline, "ONCE", (("planted", wrong), *pipeline.ONCE))
    cause = verification.verify(target.load_target(f"{model}:step"), 0, 1).cause
    (picked,) = re.findall(r"the pass 'planted' is the first that changes a value: (.*)", cause)
    assert " = add(" in picked and "model.py:10" in picked


def test_verify_finds_a_pass_that_changes_values(
    graphc: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(found: tuple[Stage, ...]) -> tuple[Stage, ...]:
        """A pass that returns an input in the place of a result of the same type."""
        last = found[-1].graph
        outputs = tuple(
            last.inputs[0] if v.type == last.inputs[0].type else v for v in last.outputs
        )
        changed = Graph(last.inputs, outputs, last.output_names, {})
        return (*found, Stage("wrong", changed))

    traced = target.load_target(f"{model}:step")
    object.__setattr__(traced.signature, "donated", ())
    undonated = Graph(traced.graph.inputs, traced.graph.outputs, traced.graph.output_names, {})
    object.__setattr__(traced, "graph", undonated)
    assert verification.verify(traced, 0, 1).ok
    traced.searches.clear()
    traced.__dict__["stages"] = wrong(traced.stages)
    verdict = verification.verify(traced, 0, 1)
    assert not verdict.ok and "'wrong'" in verdict.cause
    assert "w: float32[8,4] = input" in verdict.cause
    monkeypatch.setattr(target, "load_target", lambda name: traced)
    monkeypatch.setattr("graphc.commands.stages.load_target", lambda name: traced)
    run = graphc("verify", "any:step")
    assert run.status == 1 and 'result[0]["w"]: differs' in run.out


def test_verify_names_the_node_that_a_pass_changes(model: Path) -> None:
    traced = target.load_target(f"{model}:step")
    last = traced.stages[-1].graph

    def forget(node: Node, inputs: tuple[Value, ...]) -> Any:
        return inputs if isinstance(node.op, Tanh) else None

    forgetful = last.map(forget)
    traced.__dict__["stages"] = (*traced.stages, Stage("forgetful", forgetful))
    verdict = verification.verify(traced, 0, 1)
    assert not verdict.ok and "the pass 'forgetful'" in verdict.cause
    # The first node that reads what was tanh.
    assert "max(" in verdict.cause and "model.py:10" in verdict.cause


def test_verify_names_the_kernel_and_the_node_of_wrong_c(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = unit.generate

    def wrong(program: Any) -> Any:
        found = honest(program)
        for name, text in found.functions.items():
            found.functions[name] = text.replace("gx_tanh_f32(", "gx_sin_f32(")
        return found

    monkeypatch.setattr(unit, "generate", wrong)
    verdict = verification.verify(target.load_target(f"{model}:step"), 0, 1)
    assert not verdict.ok and "whose C is wrong" in verdict.cause
    assert "= tanh(" in verdict.cause and "tanh" in verdict.cause.partition(", is the first")[0]
    assert "model.py:10" in verdict.cause


def test_results_are_compared_with_their_not_finite_elements() -> None:
    import numpy as np

    nan, inf = np.float32(np.nan), np.float32(np.inf)
    error = verification._error
    assert error(np.array([1, nan]), np.array([1, nan])) == 0
    assert error(np.array([1, nan]), np.array([1, 1.0])) == inf
    assert error(np.array([1, inf]), np.array([1, -inf])) == inf
    assert error(np.array([1.0, 2.0]), np.array([1.0, inf])) == inf
    assert error(np.array([1.0, 2.0]), np.array([1.0, 2.5])) == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}"], "FILE.py:NAME"),
        (["{model}:absent"], "has no 'absent'"),
        (["absent.py:step"], "there is no file"),
        (["absent.module:step"], "there is no module"),
        (["{model}:step", "--stage", "absent"], "there is no stage"),
        (["{model}:step", "--absent"], "--absent"),
        ([], "TARGET"),
    ],
)
def test_usage_errors_have_status_2(
    graphc: Command, model: Path, arguments: list[str], message: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run = graphc("inspect", *[a.format(model=model) for a in arguments])
    assert run.status == 2
    assert message in " ".join(run.err.split())


def test_what_is_no_step_fails(graphc: Command, model: Path) -> None:
    run = graphc("inspect", f"{model}:number")
    assert run.status == 1
    assert "gave int" in run.err and "Traceback" not in run.err


def test_an_error_of_the_users_is_one_message_with_its_line(graphc: Command, model: Path) -> None:
    run = graphc("inspect", f"{model}:broken")
    assert run.status == 1 and run.out == ""
    assert run.err.startswith("graphc: matmul(") and "model.py:25" in run.err
    assert len(run.err.splitlines()) == 1


def test_an_unknown_compile_target_fails(graphc: Command, model: Path) -> None:
    run = graphc("inspect", f"{model}:step", "--target", "z80")
    assert run.status == 1 and "z80" in run.err


def test_the_command_is_installed() -> None:
    import sys

    command = [sys.executable, "-m", "graphc.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("graphc ")
