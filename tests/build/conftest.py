"""Every test here has a cache of its own; what zig keeps for itself is shared, for it is slow."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graphc.build import toolchain

EXPORT = '__attribute__((visibility("default")))'


@pytest.fixture(scope="session")
def zig_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zig")


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, zig_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache é 'x' $(touch no)"
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(folder))
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(zig_folder))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("GRAPHC_CACHE_SIZE", raising=False)
    monkeypatch.setattr(toolchain, "_facts", {})
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Writes an executable shell script and gives its path."""

    def write(body: str, name: str = "fake-cc") -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


@pytest.fixture(params=["gcc", "clang", "zig"])
def any_compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Makes each compiler of this machine the chosen one in turn, and gives its kind."""
    kind: str = request.param
    command = shutil.which(kind)
    if kind == "zig":
        package = importlib.util.find_spec("ziglang")
        if package is None or package.origin is None:
            pytest.skip("the ziglang package is not installed")
        command = f"{Path(package.origin).with_name('zig')} cc"
    if command is None:
        pytest.skip(f"{kind} is not installed")
    monkeypatch.setenv("CC", command)
    return kind


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python code in a new process that can import graphc."""
    root = str(Path(__file__).parents[2])

    def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path, **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
