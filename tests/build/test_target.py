"""The processor's level, told by code that runs before anybody knows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from graphc.build import cpu
from graphc.build.runtime_files import select
from graphc.build.toolchain import find

PROGRAM = (
    select(["gx_x86_level", "GX_X86_LEVEL"])
    + """
#include <stdio.h>
int main(void) {
  printf("%d %d", GX_X86_LEVEL, gx_x86_level());
  return 0;
}
"""
)


def level_of_this_machine() -> int:
    """By Linux's list of features, which is another way to the same fact."""
    levels = (
        {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
        {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"},
        {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    )
    level = 1
    for needed in levels:
        if not needed <= cpu.features():
            break
        level += 1
    return level


def build(tmp_path: Path, target: str) -> Path:
    found = find()
    source, program = tmp_path / "level.c", tmp_path / "level"
    source.write_text(PROGRAM)
    strict = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
    found.compile({source: strict}, program, found.flags(target), shared=False)
    return program


@pytest.mark.skipif(cpu.machine() != "x86_64" or not cpu.features(), reason="x86-64 Linux only")
def test_level(any_compiler: str, tmp_path: Path) -> None:
    program = build(tmp_path, "generic")
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", str(level_of_this_machine())]


@pytest.mark.skipif(cpu.machine() != "x86_64", reason="x86-64 only")
@pytest.mark.parametrize("level", [2, 3, 4])
def test_level_of_the_target(tmp_path: Path, level: int) -> None:
    found = find()
    source = tmp_path / "level.c"
    check = f'_Static_assert(GX_X86_LEVEL == {level}, "level");\n'
    source.write_text(select(["GX_X86_LEVEL"]) + check)
    found.compile({source: ()}, tmp_path / "level.so", found.flags(f"x86-64-v{level}"))


@pytest.mark.skipif(cpu.machine() != "x86_64" or not shutil.which("objdump"), reason="no objdump")
def test_the_question_itself_uses_only_the_baseline(any_compiler: str, tmp_path: Path) -> None:
    program = build(tmp_path, "x86-64-v3")
    text = subprocess.run(["objdump", "-d", program], capture_output=True, text=True, check=True)
    body = re.search(r"<gx_x86_level>:\n(.*?)\n\n", text.stdout, re.S)
    assert body is not None
    assert "cpuid" in body[1]
    beyond = (
        r"%[xyz]mm|\b(andn|bextr|bls|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|tzcnt|movbe)"
    )
    assert not re.findall(beyond, body[1])


def test_other_families_have_level_0(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    if cpu.machine() != "x86_64" or shutil.which("aarch64-linux-gnu-gcc"):
        pytest.skip("needs zig to cross")
    source = tmp_path / "level.c"
    source.write_text(
        select(["gx_x86_level", "GX_X86_LEVEL"])
        + '_Static_assert(GX_X86_LEVEL == 0, "aarch64");\nint f(void) { return gx_x86_level(); }\n'
    )
    found = find("aarch64")
    flags = (*found.flags("aarch64"), "-Wall", "-Wextra", "-Werror")
    found.compile({source: ()}, tmp_path / "level.so", flags)
