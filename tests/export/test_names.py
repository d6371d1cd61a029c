"""Names of artifacts and of their functions: whatever they are, they meet no other name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.build.runtime_files import runtime_dir
from graphc.export.names import OWN_WORDS
from tests.export.building import STRICT, needs, run

#: Keywords, functions of the C library, names inside the self-test and the example, headers, and
#: targets of make and CMake.
_HOSTILE = """
int class main free log exit errno linux NULL fill compare initialize load transfer arena state
pool in out run test0 wanted0 step table0 team mark math string stdio all check clean test CMAKE C
c a INT8 uint64 Selftests
"""
HOSTILE = _HOSTILE.split()
NEVER = ["a b", "1st", "../up", "", "é", "a__b", "_a", "a_", "x" * 10_000, '"; system("x', "*/"]
NEVER += ["a\nb", "gx", "gx_fill", "GX_X", "k00_relu", "atomic", "pthread_x"]
#: What the files may contain of others besides: names of the C library, and of compilers.
_OF_C = re.compile(
    r"u?int(ptr)?(\d+)?_t|U?INT\d+_(C|MAX)|size_t|static_assert|_[A-Z]\w+|__\w+|SEEK_SET|FP_CONTRACT"
)
_NOT_CODE = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|#[ ]*include[^\n]*', re.S)
_OURS = re.compile(r"(gx|GX|k\d+)_")


def tiny(threads: int = 1) -> Any:
    def step(state: Any, x: Any) -> Any:
        value = gx.mean((x @ state["w"]) ** 2)
        return {"w": state["w"] - 0.1 * gx.grad(value, state["w"])}, value

    state, x = {"w": np.ones((3, 2), np.float32)}, np.ones((4, 3), np.float32)
    return gx.trace(step, state, x, donate_argnums=0).lower(threads=threads)


def words(text: str) -> set[str]:
    return set(re.findall(r"\b[A-Za-z_]\w*", _NOT_CODE.sub(" ", text)))


def private(text: str, name: str) -> set[str]:
    """The identifiers that neither begin with the artifact's name nor with what none has, nor are
    local to the runtime's functions, which call none of the artifact's.
    """
    local = set().union(*(words(path.read_text()) for path in runtime_dir().glob("*.h")))
    found = words(text) - local
    return {w for w in found if not w.lower().startswith(name) and not _OURS.match(w)}


def test_private_names_never_look_like_public_ones(tmp_path: Path) -> None:
    """A public name is NAME_WORD: everything else has no `_` before a letter."""
    big = np.arange(2000, dtype=np.float32)

    def other(w: Any) -> Any:
        return gx.scan(lambda c, _: (c * 0.5 + gx.sum(w), None), gx.sum(big), None, length=3)[0]

    beside = {"other": gx.trace(other, np.ones((3, 2), np.float32)).lower(threads=1)}
    tiny().export(tmp_path, "zzz", beside=beside)
    for file in ("zzz.c", "zzz.h", "selftest.c", "example.c"):
        names = {n for n in private((tmp_path / file).read_text(), "zzz") if "_" in n}
        assert {n for n in names if re.search("_[A-Za-z]", n) and not _OF_C.fullmatch(n)} == set()


def test_the_headers_own_words_are_kept_from_functions(tmp_path: Path) -> None:
    steps = tiny(2)
    beside = {"init": steps, "OK": steps, "pool_init": steps}
    steps.export(tmp_path, "zzz", threads=True, beside=beside)
    text = _NOT_CODE.sub(" ", (tmp_path / "zzz.h").read_text())
    found = {w.lower() for w in re.findall(r"\b(?:zzz|ZZZ)_(\w+)", text)}
    functions = ("train", "x_init", "x_ok", "x_pool_init")
    own = {w for w in found if not w.startswith(functions)}
    assert own <= OWN_WORDS and "init" in own and set(functions) <= found


def test_hostile_names_compile(tmp_path: Path) -> None:
    """With threads, whose headers declare more."""
    gcc = needs("gcc")
    lowered = tiny(2)
    for name in HOSTILE:
        folder = tmp_path / f"of {name}"
        lowered.export(folder, name, threads=True)
        sources = [f"{name}.c", "selftest.c", "example.c"]
        flags = ["-march=native", "-fsyntax-only", "-iquote", "."]
        run([gcc, *STRICT, *flags, *sources], folder)


def test_a_hostile_artifact_is_built_by_its_own_files(tmp_path: Path) -> None:
    make, cmake = needs("make"), needs("cmake")
    tiny().export(tmp_path / "a", "math")
    run([make, "CC=gcc", "check", "example"], tmp_path / "a")
    tiny().export(tmp_path / "b", "test")
    run([cmake, "-B", "out", "-DCMAKE_C_FLAGS=-Werror", "-S", "."], tmp_path / "b")
    run([cmake, "--build", "out"], tmp_path / "b")


@pytest.mark.parametrize("name", NEVER)
def test_names_that_an_artifact_cannot_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(gx.ArgumentError, match="identifier such as"):
        tiny().export(tmp_path, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["selftest", "example", "Example"])
def test_names_of_the_folders_own_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(gx.ArgumentError, match=r"has a \w+\.[ch] of its own"):
        tiny().export(tmp_path, name)


def test_two_arguments_of_one_name_in_capitals_are_refused(tmp_path: Path) -> None:
    def one(b_c: Any) -> Any:
        return gx.sum(b_c)

    def two(c: Any) -> Any:
        return gx.sum(c)

    x = np.ones(3, np.float32)
    a, a_b = gx.trace(one, x).lower(threads=1), gx.trace(two, x).lower(threads=1)
    with pytest.raises(gx.ArgumentError, match="ZZZ_A_B_C"):
        a.export(tmp_path, "zzz", beside={"a": a, "a_b": a_b})
