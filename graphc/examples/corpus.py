"""Real text that every machine has: the source code of Python's own standard library."""

from __future__ import annotations

import hashlib
import sysconfig
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphc.errors import GraphcError

#: Characters with a number of their own; one more number stands for all others.
COMMONEST = 95
#: Folders whose files belong to no library, or repeat one another.
_LEFT_OUT = frozenset({"test", "tests", "site-packages", "dist-packages", "__pycache__"})
#: One file in this many is for validation.
_VALIDATION = 10


@dataclass(frozen=True)
class Corpus:
    """Text as numbers, uint8: `alphabet[i]` is character i, and len(alphabet) stands for others."""

    alphabet: str
    training: np.ndarray
    validation: np.ndarray
    files: int

    @property
    def vocabulary(self) -> int:
        return len(self.alphabet) + 1

    def encode(self, text: str) -> list[int]:
        return _encode(text, self.alphabet).tolist()

    def decode(self, number: int) -> str:
        return self.alphabet[number] if number < len(self.alphabet) else "\N{REPLACEMENT CHARACTER}"


def load(folder: Path | None = None) -> Corpus:
    """Reads the Python files of a folder, by default of the running interpreter's standard library.

    Whether a file is for training or for validation follows from its name alone; the alphabet is
    of the training files. Raises GraphcError where the sources are not installed.
    """
    root = folder or Path(sysconfig.get_path("stdlib"))
    parts: dict[bool, list[str]] = {True: [], False: []}
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if _LEFT_OUT.isdisjoint(name.parts):
            # Some files are there to show that a source need not be UTF-8.
            text = path.read_text(encoding="utf-8", errors="replace")
            parts[_validates(name.as_posix())].append(text)
    training, validation = "".join(parts[False]), "".join(parts[True])
    if not training or not validation:
        raise GraphcError(f"{root} has no Python sources to train on")
    commonest = sorted(Counter(training).items(), key=lambda item: (-item[1], item[0]))[:COMMONEST]
    alphabet = "".join(sorted(character for character, _ in commonest))
    return Corpus(
        alphabet,
        _encode(training, alphabet),
        _encode(validation, alphabet),
        sum(map(len, parts.values())),
    )


def windows(text: np.ndarray, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and the characters that follow them, int32[len(starts), length] each."""
    both = text[starts[:, None] + np.arange(length + 1)].astype(np.int32)
    return both[:, :-1], both[:, 1:]


def _validates(name: str) -> bool:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _VALIDATION == 0


def _encode(text: str, alphabet: str) -> np.ndarray:
    """uint8, one number for each character."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    table = np.full(0x110000, len(alphabet), np.uint8)
    table[[ord(c) for c in alphabet]] = np.arange(len(alphabet))
    return table[codes]
