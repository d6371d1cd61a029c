"""`graphc train`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphc.errors import GraphcError
from graphc.examples import digits

Command = Callable[..., Any]

SMALL = ("--layers", 1, "--heads", 2, "--width", 16, "--context", 16, "--batch", 2)


def gpt(graphc: Command, *options: object) -> dict[str, Any]:
    run = graphc("train", "gpt", "--threads", 1, "--json", *options)
    assert run.status == 0, run.err
    record: dict[str, Any] = json.loads(run.out)
    return record


def test_gpt_resumes_to_the_bit(graphc: Command, tmp_path: Path) -> None:
    parts, whole = tmp_path / "parts.safetensors", tmp_path / "whole.safetensors"
    straight = gpt(graphc, *SMALL, "--steps", 20, "--out", whole)
    first = gpt(graphc, *SMALL, "--steps", 10, "--out", parts)
    # Settings come from the checkpoint.
    second = gpt(graphc, "--steps", 20, "--out", parts, "--resume")
    assert second["first_step"] == 11 and second["settings"] == straight["settings"]
    assert first["losses"] + second["losses"] == straight["losses"]
    assert second["validation"][-1] == straight["validation"][-1]
    assert second["sample"] == straight["sample"] and len(straight["sample"]) == 500
    assert parts.read_bytes() == whole.read_bytes()


def test_gpt_tells_what_the_step_became(graphc: Command, tmp_path: Path) -> None:
    run = graphc("train", "gpt", *SMALL, "--steps", 4, "--every", 2, "--out", tmp_path / "x")
    assert run.status == 0
    assert run.out.count("  validation ") == 2
    for words in ("nodes became", "kernels", "the arena holds", "without reuse", "GFLOP/s"):
        assert words in " ".join(run.out.split())
    assert "% of the measured limit" in " ".join(run.out.split())


def test_gpt_refuses_what_does_not_fit_its_checkpoint(graphc: Command, tmp_path: Path) -> None:
    path = tmp_path / "gpt.safetensors"
    run = graphc("train", "gpt", "--resume", "--out", path)
    assert run.status == 1 and "there is no checkpoint" in run.err
    gpt(graphc, *SMALL, "--steps", 2, "--out", path)
    run = graphc("train", "gpt", "--resume", "--out", path, "--width", 32)
    assert run.status == 1 and "width 16, not 32" in run.err
    run = graphc("train", "gpt", "--resume", "--out", path, "--steps", 2)
    assert run.status == 1 and "at step 2 already" in run.err
    path.write_bytes(b"not a checkpoint")
    run = graphc("train", "gpt", "--resume", "--out", path)
    assert run.status == 1 and "not a readable safetensors file" in run.err


def test_a_folder_that_is_not_there_is_one_message(graphc: Command, tmp_path: Path) -> None:
    run = graphc("train", "gpt", *SMALL, "--steps", 1, "--out", tmp_path / "absent" / "x")
    assert run.status == 1 and "there is no folder" in run.err


def test_moons(graphc: Command) -> None:
    run = graphc("train", "moons", "--threads", 1, "--json")
    record = json.loads(run.out)
    assert run.status == 0 and record["accuracy"] >= 0.99
    step = record["step"]
    assert 0 < step["kernels"] < step["nodes"] and 0 < step["arena_bytes"] < step["naive_bytes"]


def test_digits(graphc: Command) -> None:
    pytest.importorskip("sklearn")
    run = graphc("train", "digits", "--epochs", 1, "--threads", 1)
    assert run.status == 0 and "accuracy on held-out images" in run.out


def test_digits_with_a_model_that_is_not_there(graphc: Command) -> None:
    run = graphc("train", "digits", "--model", "cn")
    assert run.status == 1 and "--model is mlp or cnn, got cn" in run.err


def test_pinn(graphc: Command) -> None:
    run = graphc("train", "pinn", "--steps", 4, "--threads", 1, "--json")
    record = json.loads(run.out)
    assert run.status == 0 and len(record["losses"]) == 4
    assert 0.1 < record["error"] < 2 and "relative L2 error" in run.err


def test_lstm_and_ctc(graphc: Command) -> None:
    for name, measured, words in (
        ("lstm", "validation", "nats per character"),
        ("ctc", "error", "label error rate"),
    ):
        run = graphc("train", name, "--steps", 2, "--threads", 1, "--json")
        record = json.loads(run.out)
        assert run.status == 0 and len(record["losses"]) == 2
        assert record[measured] > 0 and words in run.err


def test_digits_without_scikit_learn(graphc: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    run = graphc("train", "digits")
    assert run.status == 1 and "pip install scikit-learn" in run.err
    with pytest.raises(GraphcError):
        digits.train(1, 0, 1, lambda epoch, accuracy: None)


def test_an_unknown_example_is_a_usage_error(graphc: Command) -> None:
    assert graphc("train", "absent").status == 2
