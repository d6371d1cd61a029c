"""stop_gradient, and what a step would be without it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graphc import ops, tree
from graphc.functions.promotion import as_value
from graphc.ir.site import Site, here
from graphc.tensor import Tensor


class _Current(threading.local):
    #: The user's lines of the current trace that stop gradients.
    stops: dict[Site | None, None] | None = None
    passing: bool = False


_current = _Current()


def stop_gradient(x: Any) -> Any:
    """The values of a pytree forward, nothing backward (PyTorch's `detach`). What that saves is
    `lowered.memory.frozen`.
    """
    if _current.stops is not None:
        _current.stops[here()] = None
    if _current.passing:
        return tree.map(lambda leaf: Tensor(as_value(leaf)), x)
    return tree.map(detached, x)


def detached(x: Any) -> Tensor:
    """What formulas of the library's own hold fixed: no line of the user's."""
    return Tensor(ops.stop_gradient(as_value(x)))


@contextmanager
def stopping(passing: bool = False) -> Iterator[dict[Site | None, None]]:
    """The user's lines inside that stop gradients; with `passing` they let them pass."""
    before = _current.stops, _current.passing
    own: dict[Site | None, None] = {}
    _current.stops, _current.passing = own, passing
    try:
        yield own
    finally:
        _current.stops, _current.passing = before
