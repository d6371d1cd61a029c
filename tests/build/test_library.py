from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graphc.build import cpu
from graphc.build.cache import Cache
from graphc.build.library import Unit, load
from graphc.build.toolchain import find
from graphc.errors import ArgumentError, CacheError, CompilerError

EXPORT = '__attribute__((visibility("default")))'
PLUS_ONE = f"{EXPORT} int f(int x) {{ return x + 1; }}\n"


def mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()


def test_call(any_compiler: str) -> None:
    library = load(PLUS_ONE, "int f(int);")
    assert library.lib.f(41) == 42
    assert str(library.path) in repr(library)


def test_units_headers_flags_and_declarations() -> None:
    library = load(
        [
            Unit(f'#include "own.h"\n{EXPORT} int twice(own *x) {{ return add(x->a, x->a); }}\n'),
            Unit(
                '#include "own.h"\nint add(int a, int b) { return SIGN (a + b); }\n', ("-DSIGN=-",)
            ),
        ],
        "typedef struct { int a; } own; int twice(own *x); enum { A = 7 };",
        headers={"own.h": "typedef struct { int a; } own;\nint add(int a, int b);\n"},
        flags=("-Wall", "-Werror"),
    )
    assert library.lib.twice(library.ffi.new("own *", [21])) == -42
    assert library.lib.A == 7


def test_targets(tmp_path: Path) -> None:
    paths = {
        target: load(PLUS_ONE, "int f(int);", target=target) for target in ("generic", "native")
    }
    assert paths["generic"].path != paths["native"].path


def test_native_code_is_of_one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that two machines share gives neither the code of the other."""
    here = {t: load(PLUS_ONE, "int f(int);", target=t).path for t in ("native", "generic")}
    monkeypatch.setattr(cpu, "identity", lambda: "another processor")
    assert load(PLUS_ONE, "int f(int);", target="native").path != here["native"]
    assert load(PLUS_ONE, "int f(int);", target="generic").path == here["generic"]


def test_each_compiler_has_code_of_its_own(
    script: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = load(PLUS_ONE, "int f(int);").path
    monkeypatch.setenv("CC", str(script(f'exec "{find().command[0]}" "$@"')))
    assert load(PLUS_ONE, "int f(int);").path != usual


def test_a_target_that_would_end_the_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = "aarch64" if cpu.machine() == "x86_64" else "x86-64-v2"
    with pytest.raises(ArgumentError, match="does not have"):
        load(PLUS_ONE, "int f(int);", target=other)


def test_equal_text_is_compiled_once_and_different_flags_are_not_equal() -> None:
    first = load(PLUS_ONE, "int f(int);")
    assert load(PLUS_ONE, "int f(int);").path == first.path
    assert load([Unit(PLUS_ONE)], "int f(int);").path == first.path
    for other in (
        load([Unit(PLUS_ONE, ("-O1",))], "int f(int);"),
        load(PLUS_ONE, "int f(int);", flags=("-O1",)),
        load(PLUS_ONE, "int f(int);", headers={"x.h": ""}),
    ):
        assert other.path != first.path


def test_a_warm_start_does_not_run_the_compiler(
    monkeypatch: pytest.MonkeyPatch,
    script: Callable[..., Path],
    tmp_path: Path,
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    log = tmp_path / "log"
    path = script(f'echo run >> "{log}"; exec "{find().command[0]}" "$@"')
    code = (
        "import sys; from graphc.build.library import load\n"
        f"library = load({PLUS_ONE!r}, 'int f(int);')\n"
        "print(library.lib.f(41), 'pycparser' in sys.modules)"
    )
    cold = python(code, CC=str(path))
    assert cold.stdout.split() == ["42", "True"], cold.stderr
    runs = log.read_text()
    assert runs
    warm = python(code, CC=str(path))
    assert warm.stdout.split() == ["42", "False"], warm.stderr
    assert log.read_text() == runs


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_closed_when_collected_unless_resident() -> None:
    library = load(PLUS_ONE, "int f(int);")
    path = library.path
    assert mapped(path)
    del library
    gc.collect()
    assert not mapped(path)
    resident = load(PLUS_ONE.replace("f(", "g("), "int g(int);", resident=True)
    path = resident.path
    del resident
    gc.collect()
    assert mapped(path)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_loading_again_and_again_leaks_neither_handles_nor_mappings() -> None:
    def held() -> tuple[int, int]:
        maps = Path("/proc/self/maps").read_text().count(".so")
        return maps, len(os.listdir("/proc/self/fd"))

    texts = [PLUS_ONE.replace("1", str(i)) for i in range(3)]
    for text in texts:
        load(text, "int f(int);")
    before = held()
    for i in range(300):
        library = load(texts[i % 3], "int f(int);")
        assert library.lib.f(1) == 1 + i % 3
    del library
    gc.collect()
    assert held() == before


def test_a_compile_error_keeps_the_source(cache_folder: Path) -> None:
    with pytest.raises(CompilerError, match="nonsense") as caught:
        load([Unit(PLUS_ONE), Unit("int g(void) { return nonsense; }\n")], "int f(int);")
    source = caught.value.source
    assert source is not None
    assert "return nonsense" in source.read_text()
    assert source.is_relative_to(cache_folder)
    assert caught.value.command
    assert caught.value.hint


def test_a_missing_function_of_another_library() -> None:
    text = f"int elsewhere(int x);\n{EXPORT} int f(int x) {{ return elsewhere(x); }}\n"
    with pytest.raises(CompilerError, match="elsewhere"):
        load(text, "int f(int);")


def test_a_damaged_library_is_compiled_again() -> None:
    library = load(PLUS_ONE, "int f(int);")
    path = library.path
    del library
    gc.collect()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    library = load(PLUS_ONE, "int f(int);")
    assert library.lib.f(41) == 42


def test_clearing_the_cache_does_not_disturb_what_is_loaded() -> None:
    library = load(PLUS_ONE, "int f(int);")
    Cache.default().clear()
    assert library.lib.f(41) == 42
    library = load(PLUS_ONE, "int f(int);")
    assert library.lib.f(1) == 2


def test_an_entry_cleared_between_finding_and_opening_is_built_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genuine = Cache.get_or_build
    cleared = []

    def clears_once(self: Cache, key: dict[str, str], build: Callable[[Path], None]) -> Path:
        path = genuine(self, key, build)
        if key["kind"] == "library" and not cleared:
            cleared.append(path)
            self.clear()
        return path

    monkeypatch.setattr(Cache, "get_or_build", clears_once)
    library = load(PLUS_ONE, "int f(int);")
    assert cleared
    assert library.lib.f(41) == 42


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs Linux's /proc")
def test_an_interrupt_ends_the_compiler(
    script: Callable[..., Path], tmp_path: Path, cache_folder: Path
) -> None:
    pids = tmp_path / "pids"
    fake = script(
        f'case "$*" in *-dM*) exec "{find().command[0]}" "$@";; esac\n'
        f'echo $$ >> "{pids}"; exec sleep 1000'
    )
    code = f"from graphc.build.library import load, Unit; load([Unit({PLUS_ONE!r})] * 2, '')"
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "CC": str(fake)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not pids.exists() or not pids.read_text().endswith("\n"):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    for pid in pids.read_text().split():
        assert not Path(f"/proc/{pid}").exists()
    assert list(cache_folder.glob("work/*")) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ("size=20m,mode=700,noexec", CacheError, "noexec"),
        ("size=40k,mode=700", (CacheError, CompilerError), "No space left"),
    ],
)
def test_file_systems(
    options: str,
    kind: type[Exception] | tuple[type[Exception], ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "graphc-test", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        monkeypatch.setenv("GRAPHC_CACHE_DIR", str(place))
        with pytest.raises(kind, match=message) as caught:
            load(PLUS_ONE, "int f(int);")
        assert "GRAPHC_CACHE_DIR" in str(caught.value)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
