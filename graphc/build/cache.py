"""The cache of compiled libraries: a folder of this user's, safe to share between processes.

An entry is a record ``<key hash>.json``, which holds the full key and the digest of the product,
and the product itself, ``<key hash>-<digest>.so``. Both appear by renaming a finished file, the
product first, so that a process that dies leaves either nothing or a file that the next sweep
removes. Whatever does not match its record is built again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from graphc.errors import CacheError, CompilerError

__all__ = ["Cache", "CacheContents"]

_DEFAULT_LIMIT = 1 << 30
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_STALE_SECONDS = 24 * 3600  # no build takes a day: what is older was left by a process that died
_KEPT_FAILURES = 16

# Bytes that this process has written into a cache since it swept it. The first build sweeps; after
# that, not each one looks at every entry.
_written: dict[Path, int] = {}


@dataclass(frozen=True)
class CacheContents:
    """What a cache holds: `entries` libraries of `bytes` bytes in `directory`, at most `limit`."""

    directory: Path
    entries: int
    bytes: int
    limit: int

    def __str__(self) -> str:
        return (
            f"{self.directory}: {self.entries} entries, "
            f"{self.bytes / 2**20:.1f} of at most {self.limit / 2**20:.0f} MiB"
        )


class Cache:
    """A content-addressed store of built files, bounded in size: least recently used goes first.

    `directory` is made with mode 0700 if need be. It is refused with `CacheError` when it is a
    symbolic link, belongs to another user, or can be written by others: what it holds is executed.
    """

    def __init__(self, directory: Path, limit: int = _DEFAULT_LIMIT) -> None:
        self.directory = directory.absolute()
        self.limit = limit
        with self._explained("make the cache"):
            _make_private(self.directory)
            for folder in (self._entries, self._work, self._failed, self.tools):
                _make_private(folder)

    @classmethod
    def default(cls) -> Cache:
        """The cache that the environment names.

        ``$GRAPHC_CACHE_DIR``, else ``$XDG_CACHE_HOME/graphc``, else ``~/.cache/graphc``; its size
        is limited by ``$GRAPHC_CACHE_SIZE`` (bytes, or such as "500MB"), 1 GiB unless set.
        """
        chosen = os.environ.get("GRAPHC_CACHE_DIR")
        base = os.environ.get("XDG_CACHE_HOME")
        size = os.environ.get("GRAPHC_CACHE_SIZE")
        if chosen:
            directory = Path(chosen)
        elif base:
            directory = Path(base) / "graphc"
        else:
            directory = Path(os.path.expanduser("~")) / ".cache" / "graphc"
        return cls(directory, _parse_size(size) if size else _DEFAULT_LIMIT)

    @property
    def tools(self) -> Path:
        """A folder for what compilers keep for themselves. Only `clear` removes it."""
        return self.directory / "tools"

    @property
    def _entries(self) -> Path:
        return self.directory / "entries"

    @property
    def _work(self) -> Path:
        return self.directory / "work"

    @property
    def _failed(self) -> Path:
        return self.directory / "failed"

    def get_or_build(self, key: Mapping[str, str], build: Callable[[Path], None]) -> Path:
        """The path of the product of a key, verified; built at the first use.

        `build(path)` writes the product to `path`, in a private folder that it may use for its
        other files. The folder is removed afterwards; if `build` raises a `CompilerError` it is
        kept, and the error's `source` is changed to where it is. Any number of processes may build
        the same key at once. What cannot be read or written is a `CacheError`.
        """
        name, text = _named(key)
        with self._explained("use the cache"):
            found = self._find(name, text)
            if found is not None:
                return found[0]
            with self._workspace(name) as work:
                product = work / "product"
                build(product)
                return self._store(name, text, product)

    def read(self, key: Mapping[str, str]) -> bytes | None:
        """The content of the product of a key, verified; None if it has to be built."""
        with self._explained("read the cache"):
            found = self._find(*_named(key))
        return None if found is None else found[1]

    def show(self) -> CacheContents:
        """What the cache holds now."""
        with self._explained("read the cache"):
            groups = self._groups()
        size = sum(group.bytes for group in groups)
        return CacheContents(self.directory, len(groups), size, self.limit)

    def clear(self) -> CacheContents:
        """Removes everything but builds at work, and tells what there was.

        Libraries that are loaded stay usable.
        """
        contents = self.show()
        with self._explained("clear the cache"):
            for group in self._groups():
                group.remove()
            self._sweep(keep="")
            for folder in (self._failed, self.tools):
                for path in folder.iterdir():
                    shutil.rmtree(path, ignore_errors=True)
        return contents

    def _find(self, name: str, text: str) -> tuple[Path, bytes] | None:
        """The product of a key, and its bytes, if they and its record are what was once written."""
        record = _read_own(self._entries / f"{name}.json")
        if record is None:
            return None
        header, _, key = record.partition(b"\n")
        if key != text.encode() or not re.fullmatch(rb"[0-9a-f]{64}", header):
            return None
        digest = header.decode()
        path = self._product(name, digest)
        content = _read_own(path)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            return None
        with suppress(OSError):  # a filled cache can be used where it cannot be written
            os.utime(self._entries / f"{name}.json")
        return path, content

    def _product(self, name: str, digest: str) -> Path:
        return self._entries / f"{name}-{digest[:16]}.so"

    def _store(self, name: str, text: str, product: Path) -> Path:
        content = product.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        path = self._product(name, digest)
        record = product.with_name("record")
        record.write_bytes(digest.encode() + b"\n" + text.encode())
        for file, final in ((product, path), (record, self._entries / f"{name}.json")):
            _sync(file)
            os.replace(file, final)
        written = _written.get(self.directory, self.limit) + len(content) + len(text)
        _written[self.directory] = written
        if written > self.limit // 64:
            self._sweep(keep=name)
        return path

    @contextmanager
    def _workspace(self, name: str) -> Iterator[Path]:
        """A new private folder for one build."""
        work = Path(tempfile.mkdtemp(prefix=f"{name[:16]}-", dir=self._work))
        try:
            yield work
        except CompilerError as error:
            if error.source is not None:
                error.source = self._keep(work) / error.source.name
            raise
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _keep(self, work: Path) -> Path:
        """Moves the folder of a failed build to where it stays; only the newest few stay."""
        kept = work.rename(self._failed / work.name)
        older = sorted(self._failed.iterdir(), key=_modified, reverse=True)[_KEPT_FAILURES:]
        for path in older:
            shutil.rmtree(path, ignore_errors=True)
        return kept

    def _groups(self) -> list[_Group]:
        """The files of each key, least recently used first."""
        files: dict[str, list[os.DirEntry[str]]] = {}
        with os.scandir(self._entries) as entries:
            for entry in entries:
                if re.match(r"[0-9a-f]{64}[.-]", entry.name):
                    files.setdefault(entry.name[:64], []).append(entry)
        groups = []
        for name, members in files.items():
            with suppress(FileNotFoundError):  # another process has just removed it
                stats = [member.stat(follow_symlinks=False) for member in members]
                used = max(s.st_mtime_ns for s in stats)
                paths = tuple(sorted(Path(member.path) for member in members))
                groups.append(_Group(used, name, paths, sum(s.st_size for s in stats)))
        return sorted(groups, key=lambda group: (group.used, group.name))

    def _sweep(self, keep: str) -> None:
        """Removes the least recently used entries beyond the limit, and what dead builds left."""
        _written[self.directory] = 0
        groups = self._groups()
        excess = sum(group.bytes for group in groups) - self.limit
        for group in groups:
            if excess > 0 and group.name != keep:
                group.remove()
                excess -= group.bytes
        horizon = time.time() - _STALE_SECONDS
        for path in self._work.iterdir():
            if _modified(path) < horizon:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        """Turns errors of the file system into one `CacheError` that says what to do."""
        try:
            yield
        except OSError as error:
            where = error.filename if error.filename is not None else self.directory
            raise CacheError(
                f"cannot {action} in {self.directory}: {error.strerror or error} ({where}); "
                "set GRAPHC_CACHE_DIR to a folder of your own, on a disk with free space"
            ) from error


@dataclass(frozen=True)
class _Group:
    """All files of one key; `used` is when it was last asked for, in nanoseconds."""

    used: int
    name: str
    paths: tuple[Path, ...]
    bytes: int

    def remove(self) -> None:
        """Removes the record before the product: no record ever names a file that is gone."""
        for path in sorted(self.paths, key=lambda p: p.suffix != ".json"):
            with suppress(FileNotFoundError):
                path.unlink()


def _named(key: Mapping[str, str]) -> tuple[str, str]:
    """The name of a key's entry, and the key as text."""
    text = json.dumps(dict(key), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest(), text


def _make_private(path: Path) -> None:
    """Makes a folder that only this user can enter; refuses one that others control."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    state = path.lstat()
    if stat.S_ISLNK(state.st_mode):
        problem = "is a symbolic link"
    elif not stat.S_ISDIR(state.st_mode):
        problem = "is not a directory"
    elif os.name != "posix":
        return
    elif state.st_uid != os.geteuid():
        problem = f"belongs to user {state.st_uid}, not to user {os.geteuid()}"
    elif state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"can be written by others (mode {stat.S_IMODE(state.st_mode):04o})"
    else:
        return
    raise CacheError(
        f"the cache {path} {problem}, so what it holds cannot be trusted; "
        "remove it or set GRAPHC_CACHE_DIR to another folder"
    )


def _read_own(path: Path) -> bytes | None:
    """The content of a regular file of this user's; None for anything else or nothing."""
    try:
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode):
            return None
        if os.name == "posix" and state.st_uid != os.geteuid():
            return None
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _sync(path: Path) -> None:
    """Forces a file to the disk, so that after a crash its final name has all of its content."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _modified(path: Path) -> float:
    """When a path was last changed; the distant past if another process has removed it."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _parse_size(text: str) -> int:
    """Bytes from "500MB" (10**6), "1GiB" (2**30) or a plain number."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]i?)?b?\s*", text.lower())
    if match is None:
        raise CacheError(f"GRAPHC_CACHE_SIZE: expected such as 500MB or 1GiB, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2] or ""])
