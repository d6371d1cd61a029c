"""Every workload and example as an artifact: two compilers, symbols, sanitizers, the self-test."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from benchmarks.heldout import ALL
from benchmarks.systems import graphc_steps
from graphc.examples import corpus, ctc, digits, lstm, moons, pinn
from tests.export.building import STRICT, needs, run, zig

#: What an object may need: of libc, of libm, of position-independent code.
OF_MEMORY = {"memcpy", "memset", "memmove", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
OF_LIBM = re.compile(r"(sqrt|fma|floor|ceil|rint|nearbyint|trunc|round|fabs|fmod|copysign)f?")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def quiet(*_: Any) -> None:
    """Looks at no training."""


def choices() -> Any:
    """A loop that ends when it wants to, a choice, and a scan, with their derivatives."""

    def step(w: Any, x: Any) -> Any:
        def loss(w: Any) -> Any:
            carry, ys = gx.scan(lambda c, row: (gx.tanh(c + row @ w), gx.sum(c)), x[0] * 0, x)
            chosen = gx.cond(gx.sum(w) > 0, lambda v: v * 2.0, lambda v: gx.exp(v), carry)
            return gx.mean(chosen**2) + gx.mean(ys)

        value = loss(w)
        left = gx.while_loop(
            lambda v: gx.sum(v * v) > 1.0, lambda v: v * 0.5, w * 8.0, max_steps=20
        )
        return w - 0.1 * gx.grad(value, w) + 0.0 * left, value

    w, x = np.full((6, 6), 0.1, np.float32), np.ones((5, 6), np.float32)
    return gx.trace(step, w, x, donate_argnums=0).lower(threads=1)


def workload(of: Any) -> Any:
    traced, _ = graphc_steps.trace_step(of, of.arrays())
    return traced.lower(threads=1)


#: What makes each step; the short ones are compiled in every run.
SHORT: dict[str, Callable[[], Any]] = {
    "choices": choices,
    "moons": partial(workload, ALL["moons"]),
}
LONG: dict[str, Callable[[], Any]] = {
    name: partial(workload, of) for name, of in ALL.items() if name not in SHORT
} | {
    "example moons": lambda: moons.train(1, 0, 1).lowered,
    "example digits": lambda: digits.train(1, 0, 1, quiet).lowered,
    "example digits, convolutions": lambda: digits.train(1, 0, 1, quiet, "cnn").lowered,
    "example pinn": lambda: pinn.train(10, 0, 1, quiet).lowered,
    "example ctc": lambda: ctc.train(10, 0, 1, quiet).lowered,
    "example lstm": lambda: lstm.train(corpus.load(), 10, 0, 1, quiet).lowered,
}


CASES = [pytest.param(make, id=name) for name, make in SHORT.items()]
CASES += [pytest.param(make, id=name, marks=pytest.mark.slow) for name, make in LONG.items()]


@pytest.mark.parametrize("make", CASES)
def test_an_artifact_of_it_passes_its_test(make: Callable[[], Any], tmp_path: Path) -> None:
    gcc, nm = needs("gcc"), needs("nm")
    make().export(tmp_path, "step")
    compilers = {
        "gcc": [gcc, "-O1", "-march=native"],
        "clang": zig("-O1", "-mcpu=native", "-fno-sanitize=undefined"),
        "sanitized": [gcc, "-O1", "-march=native", *SANITIZED],
    }
    for name, compiler in compilers.items():
        run([*compiler, *STRICT, "-c", "step.c", "-o", f"{name}.o"], tmp_path)
        objects = ["selftest.c", f"{name}.o", "-lm", "-o", f"{name}.out"]
        run([*compiler, *STRICT, *objects], tmp_path)
        assert "passed" in run([tmp_path / f"{name}.out"], tmp_path).stdout
        if name != "sanitized":
            wanted = run([nm, "--undefined-only", "--format=posix", f"{name}.o"], tmp_path).stdout
            others = {line.split()[0] for line in wanted.splitlines()} - OF_MEMORY
            assert {n for n in others if not OF_LIBM.fullmatch(n)} == set()
