"""The exported folder: what it holds, that it builds, and that it computes what Python does."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from graphc.build.toolchain import find
from tests.export.building import STRICT, data, initial, make, needs, run, traced, zig

FILES = "train_step.h train_step.c selftest.c example.c CMakeLists.txt Makefile manifest.json"
#: What an object may need: of libc, of libm, of position-independent code.
C_LIBRARY = {"memcpy", "memset", "memmove", "sqrtf", "fmaf", "_GLOBAL_OFFSET_TABLE_"}
GCC = ("gcc", "-O2", "-march=native")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exported from a plan for two threads, without a pool."""
    path = tmp_path_factory.mktemp("artifact") / "a folder"
    traced().lower(threads=2).export(path)
    return path


@pytest.fixture(scope="module")
def gcc(folder: Path) -> tuple[str, ...]:
    needs("gcc")
    return GCC


def test_the_folder_is_what_it_says(folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} >= {*FILES.split(), "README.md"}
    manifest = json.loads((folder / "manifest.json").read_text())
    header = (folder / "train_step.h").read_text()
    assert f"TRAIN_STEP_ARENA_BYTES {manifest['arena_bytes']}\n" in header
    assert f"TRAIN_STEP_STATE_BYTES {manifest['state_bytes']}\n" in header
    state = {field["name"]: field for field in manifest["state"]}
    assert state["params_w1"]["shape"] == [12, 16] and "float params_w1[12][16];" in header
    assert {"opt0_mu_b1", "opt0_count"} <= state.keys()
    assert all(field["offset"] % 64 == 0 for field in manifest["state"])


def test_the_self_test_passes_and_notices_every_change(
    folder: Path, tmp_path: Path, gcc: tuple[str, ...]
) -> None:
    program = make(folder, gcc, "selftest")
    done = run([program], folder)
    assert "difference quotient" in done.stdout and "params_w1" in done.stdout
    text = (folder / "selftest.c").read_text()
    changes = {
        "an expected element": (r"(0_3\[\] = \{\n +\{\d+, )([^}]+)\}", r"\g<1>0.25}"),
        "an error allowed": (r"(allowed0\[\] = \{\n +\{\d+, )([^}]+)\}", r"\g<1>9.0}"),
        "the derivative": (r"(slope0\[\] = \{\n +\{\d+, )([^}]+)\}", r"\g<1>9.0}"),
        "the seed": (r"key\[2\] = \{\d+u", "key[2] = {1u"),
        "a range": (r"FLOAT32, 192, -[\d.]+", "FLOAT32, 192, -2.0"),
    }
    shutil.copy(folder / "train_step.h", tmp_path)
    for what, (pattern, replacement) in changes.items():
        changed, count = re.subn(pattern, replacement, text, count=1)
        assert count == 1, what
        (tmp_path / "selftest.c").write_text(changed)
        (tmp_path / "train_step.c").write_text((folder / "train_step.c").read_text())
        assert run([make(tmp_path, (*gcc, "-O0"), "selftest")], tmp_path, None).returncode == 1, (
            what
        )


def test_objects_need_nothing_and_hold_no_variable(
    folder: Path, tmp_path: Path, gcc: tuple[str, ...]
) -> None:
    nm = needs("nm")
    for compiler in (gcc, zig("-O2", "-mcpu=native")):
        out = tmp_path / "step.o"
        run(
            [*compiler, *STRICT, "-fno-sanitize=undefined", "-c", "train_step.c", "-o", out], folder
        )
        kinds: dict[str, set[str]] = {}
        for line in run([nm, out], folder).stdout.splitlines():
            kind, name = line.split()[-2:]
            kinds.setdefault(kind, set()).add(name)
        assert kinds.get("U", set()) <= C_LIBRARY
        assert kinds["T"] == {"train_step_run", "train_step_init", "train_step_message"}
        assert not kinds.keys() & {"B", "b", "D", "d", "C"}


def test_stack_is_small(folder: Path, tmp_path: Path, gcc: tuple[str, ...]) -> None:
    out = tmp_path / "step.o"
    run([*gcc, *STRICT, "-fstack-usage", "-c", "train_step.c", "-o", out], folder)
    frames = [line.split("\t") for line in out.with_suffix(".su").read_text().splitlines()]
    # A step is three calls deep.
    assert sum(sorted(int(size) for _, size, _ in frames)[-3:]) <= 16 * 1024


def test_make_and_sanitizers(folder: Path, tmp_path: Path, gcc: tuple[str, ...]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.out"))
    flags = " ".join(STRICT)
    sanitized = f"CFLAGS={flags} -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
    run([needs("make"), "CC=gcc", sanitized, "check", "example"], copy)
    done = run([copy / "example", "--steps", "300"], copy)
    losses = [float(line.split()[-1]) for line in done.stdout.splitlines()]
    assert losses[-1] < losses[0] / 10


def test_cmake(folder: Path, tmp_path: Path, gcc: tuple[str, ...]) -> None:
    cmake = needs("cmake")
    run([cmake, "-B", tmp_path, "-DCMAKE_C_FLAGS=-Werror", "-S", "."], folder)
    run([cmake, "--build", tmp_path], folder)
    run([cmake, "-E", "chdir", tmp_path, "ctest"], folder)


def test_a_hundred_steps_are_those_of_python_to_the_bit(
    folder: Path, tmp_path: Path, gcc: tuple[str, ...]
) -> None:
    x, y = data(4)
    gx.save(tmp_path / "data.safetensors", {"x": x, "y": y})
    gx.save(tmp_path / "state.safetensors", initial())
    program = make(folder, gcc, "example", *find().flags()[1:])
    files = ["--data", tmp_path / "data.safetensors", "--state", tmp_path / "state.safetensors"]
    done = run([program, *files, "--steps", 100, "--save", tmp_path / "end.safetensors"], folder)
    losses = [np.float32(line.split()[-1]) for line in done.stdout.splitlines()]
    step, state = traced().lower(threads=2).compile(), initial()
    wanted = []
    for k in range(100):
        batch = slice(k % 4 * 24, k % 4 * 24 + 24)
        state, value = step(state, x[batch], y[batch])
        wanted.append(np.float32(value))
    assert losses == wanted
    found = gx.load(tmp_path / "end.safetensors", state)
    for a, b in zip(tree.leaves(found), tree.leaves(state), strict=True):
        assert a.tobytes() == b.tobytes()


def test_neither_compiler_nor_effort_changes_a_bit(
    folder: Path, tmp_path: Path, gcc: tuple[str, ...]
) -> None:
    x, y = data(4)
    gx.save(tmp_path / "data.safetensors", {"x": x, "y": y})
    gx.save(tmp_path / "state.safetensors", initial())
    files = ["--data", tmp_path / "data.safetensors", "--state", tmp_path / "state.safetensors"]
    compilers = [("gcc", effort, "-march=native") for effort in ("-O1", "-O2", "-O3")]
    ends = {}
    for compiler in [*compilers, tuple(zig("-O2", "-mcpu=native"))]:
        shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.out"))
        program = make(tmp_path / "copy", compiler, "example")
        run([program, *files, "--steps", 40, "--save", tmp_path / "end"], tmp_path)
        ends[compiler] = (tmp_path / "end").read_bytes()
        shutil.rmtree(tmp_path / "copy")
    assert len(ends) == 4 and len(set(ends.values())) == 1, list(ends)
    assert ends[compilers[0]] != (tmp_path / "state.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: b"{}", "is not a safetensors file"),
        (lambda raw: raw[:-9], "ends too early"),
        (lambda raw: raw.replace(b"[12, 16]", b"[16, 12]"), "another shape"),
        (lambda raw: raw.replace(b"params.w1", b"params.w9"), "does not hold it"),
        (lambda raw: raw.replace(b'"F32"', b'"F64"', 1), "another dtype"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    folder: Path, tmp_path: Path, gcc: tuple[str, ...], damage, message: str
) -> None:
    gx.save(tmp_path / "good.safetensors", initial())
    raw = (tmp_path / "good.safetensors").read_bytes()
    bad = damage(raw)
    assert bad != raw
    (tmp_path / "bad.safetensors").write_bytes(bad)
    program = folder / "example.out"
    if not program.exists():
        make(folder, gcc, "example")
    done = run([program, "--state", tmp_path / "bad.safetensors"], folder, 1)
    assert message in done.stderr
