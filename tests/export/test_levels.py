"""Code for several levels of x86-64 in one file: each processor runs its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import graphc as gx
from tests.export.building import make, needs, run, traced, zig

LEVELS = ("x86-64-v3", "x86-64-v2", "x86-64-v4")
FLAGS = ("-O1", "-fno-math-errno", "-fno-trapping-math")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a pool of threads, lowered for another target."""
    gcc, path = needs("gcc"), tmp_path_factory.mktemp("levels")
    if "x86_64" not in run([gcc, "-dumpmachine"], path).stdout:
        pytest.skip("not an x86-64 compiler")
    lowered = traced().lower(threads=2, target="generic")
    lowered.export(path, threads=True, levels=LEVELS)
    return path


def test_compilers_make_one_file_of_it(folder: Path) -> None:
    """Without a flag for the processor; the self-test runs the best level."""
    compilers = [[needs("gcc"), *FLAGS]]
    compilers.append(zig(*FLAGS, "-mcpu=baseline", "-fno-sanitize=undefined"))
    clang = shutil.which("clang")
    compilers += [[clang, *FLAGS]] if clang else []
    for compiler in compilers:
        assert "passed" in run([make(folder, compiler, "selftest", "-pthread")], folder).stdout


def test_each_processor_runs_the_code_of_its_level(folder: Path, tmp_path: Path) -> None:
    """The state after some steps has the bits of the artifact for that level alone."""
    emulator, gcc = needs("qemu-x86_64"), (needs("gcc"), *FLAGS)
    program = make(folder, gcc, "example", "-pthread")
    ends = []
    for level, processor in (("x86-64-v2", "Nehalem"), ("x86-64-v3", "Haswell")):
        alone = tmp_path / level
        traced().lower(threads=1, target=level).export(alone)
        single = make(alone, (*gcc, f"-march={level}"), "example")
        found = []
        for one in (program, single):
            out = tmp_path / "end.safetensors"
            run([emulator, "-cpu", processor, one, "--steps", "4", "--save", out], folder)
            found.append(out.read_bytes())
        assert found[0] == found[1]
        ends.append(found[0])
    # One has a fused multiply-add, the other has not.
    assert ends[0] != ends[1]
    test = make(folder, gcc, "selftest", "-pthread")
    done = run([emulator, "-cpu", "core2duo", test], folder, 2)
    assert "this processor lacks SSE4.2 and POPCNT" in done.stdout


def test_levels_are_checked(tmp_path: Path) -> None:
    lowered = traced().lower(threads=1)
    for levels in (("x86-64-v5",), ("aarch64",), ("x86-64-v3", "x86-64-v3")):
        with pytest.raises(gx.ArgumentError, match="levels: expected some of x86-64-v2"):
            lowered.export(tmp_path, levels=levels)
    with pytest.raises(gx.ArgumentError, match="levels are for C"):
        lowered.export(tmp_path, form="web", levels=LEVELS)
    assert list(tmp_path.iterdir()) == []
