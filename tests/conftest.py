"""What holds for all tests."""

from __future__ import annotations

import copy

import numpy as np
import pytest

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
