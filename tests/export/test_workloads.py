"""Every workload and example as an artifact: compilers, symbols, sanitizers, make and CMake."""

from __future__ import annotations

import re
import shutil
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
from graphc.examples.gpt_training import Settings, Training
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
    "example gpt": lambda: Training(Settings(), corpus.load(), threads=1).lowered,
    "example moons": lambda: moons.train(1, 0, 1).lowered,
    "example digits": lambda: digits.train(1, 0, 1, quiet).lowered,
    "example digits, convolutions": lambda: digits.train(1, 0, 1, quiet, "cnn").lowered,
    "example pinn": lambda: pinn.train(10, 0, 1, quiet).lowered,
    "example ctc": lambda: ctc.train(10, 0, 1, quiet).lowered,
    "example lstm": lambda: lstm.train(corpus.load(), 10, 0, 1, quiet).lowered,
}


CASES = [pytest.param(make, id=name) for name, make in SHORT.items()]
CASES += [pytest.param(make, id=name, marks=pytest.mark.slow) for name, make in LONG.items()]


@pytest.fixture(scope="module", params=CASES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact")
    request.param().export(path, "step")
    return path


def compilers() -> dict[str, list[str]]:
    gcc = [needs("gcc"), "-O1", "-march=native"]
    found = {
        "gcc": gcc,
        "zig": zig("-O1", "-mcpu=native", "-fno-sanitize=undefined"),
        "sanitized": [*gcc, *SANITIZED],
    }
    clang = shutil.which("clang")
    return found if clang is None else found | {"clang": [clang, "-O1", "-march=native"]}


@pytest.mark.parametrize("name", ["gcc", "clang", "zig", "sanitized"])
def test_an_artifact_of_it_passes_its_test(folder: Path, name: str) -> None:
    compiler, nm = compilers().get(name), needs("nm")
    if compiler is None:
        pytest.skip(f"{name} is not installed")
    run([*compiler, *STRICT, "-c", "step.c", "-o", f"{name}.o"], folder)
    objects = ["selftest.c", f"{name}.o", "-lm", "-o", f"{name}.out"]
    run([*compiler, *STRICT, *objects], folder)
    assert "passed" in run([folder / f"{name}.out"], folder).stdout
    if name != "sanitized":
        wanted = run([nm, "--undefined-only", "--format=posix", f"{name}.o"], folder).stdout
        others = {line.split()[0] for line in wanted.splitlines()} - OF_MEMORY
        assert {n for n in others if not OF_LIBM.fullmatch(n)} == set()


@pytest.mark.slow
def test_an_artifact_of_it_builds_by_its_own_files(folder: Path, tmp_path: Path) -> None:
    """With make and one compiler, with CMake and another, in a copy of the folder alone."""
    cc = shutil.which("clang") or needs("gcc")
    text = (folder / "Makefile").read_text()
    names = {p.name for p in folder.iterdir() if p.suffix in (".c", ".h", ".safetensors", ".txt")}
    for name in (*names, "Makefile"):
        shutil.copy(folder / name, tmp_path)
    base = re.search(r"^CFLAGS \?= (.*)$", text, re.M)
    assert base is not None
    run(
        [needs("make"), f"CC={needs('gcc')}", f"CFLAGS={base[1]} -Werror", "all", "check"], tmp_path
    )
    run([tmp_path / "example", "--steps", "2"], tmp_path)
    cmake = needs("cmake")
    options = ["-DCMAKE_C_FLAGS=-Werror", f"-DCMAKE_C_COMPILER={cc}"]
    run([cmake, "-B", tmp_path / "build", *options, "-S", tmp_path], tmp_path)
    run([cmake, "--build", tmp_path / "build"], tmp_path)
    run([cmake, "-E", "chdir", tmp_path / "build", "ctest"], tmp_path)
