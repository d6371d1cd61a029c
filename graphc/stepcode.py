"""What a step needs to run, as it lies in the cache.

Lowering is a pure function of the traced graph and of a few options, and all that a call needs of
its result is the C, the size of the arena and the constants beside the text. So these lie in the
cache under what they follow from. What else is known of a step (its plan, its kernels, the report)
is made when somebody asks for it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import networkx
import numpy as np

from graphc.build import cpu, sources
from graphc.build.cache import Cache
from graphc.build.library import Unit
from graphc.errors import CacheError
from graphc.ir.graph import Graph
from graphc.ir.structure import fingerprint
from graphc.schedule.program import Program

Key = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class StepCode:
    """The C of a step, in files with flags of their own; the bytes of its arena; the constants that
    are passed behind the arguments; and the threads that it is planned for.
    """

    units: Sequence[Unit]
    arena_bytes: int
    threads: int
    constants: Sequence[np.ndarray]

    @classmethod
    def of(cls, program: Program, units: Sequence[Unit]) -> StepCode:
        return cls(units, program.plan.peak, program.threads, program.constants)

    def write(self, path: Path) -> None:
        """A line of JSON, and the constants in NumPy's format."""
        head = {
            "units": [(unit.text, unit.flags) for unit in self.units],
            "arena_bytes": self.arena_bytes,
            "threads": self.threads,
            "constants": len(self.constants),
        }
        with path.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            for array in self.constants:
                np.save(file, array, allow_pickle=False)

    @classmethod
    def read(cls, content: bytes) -> StepCode:
        file = BytesIO(content)
        head = json.loads(file.readline())
        constants = [np.load(file, allow_pickle=False) for _ in range(head["constants"])]
        units = [Unit(text, tuple(flags)) for text, flags in head["units"]]
        return cls(units, head["arena_bytes"], head["threads"], constants)


def key(graph: Graph, target: str, threads: int, budget: int | None, tune: bool) -> Key | None:
    """All that the code of a step follows from: a graph as traced, the options, this graphc and
    what it computes with. None where that cannot be told.
    """
    graphc, structure = sources.digest(), fingerprint(graph)
    if graphc is None or structure is None:
        return None
    return {
        "kind": "step",
        "graphc": graphc,
        "python": sys.version,
        "numpy": np.__version__,
        "networkx": networkx.__version__,
        "graph": structure,
        "target": target,
        "instructions": cpu.isa(target),
        "processor": cpu.identity() if tune else "",
        "cores": str(cpu.cores()),
        "threads": str(threads),
        "memory_budget": str(budget),
        "tune": str(tune),
        "verify": os.environ.get("GRAPHC_VERIFY", ""),
    }


def find(key: Key | None) -> StepCode | None:
    """The code that a process has kept under a key. Lowering needs no cache, so one that cannot be
    used is no error here: that is for whoever compiles.
    """
    content = None
    if key is not None:
        with suppress(CacheError):
            content = Cache.default().read(key)
    return None if content is None else StepCode.read(content)


def keep(key: Key | None, code: StepCode) -> None:
    """Keeps code for other processes. Raises CacheError."""
    if key is not None:
        Cache.default().get_or_build(key, code.write)
