"""`python -m tests.soak --seconds 3600`: a training, and compiles, in one process for an hour,
whose memory and handles have to stay flat.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

import graphc as gx
from graphc import nn, optim

#: Steps between two looks, and different functions that are compiled in turn between them.
_STEPS, _FUNCTIONS = 200, 5
#: What may be more at the end than after the first fifth.
_SLACK_BYTES = 16 << 20


@dataclass(frozen=True)
class Held:
    """What the process holds: bytes of memory, open handles, mapped libraries, Python's objects."""

    memory: int
    handles: int
    libraries: int
    objects: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        maps = Path("/proc/self/maps").read_text().count(".so")
        handles = len(os.listdir("/proc/self/fd"))
        return cls(pages * os.sysconf("SC_PAGESIZE"), handles, maps, len(gc.get_objects()))


class Training:
    """A small network on noise: calls, bound calls and checkpoints."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        shapes = {"w1": (16, 32), "b1": (32,), "w2": (32, 4)}
        params = {k: rng.normal(0, 0.3, s).astype(np.float32) for k, s in shapes.items()}
        optimizer = optim.adam(1e-3)
        self.state = {"params": params, "opt": optimizer.init(params)}
        self.file = folder / "state.safetensors"

        def step(state: dict, x: gx.Tensor, labels: gx.Tensor) -> tuple[dict, gx.Tensor]:
            def loss(p: dict) -> gx.Tensor:
                hidden = nn.gelu(x @ p["w1"] + p["b1"])
                scores = nn.softmax_cross_entropy_with_integer_labels(hidden @ p["w2"], labels)
                return gx.mean(scores)

            value, gradients = gx.value_and_grad(loss)(state["params"])
            updates, opt = optimizer.update(gradients, state["opt"], state["params"])
            return {"params": optim.apply_updates(state["params"], updates), "opt": opt}, value

        self.x = rng.normal(size=(64, 16)).astype(np.float32)
        self.labels = rng.integers(0, 4, 64).astype(np.int32)
        self.step = gx.compile(step, self.state, self.x, self.labels, donate_argnums=0)

    def run(self) -> float:
        for _ in range(_STEPS):
            self.state, loss = self.step(self.state, self.x, self.labels)
        bound = self.step.bind(self.state, self.x, self.labels)
        for _ in range(_STEPS):
            bound()
        gx.save(self.file, self.state)
        self.state = gx.load(self.file, self.state)
        return float(loss)


def compile_one(number: int) -> None:
    """A step that was compiled in an earlier round, traced and loaded anew."""
    x = np.ones((8, 8), np.float32)
    scale = 1.0 + number % _FUNCTIONS
    step = gx.compile(lambda x: gx.grad(lambda v: gx.sum(gx.tanh(v * scale)))(x), x)
    assert step(x).shape == (8, 8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 where something grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--rest", type=float, default=0.0, help="seconds of sleep between rounds")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="graphc-soak-") as folder:
        return soak(Training(Path(folder)), given.seconds, given.rest)


def soak(training: Training, seconds: float, rest: float) -> int:
    begin, rounds, first, shown = time.monotonic(), 0, None, 0.0
    while (passed := time.monotonic() - begin) < seconds or first is None:
        loss = training.run()
        compile_one(rounds)
        rounds += 1
        if first is None and passed > seconds / 5 and rounds >= 2 * _FUNCTIONS:
            first = Held.now()
            print(f"{passed:.0f} s: {first}", flush=True)
        if passed - shown > 60:
            shown = passed
            print(f"{passed:.0f} s: {rounds} rounds, loss {loss:.6f}, {Held.now()}", flush=True)
        time.sleep(rest)
    last = Held.now()
    print(f"{rounds} rounds of {2 * _STEPS} steps: {last}")
    grown = [b - a for a, b in zip(astuple(first), astuple(last), strict=True)]
    flat = grown[0] <= _SLACK_BYTES and grown[1] <= 0 and grown[2] <= 0 and grown[3] <= 1000
    print("flat" if flat else f"grown by {grown}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
