"""Arrays from outside that become part of a graph: copied in as constants, or, while a function
is traced and they are large, as hidden inputs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, as_dtype
from graphc.errors import ConstantWarning
from graphc.ir.graph import Value, new_input
from graphc.ir.site import warn

#: Arrays of more bytes than this are not baked into a traced function.
LARGEST_CONSTANT = 1 << 20


class Captured:
    """The large arrays that one trace met: hidden inputs, each with a copy of its array."""

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.arrays: list[np.ndarray] = []
        # The original is held, so that its id is not used again during the trace.
        self._known: dict[int, tuple[np.ndarray, Value]] = {}

    def take(self, array: np.ndarray) -> Value:
        known = self._known.get(id(array))
        if known is not None:
            return known[1]
        type = TensorType(array.shape, as_dtype(array.dtype))
        warn(
            f"a {type} array of {array.nbytes / 2**20:.1f} MiB from outside the function became a"
            " hidden input; pass it as an argument to be able to change it",
            ConstantWarning,
        )
        value = new_input(f"closure[{len(self.inputs)}]", type)
        self.inputs.append(value)
        self.arrays.append(array.astype(type.dtype.numpy, order="C", copy=True))
        self._known[id(array)] = (array, value)
        return value


class _Current(threading.local):
    traces: tuple[Captured, ...] = ()


_current = _Current()


@contextmanager
def capturing() -> Iterator[Captured]:
    """Large arrays met inside become hidden inputs of the innermost trace."""
    before = _current.traces
    captured = Captured()
    _current.traces = (*before, captured)
    try:
        yield captured
    finally:
        _current.traces = before


def from_array(array: np.ndarray) -> Value:
    if array.nbytes > LARGEST_CONSTANT and _current.traces:
        return _current.traces[-1].take(array)
    return ops.constant(array)
