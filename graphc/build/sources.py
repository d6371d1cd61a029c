"""Which graphc this is: a digest of its own files, for what processes keep for one another."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path

from graphc.build.runtime_files import runtime_dir

__all__ = ["digest"]

_PACKAGE = Path(__file__).resolve().parents[1]
#: Whatever was written after this moment may not be what this process runs. The seconds are for
#: what was imported before this file.
_LOADED = time.time() - 10


@lru_cache(maxsize=1)
def digest() -> str | None:
    """A digest of the Python files of graphc and of the C runtime, of which every line may have a
    part in what a step becomes. None where a file is younger than this process, or where there are
    no files (in an archive): then it cannot be told what runs.
    """
    found = hashlib.sha256()
    folders = ((_PACKAGE, "*.py"), (runtime_dir(), "*.[ch]"))
    files = [(path, folder) for folder, kind in folders for path in sorted(folder.rglob(kind))]
    for path, folder in files:
        if path.stat().st_mtime > _LOADED:
            return None
        content = path.read_bytes()
        found.update(f"{path.relative_to(folder)} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest() if files else None
