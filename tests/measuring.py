"""The arena as measured, which takes nothing from the plan but its size."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from graphc import tree
from graphc.compiled import Compiled
from graphc.ir.spec import Branch, Loop

_PATTERNS = (0x5A, 0xC3)
#: Arguments of more bytes are not copied.
_LARGEST = 1 << 27
_called = Compiled.__call__
_measured: weakref.WeakSet[Compiled] = weakref.WeakSet()


def touched_bytes(step: Any, args: Sequence[Any]) -> int:
    """How much of its arena a compiled step writes: it runs twice from the same state, with the
    arena filled by one pattern, then by another. What keeps both was not touched; the last touched
    byte + 1, rounded to 64, is the measured peak.
    """
    touched = np.zeros(step.lowered.program.plan.peak, bool)
    for pattern in _PATTERNS:
        fill(step, pattern)
        _called(step, *_copies(args))
        touched |= arena(step) != pattern
    return extent(touched)


def arena(step: Any) -> np.ndarray:
    """The bytes of a step's arena."""
    memory = step._frame.arena
    start = -memory.__array_interface__["data"][0] % 64
    return memory[start : start + step.lowered.program.plan.peak]


def fill(step: Any, pattern: int) -> None:
    """Fills the arena, and what was allocated around it."""
    step._frame.arena[:] = pattern


def extent(touched: np.ndarray) -> int:
    """The last byte that holds + 1, rounded to 64."""
    found = np.flatnonzero(touched)
    return 0 if found.size == 0 else int(-(-(found[-1] + 1) // 64) * 64)


def call_measured(step: Any, *args: Any, **kwargs: Any) -> Any:
    """`Compiled.__call__`, which at the first call of a step runs it once before on copies of its
    arguments, and asserts that both runs together touch the planned arena to the byte, and nothing
    around it. Where a choice or a condition decides what runs, they may touch less.
    """
    given = leaves(args)
    plain = all(isinstance(leaf, (np.ndarray, np.generic, int, float)) for leaf in given)
    plain = plain and sum(np.asarray(leaf).nbytes for leaf in given) <= _LARGEST
    if kwargs or step in _measured or not plain:
        return _called(step, *args, **kwargs)
    _measured.add(step)
    first, second = _PATTERNS
    fill(step, first)
    _called(step, *_copies(args))
    touched = arena(step) != first
    fill(step, second)
    result = _called(step, *args)
    touched |= arena(step) != second
    inside = slice(arena(step).ctypes.data - step._frame.arena.ctypes.data, None)
    around = np.delete(step._frame.arena, np.arange(inside.start, inside.start + touched.size))
    assert (around == second).all(), "a step wrote beside its arena"
    measured, planned = extent(touched), step.lowered.memory.peak_bytes
    assert measured <= planned and (measured == planned or _chooses(step)), (measured, planned)
    return result


def leaves(args: Sequence[Any]) -> list[Any]:
    return tree.leaves(list(args))


def _copies(args: Sequence[Any]) -> list[Any]:
    """The arguments, arrays copied: donated ones stay as they are."""
    return tree.map(lambda a: np.array(a) if isinstance(a, np.ndarray) else a, list(args))


def _chooses(step: Any) -> bool:
    """Whether values decide what runs."""
    specs = (
        kernel.spec(node)
        for program in step.lowered.program.nested()
        for kernel in program.kernels
        for node in kernel.nodes
    )
    return any(
        isinstance(s, Branch) or (isinstance(s, Loop) and (s.counted or s.condition is not None))
        for s in specs
    )


@pytest.fixture(autouse=True)
def every_arena_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test compiles touches the arena as it was planned, at its first call."""
    monkeypatch.setattr(Compiled, "__call__", call_measured)
