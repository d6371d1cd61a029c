from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graphc.build.cache import Cache, _parse_size
from graphc.errors import CacheError, CompilerError

KEY = {"source": "int x;", "flags": "-O3"}


def writer(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def never(path: Path) -> None:
    raise AssertionError("built although the cache has it")


def entry(cache: Cache) -> tuple[Path, Path]:
    """The only entry's record and product."""
    [record] = cache.directory.glob("entries/*.json")
    [product] = cache.directory.glob("entries/*.so")
    return record, product


def test_built_once_then_found(cache_folder: Path) -> None:
    path = Cache.default().get_or_build(KEY, writer(b"product"))
    assert path.read_bytes() == b"product"
    assert path.is_relative_to(cache_folder)
    assert Cache.default().get_or_build(dict(reversed(KEY.items())), never) == path
    assert list(cache_folder.glob("work/*")) == []


def test_every_part_of_the_key_counts() -> None:
    cache = Cache.default()
    keys = [KEY, {**KEY, "flags": "-O1"}, {**KEY, "more": ""}, {"source": "int x;"}]
    paths = {cache.get_or_build(key, writer(str(i).encode())) for i, key in enumerate(keys)}
    assert sorted(path.read_bytes() for path in paths) == [b"0", b"1", b"2", b"3"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def link(path: Path) -> None:
    copy = path.with_name("elsewhere")
    path.rename(copy)
    path.symlink_to(copy)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize("damage", [truncate, flip, empty, link, append, Path.unlink])
@pytest.mark.parametrize("part", [0, 1], ids=["record", "product"])
def test_a_damaged_entry_is_built_again(damage: Callable[[Path], None], part: int) -> None:
    cache = Cache.default()
    cache.get_or_build(KEY, writer(b"product"))
    damage(entry(cache)[part])
    assert cache.get_or_build(KEY, writer(b"again")).read_bytes() == b"again"
    assert cache.get_or_build(KEY, never).read_bytes() == b"again"


def test_the_whole_key_is_compared_not_its_hash_alone() -> None:
    cache = Cache.default()
    cache.get_or_build(KEY, writer(b"product"))
    record, _ = entry(cache)
    header, key = record.read_bytes().split(b"\n", 1)
    record.write_bytes(header + b"\n" + json.dumps({**json.loads(key), "flags": "-O2"}).encode())
    assert cache.get_or_build(KEY, writer(b"mine")).read_bytes() == b"mine"


def test_a_record_cannot_lead_outside() -> None:
    cache = Cache.default()
    cache.get_or_build(KEY, writer(b"product"))
    record, _ = entry(cache)
    outside = cache.directory.parent / "evil.so"
    outside.write_bytes(b"evil")
    digest = hashlib.sha256(b"evil").hexdigest().encode()
    for header in (b"../../evil.so", b"../" * 4 + digest, digest):
        record.write_bytes(header + b"\n" + record.read_bytes().split(b"\n", 1)[1])
        assert cache.get_or_build(KEY, writer(b"mine")).read_bytes() == b"mine"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("part", [0, 1], ids=["record", "product"])
def test_a_foreign_file_is_built_again(part: int) -> None:
    cache = Cache.default()
    cache.get_or_build(KEY, writer(b"product"))
    os.chown(entry(cache)[part], 65534, 65534)
    assert cache.get_or_build(KEY, writer(b"again")).read_bytes() == b"again"


def test_the_folder_is_private(cache_folder: Path) -> None:
    Cache.default()
    assert cache_folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_is_refused(cache_folder: Path, mode: int) -> None:
    cache_folder.mkdir()
    cache_folder.chmod(mode)
    with pytest.raises(CacheError, match="can be written by others"):
        Cache.default()


def test_a_folder_of_another_user_is_refused(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(cache_folder, 65534, 65534)
    else:
        user = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(CacheError, match="belongs to user"):
        Cache.default()


def test_a_symbolic_link_is_refused(cache_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    cache_folder.symlink_to(tmp_path / "real")
    with pytest.raises(CacheError, match="symbolic link"):
        Cache.default()


def test_a_file_in_its_place_is_refused(cache_folder: Path) -> None:
    cache_folder.write_text("")
    with pytest.raises(CacheError, match="not a directory"):
        Cache.default()


@pytest.mark.parametrize("place", ["{file}/graphc", "/proc/graphc/cache"])
def test_where_nothing_can_be_made(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHC_CACHE_DIR", place.format(file=tmp_path / "file"))
    with pytest.raises(CacheError, match="set GRAPHC_CACHE_DIR"):
        Cache.default()


def test_which_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "own"))
    assert Cache.default().directory == tmp_path / "own"
    monkeypatch.delenv("GRAPHC_CACHE_DIR")
    assert Cache.default().directory == tmp_path / "xdg" / "graphc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Cache.default().directory == tmp_path / "home" / ".cache" / "graphc"


def test_least_recently_used_goes_first(cache_folder: Path) -> None:
    cache = Cache(cache_folder, limit=3500)
    for name in "abc":
        cache.get_or_build({"name": name}, writer(name.encode() * 1000))
        time.sleep(0.01)
    cache.get_or_build({"name": "a"}, never)
    time.sleep(0.01)
    cache.get_or_build({"name": "d"}, writer(b"d" * 1000))
    left = {path.read_bytes()[:1] for path in cache_folder.glob("entries/*.so")}
    assert left == {b"a", b"c", b"d"}
    assert len(list(cache_folder.glob("entries/*.json"))) == 3
    assert cache.show().bytes <= 3500


def test_what_is_larger_than_the_limit_can_still_be_used(cache_folder: Path) -> None:
    cache = Cache(cache_folder, limit=100)
    assert cache.get_or_build(KEY, writer(b"x" * 1000)).stat().st_size == 1000
    other = cache.get_or_build({"other": ""}, writer(b"y" * 1000))
    assert cache.show().entries == 1
    assert other.is_file()


def test_what_a_read_only_cache_holds_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Cache.default().get_or_build(KEY, writer(b"product"))

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("utime", "replace", "rename", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    assert Cache.default().get_or_build(KEY, never) == path
    with pytest.raises(CacheError, match="Read-only file system"):
        Cache.default().get_or_build({"other": ""}, writer(b"more"))


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("500MB", 500_000_000), ("1GiB", 2**30), ("1.5 kib", 1536), ("2k", 2000)],
)
def test_sizes(text: str, size: int) -> None:
    assert _parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1TB", "much"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(CacheError, match="GRAPHC_CACHE_SIZE"):
        _parse_size(text)


def test_what_dead_builds_left_is_swept(cache_folder: Path) -> None:
    cache = Cache.default()
    old, new = cache_folder / "work" / "old", cache_folder / "work" / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "product").write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.get_or_build(KEY, writer(b"product"))
    assert not old.exists()
    assert new.exists()


def test_a_build_that_raises_leaves_nothing(cache_folder: Path) -> None:
    def build(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cache.default().get_or_build(KEY, build)
    assert Cache.default().show().entries == 0
    assert list(cache_folder.glob("work/*")) == []


def test_sources_of_failed_builds_are_kept_but_not_all(cache_folder: Path) -> None:
    def build(path: Path) -> None:
        source = path.with_name("unit0.c")
        source.write_text("wrong")
        raise CompilerError("it failed", source=source)

    for i in range(20):
        with pytest.raises(CompilerError) as caught:
            Cache.default().get_or_build({"i": str(i)}, build)
        assert caught.value.source is not None
        assert caught.value.source.read_text() == "wrong"
        assert str(caught.value.source) in str(caught.value)
    assert len(list(cache_folder.glob("failed/*"))) == 16
    assert list(cache_folder.glob("work/*")) == []


def test_show_and_clear(cache_folder: Path) -> None:
    cache = Cache.default()
    for name in "ab":
        cache.get_or_build({"name": name}, writer(b"x" * 1000))
    (cache.tools / "z").mkdir()
    contents = cache.show()
    assert contents.entries == 2
    assert contents.bytes > 2000
    assert str(cache_folder) in str(contents)
    assert cache.clear() == contents
    assert cache.show().entries == 0
    assert [p for p in cache_folder.rglob("*") if not p.is_dir() or p.parent != cache_folder] == []


def test_clearing_spares_builds_at_work(cache_folder: Path) -> None:
    def build(path: Path) -> None:
        Cache.default().clear()
        path.write_bytes(b"product")

    assert Cache.default().get_or_build(KEY, build).read_bytes() == b"product"


BUILDER = """
import os, sys, time
from pathlib import Path
from graphc.build.cache import Cache
def build(path):
    path.write_bytes(b"part")
    time.sleep(float(sys.argv[2]))
    path.write_bytes(b"product of " + sys.argv[1].encode() * 100_000)
while not Path(os.environ["GO"]).exists():
    time.sleep(0.001)
print(Cache.default().get_or_build({"name": "same"}, build).read_bytes()[:12].decode())
"""


def start(name: str, seconds: float, go: Path) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, name, str(seconds)],
        env={**os.environ, "PYTHONPATH": path, "GO": str(go)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_build_the_same_key_at_once_do_not_hurt_each_other(
    tmp_path: Path, cache_folder: Path
) -> None:
    processes = [start(name, 0.05, tmp_path / "go") for name in "abcdef"]
    (tmp_path / "go").touch()
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert output.startswith("product of ")
    path = Cache.default().get_or_build({"name": "same"}, never)
    assert len(path.read_bytes()) == 100_011
    assert list(cache_folder.glob("work/*")) == []
    assert Cache.default().show().entries == 1


def test_a_process_that_is_killed_leaves_nothing_that_hurts(
    tmp_path: Path, cache_folder: Path
) -> None:
    (tmp_path / "go").touch()
    process = start("a", 1000, tmp_path / "go")
    while not list(cache_folder.glob("work/*/product")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    key = {"name": "same"}
    assert Cache.default().get_or_build(key, writer(b"mine")).read_bytes() == b"mine"


def test_a_full_disk_is_a_clear_error(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    # A limit on the size of files stands for a full disk: writing fails in the same place.
    done = python(
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from graphc.build.cache import Cache\n"
        "Cache.default().get_or_build({}, lambda path: path.write_bytes(b'x' * 2000))\n"
    )
    assert "graphc.errors.CacheError: cannot use the cache in" in done.stderr
    assert "set GRAPHC_CACHE_DIR" in done.stderr
