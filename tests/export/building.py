"""Steps to export, and compilers for what comes of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, optim

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off")
BATCH, SIZES = 24, (12, 16, 5)
OPTIMIZER = optim.adamw(1e-2)


def scores(params: Any, x: Any) -> Any:
    hidden = nn.relu(x @ params["w1"] + params["b1"])
    return hidden @ params["w2"] + params["b2"]


def loss(params: Any, x: Any, y: Any) -> Any:
    return gx.mean(nn.softmax_cross_entropy_with_integer_labels(scores(params, x), y))


def train(state: Any, x: Any, y: Any) -> Any:
    value, grads = gx.value_and_grad(loss)(state["params"], x, y)
    updates, opt = OPTIMIZER.update(grads, state["opt"], state["params"])
    return {"params": optim.apply_updates(state["params"], updates), "opt": opt}, value


def initial() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    weight = nn.initializers.he_normal()
    params = {
        "w1": weight(rng, SIZES[:2]),
        "b1": np.zeros(SIZES[1], np.float32),
        "w2": weight(rng, SIZES[1:]),
        "b2": np.zeros(SIZES[2], np.float32),
    }
    return {"params": params, "opt": OPTIMIZER.init(params)}


def data(batches: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((batches * BATCH, SIZES[0]), np.float32)
    return x, rng.integers(0, SIZES[2], batches * BATCH).astype(np.int32)


def traced() -> Any:
    x, y = data(1)
    return gx.trace(train, initial(), x, y, donate_argnums=0)


def zig(*arguments: str) -> list[str]:
    if find_spec("ziglang") is None:
        pytest.skip("the ziglang package is not installed")
    return [sys.executable, "-m", "ziglang", "cc", *arguments]


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def run(
    command: Sequence[object], folder: Path, status: int | None = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done


def make(folder: Path, compiler: Sequence[str], program: str, *flags: str) -> Path:
    """Compiles NAME.c of a folder and one of its programs, strictly."""
    name = next(p.stem for p in folder.glob("*.h"))
    out = folder / f"{program}.out"
    sources = [f"{name}.c", f"{program}.c"]
    run([*compiler, *STRICT, *flags, *sources, "-o", out, "-lm"], folder)
    return out
