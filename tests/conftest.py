"""What holds for all tests."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest

from graphc.build import pool, sources
from tests import measuring

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


@pytest.fixture(autouse=True, scope="session")
def every_thread() -> Iterator[None]:
    """Regions run on as many threads as they ask for, whatever the machine has and does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_new_pool", lambda: pool.RuntimePool(cores=0))
        yield


@pytest.fixture(autouse=True, scope="session")
def lowered_anew() -> Iterator[None]:
    """No step is taken from the cache as it was lowered before: some tests change how that is done.
    `tests/build/test_stepcode.py` is about those that are.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "digest", lambda: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def every_arena_is_measured() -> Iterator[None]:
    """Every plan is replayed by a checker that knows no planner, and whatever is compiled touches
    its arena as planned, to the byte.
    """
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, measured in measuring.patches():
            patch.setattr(owner, name, measured)
        yield
