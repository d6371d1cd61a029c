"""The arena as measured, which takes nothing from the plan but its size."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphc import tree
from graphc.compiled import Compiled
from graphc.ir.spec import Branch, Loop
from graphc.planning import Planner, Planning
from tests.replay import replay

_PATTERNS = (0x5A, 0xC3)
#: Arguments of more bytes are not copied.
_LARGEST = 1 << 27
_called, _bound, _planned = Compiled.__call__, Compiled.bind, Planner.plan
_measured: weakref.WeakSet[Compiled] = weakref.WeakSet()


def touched_bytes(step: Any, args: Sequence[Any]) -> int:
    """How much of its arena a compiled step writes: it runs twice from the same state, with the
    arena filled by one pattern, then by another. What keeps both was not touched; the last touched
    byte + 1, rounded to 64, is the measured peak. Asserts that nothing around the arena changes.
    """
    whole, inside = step._frame.arena, arena(step)
    start = inside.ctypes.data - whole.ctypes.data
    touched = np.zeros(inside.size, bool)
    for pattern in _PATTERNS:
        fill(step, pattern)
        _called(step, *_copies(args))
        touched |= inside != pattern
        around = whole[:start], whole[start + inside.size :]
        assert all((part == pattern).all() for part in around), "a step wrote beside its arena"
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


def assert_measured(step: Any, args: Sequence[Any]) -> None:
    """Asserts, once for each step, that two runs on copies of its arguments touch the planned arena
    to the byte, and nothing around it. Where a choice or a condition decides what runs, they may
    touch less. Arguments that are no plain arrays, or large, are left alone, and so is a step that
    is taken from the cache: it was measured when it was made.
    """
    given = leaves(args)
    plain = all(isinstance(leaf, (np.ndarray, np.generic, int, float)) for leaf in given)
    plain = plain and sum(np.asarray(leaf).nbytes for leaf in given) <= _LARGEST
    if step in _measured or not plain or step.lowered.known is not None:
        return
    _measured.add(step)
    measured, planned = touched_bytes(step, args), step.lowered.memory.peak_bytes
    assert measured <= planned and (measured == planned or _chooses(step)), (measured, planned)


def call_measured(step: Any, *args: Any, **kwargs: Any) -> Any:
    """`Compiled.__call__`; the step is measured before its first call."""
    assert_measured(step, args)
    return _called(step, *args, **kwargs)


def bind_measured(step: Any, *args: Any, **kwargs: Any) -> Any:
    """`Compiled.bind`, likewise."""
    assert_measured(step, args)
    return _bound(step, *args, **kwargs)


def plan_replayed(planner: Planner, *args: Any, **kwargs: Any) -> Planning:
    """`Planner.plan`, of which the result is replayed."""
    planning = _planned(planner, *args, **kwargs)
    program = planning.plan.program
    assert replay(program) == program.plan.peak
    return planning


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


def patches() -> Iterator[tuple[type, str, Callable]]:
    """What every test runs instead."""
    yield Compiled, "__call__", call_measured
    yield Compiled, "bind", bind_measured
    yield Planner, "plan", plan_replayed
