"""Processes that end in the midst of a build, at every call that leaves a trace, and crowds."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphc.build.cache import Cache
from graphc.build.library import Unit, load

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

#: What Python reports when files, folders and processes are touched.
EVENTS = ("open", "os.", "shutil.", "subprocess.Popen", "fcntl.", "tempfile.")
SOURCE = '__attribute__((visibility("default"))) int f(void) { return 7; }\n'


def build(path: Path) -> None:
    path.write_bytes(b"part")
    path.write_bytes(b"product" * 1000)


def from_cache() -> bytes:
    return Cache.default().get_or_build({"name": "same"}, build).read_bytes()


def compiled() -> bytes:
    library = load([Unit(SOURCE)], "int f(void);")
    return bytes([library.lib.f()])


def child(work: Callable[[], bytes], last: int | None = None) -> tuple[int, bytes, int]:
    """Runs work in a child that kills itself at its event number `last`: how it ended, what came
    out, and how many events there were.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        count = 0

        def watch(event: str, _: Any) -> None:
            nonlocal count
            if event.startswith(EVENTS):
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        found = work()
        os.write(write, count.to_bytes(4, "little") + found[:60])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return status, said[4:], int.from_bytes(said[:4], "little")


def test_killed_at_every_step_of_a_build(cache_folder: Path) -> None:
    _, want, _ = child(from_cache)
    for last in itertools.count(1):
        Cache.default().clear()
        if child(from_cache, last)[0] != signal.SIGKILL:
            break
        status, found, _ = child(from_cache)
        assert (status, found) == (0, want), f"after an end at event {last}"
    assert last > 10, "the build is over before its first end"
    assert from_cache() == b"product" * 1000
    assert Cache.default().show().entries == 1


@pytest.mark.slow
def test_killed_at_a_hundred_points_of_a_compile(cache_folder: Path) -> None:
    compiled()
    Cache.default().clear()
    _, want, count = child(compiled)
    assert want == bytes([7])
    for k in range(100):
        Cache.default().clear()
        child(compiled, 1 + k * count // 100)
        status, found, _ = child(compiled)
        assert (status, found) == (0, want), f"after an end at event {1 + k * count // 100}"


def test_thirty_two_processes_build_the_same_key(cache_folder: Path, tmp_path: Path) -> None:
    go, pids = tmp_path / "go", []
    for number in range(32):
        pid = os.fork()
        if pid == 0:
            while not go.exists():
                time.sleep(0.001)
            content = f"product {number:02}".encode() * 10_000
            key = {"name": "crowd"}
            path = Cache.default().get_or_build(key, lambda p, c=content: p.write_bytes(c) and None)
            found = path.read_bytes()
            whole = found == found[:10] * 10_000 and found.startswith(b"product ")
            os._exit(0 if whole else 1)
        pids.append(pid)
    go.touch()
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 32
    assert Cache.default().show().entries == 1
    assert list(cache_folder.glob("work/*")) == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_ten_thousand_libraries_in_one_process(cache_folder: Path) -> None:
    """A hundred texts, each compiled once and loaded a hundred times: neither handles nor mappings
    nor memory grow."""

    def held() -> tuple[int, int, int]:
        maps = Path("/proc/self/maps").read_text().count(".so")
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return maps, len(os.listdir("/proc/self/fd")), pages

    texts = [SOURCE.replace("7", str(k)) for k in range(100)]

    def round_() -> None:
        for k, text in enumerate(texts):
            library = load([Unit(text)], "int f(void);")
            assert library.lib.f() == k

    for _ in range(10):
        round_()
    maps, handles, pages = held()
    for _ in range(90):
        round_()
    after = held()
    assert after[:2] == (maps, handles)
    assert after[2] - pages < 2048, "eight megabytes more"
