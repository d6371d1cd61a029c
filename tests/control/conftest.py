from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest


@pytest.fixture
def jax() -> Iterator[ModuleType]:
    """JAX in double precision; a test that asks for it is skipped where it is not installed."""
    module = pytest.importorskip("jax", reason="JAX is the oracle of this test")
    with module.enable_x64():
        yield module
