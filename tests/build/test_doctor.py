from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphc.build import doctor, toolchain
from graphc.build.doctor import Check, report
from graphc.build.pool import RuntimePool


def by_name() -> dict[str, Check]:
    return {check.name: check for check in report()}


def test_a_healthy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = by_name()
    bad = [check for check in checks.values() if check.required and not check.ok]
    assert bad == []
    assert checks["C compiler"].found == str(toolchain.find())
    assert "workers started" in checks["threads"].found


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    # The process may have a pool already; another one could not be made.
    monkeypatch.setattr(doctor, "runtime", lambda: RuntimePool(1))
    checks = by_name()
    assert {name for name, check in checks.items() if check.ok} == {
        "Python and system",
        "C runtime",
        "cache",
    }
    assert "pip install 'graphc[cc]'" in checks["C compiler"].remedy
    assert "to do: install gcc or clang" in str(checks["C compiler"])
    assert "C compiler: missing" in str(checks["C compiler"])
    assert "C compiler for aarch64: absent" in str(checks["C compiler for aarch64"])


def test_an_unusable_cache(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    cache_folder.mkdir()
    cache_folder.chmod(0o777)
    checks = by_name()
    assert not checks["cache"].ok
    assert "can be written by others" in checks["cache"].found


def test_a_compiler_that_knows_less_than_the_processor(
    monkeypatch: pytest.MonkeyPatch, script: Callable[..., Path]
) -> None:
    real = toolchain.find().command[0]
    monkeypatch.setenv("CC", str(script(f'exec "{real}" "$@" -mno-sse -U__SSE2__')))
    check = by_name()["vector instructions"]
    if "processor generic" in check.found:
        pytest.skip("this processor has no vector instructions that a compiler could miss")
    assert not check.ok
    assert "a newer C compiler" in check.remedy
