"""Thresholds of the scheduler, set small: what takes large arrays to reach is reached with small
ones. Every setting is a valid compiler, so every result has to be right under each.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

#: (modules that know a name, the name, values to choose from besides its own).
_SIZES: tuple[tuple[tuple[str, ...], str, tuple[Any, ...]], ...] = (
    (("schedule.kernel",), "GRAIN", (1, 64, 512)),
    (("schedule.product",), "PRODUCT_GRAIN", (1, 4096)),
    (("schedule.matching",), "LONG_ROW", (5, 64, 600)),
    (("schedule.matching",), "MIN_ROWS", (2, 100)),
    (("schedule.fuse",), "LARGE", (2, 64)),
    (("schedule.fuse",), "RECENT", (1, 40)),
    (("schedule.fuse",), "MAX_WAITING", (1, 3)),
    (("schedule.fuse",), "MAX_BODY", (12, 60)),
    (("schedule.fuse",), "MAX_ARRAYS", (3, 8)),
    (("schedule.rows",), "CHUNK_BYTES", (64, 256)),
    (("schedule.rows",), "LOCAL_BYTES", (0, 64)),
    (("schedule.rows",), "KEEP_COST", (1, 1000)),
    (("schedule.columns", "codegen.columns"), "COLUMN_ROWS", (2, 7)),
    (("schedule.columns",), "COLUMN_BYTES", (16, 64)),
    (("schedule.storage",), "_FREE_COST", (0, 100)),
    (("schedule.tiles",), "UNIT_ROWS", (1, 9)),
    (("autodiff.cut",), "MAX_REGION", (3,)),
    (("codegen.points",), "_MAX_PARTS", (2, 60)),
    (("codegen.entry",), "_CALLS", (3,)),
)


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """A setting: most names keep their own value, and some settings change nothing."""
    if rng.random() < 0.15:
        return {}
    part = rng.choice([0.2, 0.5])
    found = {n: v[rng.integers(len(v))] for _, n, v in _SIZES if rng.random() < part}
    if rng.random() < 0.6:
        found["GRAIN"] = 1
    if rng.random() < 0.25:
        found["REPEATED"] = ("merge", "simplify", "fold")[int(rng.integers(3))]
    return found


@contextmanager
def turned(setting: Mapping[str, Any]) -> Iterator[None]:
    """The compiler with a setting in force. `REPEATED` names the one pass that is repeated."""
    before = []
    for modules, name, _ in (*_SIZES, (("passes.pipeline",), "REPEATED", ())):
        for path in modules if name in setting else ():
            module = importlib.import_module(f"graphc.{path}")
            old, new = getattr(module, name), setting[name]
            before.append((module, name, old))
            if name == "REPEATED":
                new = tuple(p for p in old if p[0] == new)
            setattr(module, name, new)
    try:
        yield
    finally:
        for module, name, old in before:
            setattr(module, name, old)
