"""What holds for all tests."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from graphc.stages import Compiled
from tests.measuring import touched_bytes

#: Larger arenas are measured where a test asks for it.
_LARGEST_ARENA = 1 << 26

_fresh: dict[int, dict] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test draws the same numbers alone, in any order and in any process: its module's random
    generator begins anew.
    """
    for value in vars(getattr(item, "module", item)).values():
        if isinstance(value, np.random.Generator):
            state = _fresh.setdefault(id(value), copy.deepcopy(value.bit_generator.state))
            value.bit_generator.state = state


@pytest.fixture(autouse=True)
def _measured(monkeypatch):
    """What a step that a test compiles and calls touches of its arena is what was planned, to the
    byte.
    """
    call = Compiled.__call__
    seen = set()

    def measuring(self, *args, **kwargs):
        result = call(self, *args, **kwargs)
        planned = self.lowered.program.plan.peak
        if self not in seen and planned <= _LARGEST_ARENA:
            seen.add(self)
            touched = touched_bytes(self, args)
            assert touched == planned, f"{self}: {touched} bytes touched, {planned} planned"
        return result

    monkeypatch.setattr(Compiled, "__call__", measuring)
