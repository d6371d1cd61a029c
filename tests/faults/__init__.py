"""Planted faults: mistakes that compilers of this kind are known to make, one at a time in a copy
of the code, and the tests that must notice. `python -m tests.faults` plants them all.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Fault:
    """In `file` the text `before`, which is there once, becomes `after`; one of `tests` fails."""

    kind: str
    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def planted(self, text: str) -> str:
        """The file's text with the fault in it."""
        if text.count(self.before) != 1:
            raise ValueError(
                f"{self.kind}, {self.name}: {self.file} has this text {text.count(self.before)}"
                f" times, not once; the catalogue has to follow the code\n{self.before}"
            )
        return text.replace(self.before, self.after)


def catalogue() -> list[Fault]:
    """All faults, in the order of the files beside this one."""
    faults = []
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["fault"]:
            kind, tests = entry.pop("class"), tuple(entry.pop("tests"))
            faults.append(Fault(kind=kind, tests=tests, **entry))
    return faults
