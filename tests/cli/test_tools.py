"""`graphc doctor`, `cache`, `bench`, `--version`, `--help`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graphc as gx
from graphc.build.doctor import Check
from graphc.commands import tools

Command = Callable[..., Any]


def test_version(graphc: Command) -> None:
    assert graphc("--version").out == f"graphc {gx.__version__}\n"


def test_help_lists_the_commands_that_exist(graphc: Command) -> None:
    run = graphc("--help")
    assert run.status == 0
    for command in ("train", "inspect", "compile", "verify", "bench", "cache", "doctor"):
        assert command in run.out


def test_doctor_says_what_was_found(graphc: Command) -> None:
    run = graphc("doctor", "--json")
    record = json.loads(run.out)
    assert run.status == 0 and record["ok"]
    assert "C compiler" in {check["name"] for check in record["checks"]}
    assert "C compiler" in graphc("doctor").out


def test_doctor_fails_where_something_required_is_missing(
    graphc: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Check("C compiler", False, "none [on this machine]", "pip install ziglang")
    monkeypatch.setattr(tools, "report", lambda: [missing])
    run = graphc("doctor")
    assert run.status == 1
    assert "to do: pip install ziglang" in run.out and "[on this machine]" in run.out
    assert not json.loads(graphc("doctor", "--json").out)["ok"]
    absent = Check("C compiler for aarch64", False, "none", "another", required=False)
    monkeypatch.setattr(tools, "report", lambda: [absent])
    assert graphc("doctor").status == 0


def test_the_cache_is_shown_and_cleared(
    graphc: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    gx.compile(lambda x: x + 1, gx.spec((3,)), threads=1)
    shown = json.loads(graphc("cache", "show", "--json").out)
    assert shown["directory"] == str(tmp_path / "cache") and shown["entries"] > 0
    assert f"{shown['entries']} entries" in graphc("cache", "show").out
    assert graphc("cache", "clear").out.startswith("removed: ")
    assert json.loads(graphc("cache", "show", "--json").out)["entries"] == 0


def test_a_cache_that_cannot_be_used_is_one_message(
    graphc: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "file"))
    run = graphc("cache", "show")
    assert run.status == 1 and "is not a directory" in run.err and "Traceback" not in run.err


def test_bench_hands_its_arguments_on(graphc: Command) -> None:
    assert graphc("bench", "--help").status == 0
    assert graphc("bench", "absent", "--threads", "1").status == 2


def test_bench_outside_a_checkout_says_so(
    graphc: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tools, "_ROOT", tmp_path)
    run = graphc("bench")
    assert run.status == 1 and "from a checkout" in run.err
