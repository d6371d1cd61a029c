from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graphc.build import cpu, toolchain
from graphc.build.toolchain import BASE_FLAGS, find, target_flags
from graphc.errors import ArgumentError, CompilerError

SOURCE = "int answer(void) { return 42; }\n"


def without_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Empties the PATH but for one folder, which is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_gcc_before_clang_before_zig(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: Callable[..., Path]
) -> None:
    folder = without_programs(monkeypatch, tmp_path)
    reply = 'echo "#define __GNUC__ 4"; echo "#define __VERSION__ \\"1.2 {0}\\""'
    for name, extra in (("clang", 'echo "#define __clang__ 1"; '), ("gcc", "")):
        script(extra + reply.format(name), name).rename(folder / name)
        found = find()
        assert (found.kind, found.version) == (name, f"1.2 {name}")
    assert found.command == (str(folder / "gcc"),)


def test_zig_is_the_last_resort(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    without_programs(monkeypatch, tmp_path)
    found = find()
    assert found.kind == "zig"
    assert found.machine == cpu.machine()


def test_no_compiler_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_programs(monkeypatch, tmp_path)
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CompilerError, match="no C compiler for native was found") as caught:
        find()
    assert "pip install 'graphc[cc]'" in str(caught.value)


def test_cc_may_hold_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = find()
    monkeypatch.setenv("CC", f"'{plain.command[0]}' -DWHAT='\"a b\"'")
    chosen = find()
    assert chosen.command == (plain.command[0], '-DWHAT="a b"')
    assert chosen.fingerprint != plain.fingerprint
    source = tmp_path / "unit.c"
    source.write_text("char *what(void) { return WHAT; }\n#pragma GCC visibility push(default)\n")
    chosen.compile({source: ("-fvisibility=default",)}, tmp_path / "unit.so", chosen.flags())
    what = ctypes.CDLL(str(tmp_path / "unit.so")).what
    what.restype = ctypes.c_char_p
    assert what() == b"a b"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("exit 0", "not a C compiler of the gcc or clang kind"),
        ("echo this is broken >&2; exit 3", "failed with status 3"),
        ("kill -9 $$", "ended by signal SIGKILL"),
        ("kill -11 $$", "ended by signal SIGSEGV"),
    ],
)
def test_a_broken_cc_is_an_error_and_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, script: Callable[..., Path], body: str, message: str
) -> None:
    path = script(body)
    monkeypatch.setenv("CC", str(path))
    with pytest.raises(CompilerError, match=message) as caught:
        find()
    assert caught.value.command[0] == str(path)
    assert caught.value.hint
    assert ("this is broken" in str(caught.value)) == ("broken" in body)


def test_a_missing_cc_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    with pytest.raises(CompilerError, match="no-such-compiler is not there, though CC is set"):
        find()


def test_a_program_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "cc"
    path.write_bytes(b"\x00\x01 not a program")
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    with pytest.raises(CompilerError, match="could not be started"):
        find()


def test_versions_are_asked_for_once(
    monkeypatch: pytest.MonkeyPatch, script: Callable[..., Path], tmp_path: Path
) -> None:
    real = find().command[0]
    log = tmp_path / "log"
    path = script(f'echo run >> "{log}"; exec "{real}" "$@"')
    monkeypatch.setenv("CC", str(path))
    for _ in range(2):
        find().flags()
        monkeypatch.setattr(toolchain, "_facts", {})
    runs = len(log.read_text().splitlines())
    os.utime(path, (1, 1))
    find()
    assert len(log.read_text().splitlines()) > runs


@pytest.mark.parametrize(
    ("kind", "machine", "target", "expected"),
    [
        ("gcc", "x86_64", "native", ["-march=native"]),
        ("gcc", "x86_64", "generic", ["-march=x86-64"]),
        ("clang", "x86_64", "x86-64-v3", ["-march=x86-64-v3"]),
        ("gcc", "aarch64", "native", ["-mcpu=native"]),
        ("clang", "aarch64", "aarch64", ["-march=armv8-a"]),
        ("gcc", "riscv64", "generic", []),
        ("zig", "x86_64", "native", ["-mcpu=native"]),
        ("zig", "x86_64", "generic", ["-mcpu=baseline"]),
        ("zig", "x86_64", "x86-64-v4", ["-mcpu=x86_64_v4"]),
        ("zig", "x86_64", "aarch64", ["-target", "aarch64-linux-gnu", "-mcpu=baseline"]),
        ("zig", "aarch64", "x86-64-v2", ["-target", "x86_64-linux-gnu", "-mcpu=x86_64_v2"]),
    ],
)
def test_flags_of_targets(kind: str, machine: str, target: str, expected: list[str]) -> None:
    flags = list(target_flags(kind, machine, target))
    assert [flag for flag in flags if flag != "-fno-sanitize=undefined"] == expected
    assert ("-fno-sanitize=undefined" in flags) == (kind == "zig")


def test_targets_beyond_a_compiler() -> None:
    with pytest.raises(CompilerError, match="compiles for x86_64, not for aarch64") as caught:
        target_flags("gcc", "x86_64", "aarch64")
    assert "graphc[cc]" in caught.value.hint
    with pytest.raises(ArgumentError, match="expected one of native, generic"):
        target_flags("gcc", "x86_64", "sparc")


@pytest.mark.skipif(cpu.machine() != "x86_64", reason="the compiler is one for x86-64")
@pytest.mark.parametrize("target", ["generic", "x86-64-v2", "x86-64-v3", "x86-64-v4", "native"])
def test_compilers_know_the_targets(any_compiler: str, target: str) -> None:
    found = find(target)
    assert found.kind == any_compiler
    flags = found.flags(target)
    assert flags[: len(BASE_FLAGS)] == BASE_FLAGS
    expected = "sse2" if target == "generic" else cpu.isa(target)
    assert found.isa(target) == expected
    assert ("-mprefer-vector-width=512" in flags) == (expected == "avx512")


def test_zig_compiles_for_another_family(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    other = "aarch64" if cpu.machine() == "x86_64" else "x86-64-v3"
    if shutil.which("aarch64-linux-gnu-gcc"):
        without_programs(monkeypatch, tmp_path)
    found = find(other)
    assert found.kind == "zig"
    assert found.isa(other) == cpu.isa(other)
    source = tmp_path / "unit.c"
    source.write_text(SOURCE)
    found.compile({source: ()}, tmp_path / "unit.so", found.flags(other))
    machine = {"aarch64": 183, "x86-64-v3": 62}[other]  # e_machine of the ELF header
    assert int.from_bytes((tmp_path / "unit.so").read_bytes()[18:20], "little") == machine


def test_several_units_with_flags_of_their_own(any_compiler: str, tmp_path: Path) -> None:
    folder = tmp_path / "with space é $(touch no)"
    folder.mkdir()
    sources = {}
    for i in range(5):
        path = folder / f"unit {i}.c"
        path.write_text(f"int f{i}(void) {{ return VALUE; }}\n")
        sources[path] = (f"-DVALUE={i * i}",)
    main = folder / "main.c"
    main.write_text(
        "".join(f"int f{i}(void);" for i in range(5))
        + '__attribute__((visibility("default"))) int total(void) { return '
        + "+".join(f"f{i}()" for i in range(5))
        + "; }\n"
    )
    found = find()
    found.compile({**sources, main: ()}, folder / "all.so", found.flags())
    library = ctypes.CDLL(str(folder / "all.so"))
    assert library.total() == 30
    assert not hasattr(library, "f1")
    assert not list(tmp_path.rglob("no"))


def test_a_program(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text("#include <math.h>\nint main(int n, char **v) { (void)v; return cos(n-1); }")
    found = find()
    found.compile({source: ()}, tmp_path / "main", found.flags("generic"), shared=False)
    assert os.spawnv(os.P_WAIT, str(tmp_path / "main"), ["main"]) == 1


def test_the_first_failing_unit_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.c", tmp_path / "bad.c"
    good.write_text(SOURCE)
    bad.write_text("int wrong(void) { return nonsense; }\n")
    found = find()
    with pytest.raises(CompilerError, match="failed with status 1") as caught:
        found.compile({good: (), bad: ()}, tmp_path / "out.so", found.flags())
    assert caught.value.source == bad
    assert "nonsense" in caught.value.stderr
    assert str(bad) in caught.value.command


def compiler_that(
    script: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, act: str
) -> toolchain.Toolchain:
    """The real compiler until it is to compile something; then a shell command."""
    real = find().command[0]
    path = script(f'case "$*" in *-dM*) exec "{real}" "$@";; esac\n{act}')
    monkeypatch.setenv("CC", str(path))
    return find()


@pytest.mark.parametrize(
    ("act", "message", "hint"),
    [
        ("kill -9 $$", "ended by signal SIGKILL", "free memory"),
        ("kill -11 $$", "ended by signal SIGSEGV", "another compiler"),
        ("exit 0", "reported success but wrote no out.so", "another compiler"),
        ("echo 'x.c: internal compiler error: no' >&2; exit 4", "status 4", "another compiler"),
        ("echo 'error: No space left on device' >&2; exit 1", "status 1", "free space"),
    ],
)
def test_what_ended_the_compiler_is_told(
    script: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    act: str,
    message: str,
    hint: str,
) -> None:
    found = compiler_that(script, monkeypatch, act)
    source = tmp_path / "unit.c"
    source.write_text(SOURCE)
    with pytest.raises(CompilerError, match=message) as caught:
        found.compile({source: ()}, tmp_path / "out.so", found.flags())
    assert hint in caught.value.hint
    assert caught.value.source == source


def test_one_failure_ends_the_others(
    script: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = compiler_that(
        script, monkeypatch, 'case "$*" in *bad.c*) exit 1;; *) exec sleep 1000;; esac'
    )
    monkeypatch.setattr("graphc.build.runner.cores", lambda: 2)
    sources = {tmp_path / "slow.c": (), tmp_path / "bad.c": (), tmp_path / "slower.c": ()}
    with pytest.raises(CompilerError) as caught:
        found.compile(sources, tmp_path / "out.so", found.flags())
    assert caught.value.source == tmp_path / "bad.c"


def test_temporary_files_go_to_the_output_folder(
    script: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    found = find()
    source = tmp_path / "unit.c"
    source.write_text(SOURCE)
    found.compile({source: ()}, tmp_path / "out.so", found.flags())
    assert (tmp_path / "out.so").stat().st_size > 0


def test_the_shell_is_never_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHELL", "/bin/false")
    source = tmp_path / "-o; touch pwned; $(touch pwned) `touch pwned`.c"
    source.write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    found = find()
    found.compile({source: ()}, tmp_path / "out.so", found.flags())
    assert not (tmp_path / "pwned").exists()
    assert sys.platform == "win32" or (tmp_path / "out.so").is_file()
