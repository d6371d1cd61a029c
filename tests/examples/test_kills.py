"""Trainings that are killed: the last good checkpoint is there, and going on from it gives the
bits of a training that nobody disturbed.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import optim
from tests.compiled.checking import assert_bits

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

#: Far more work than one life has.
STEPS = 300
OPTIMIZER = optim.adam(1e-2)
RNG = np.random.default_rng(3)
PARAMS = {"w": RNG.normal(size=(300, 40)).astype(np.float32), "b": np.zeros(40, np.float32)}


def step(state: dict[str, Any], x: Any) -> Any:
    value, gradients = gx.value_and_grad(lambda p: gx.mean(gx.tanh(x @ p["w"] + p["b"]) ** 2))(
        state["params"]
    )
    updates, opt = OPTIMIZER.update(gradients, state["opt"], state["params"])
    return {"params": optim.apply_updates(state["params"], updates), "opt": opt}, value


def start() -> dict[str, Any]:
    params = {k: v.copy() for k, v in PARAMS.items()}
    return {"done": 0, "state": {"params": params, "opt": OPTIMIZER.init(params)}}


def train(compiled: Any, file: Path) -> dict[str, Any]:
    """Goes on from the checkpoint, if there is one, and writes one after every step."""
    at = gx.load(file, start()) if file.exists() else start()
    while at["done"] < STEPS:
        batch = np.random.default_rng(at["done"]).normal(size=(8, 300)).astype(np.float32)
        state, _ = compiled(at["state"], batch)
        at = {"done": at["done"] + 1, "state": state}
        gx.save(file, at)
    return at


def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    batch = np.zeros((8, 300), np.float32)
    compiled = gx.compile(step, start()["state"], batch, donate_argnums=0, threads=1)
    want = train(compiled, tmp_path / "undisturbed")
    file, ends, seen = tmp_path / "state.safetensors", 0, []
    lives = np.random.default_rng(0).uniform(0.001, 0.008, 1000)
    while True:
        pid = os.fork()
        if pid == 0:
            # Ends the process as SIGKILL does, after so many seconds of its own work.
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, lives[ends])
            train(compiled, file)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status == 0:
            break
        assert status == signal.SIGPROF
        ends += 1
        if file.exists():
            seen.append(gx.load(file, start())["done"])
    assert ends >= 3, "a life is not longer than 12 ms, the work is"
    assert seen == sorted(seen)
    found = gx.load(file, start())
    assert found["done"] == STEPS
    assert_bits(found["state"], want["state"])
