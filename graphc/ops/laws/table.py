"""The table of laws, keyed by operator class, and the questions that laws ask about values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.dtypes import DType
from graphc.ir.graph import Op, Value
from graphc.ops.shape import Broadcast, Reshape

#: `law(op, *inputs)` gives an equal, simpler value for the one result of the operator, or None.
Law = Callable[..., Value | None]

_entered: dict[type[Op], list[Law]] = {}
_collected: dict[type[Op], tuple[Law, ...]] = {}


def law(*operators: type[Op]) -> Callable[[Law], Law]:
    """Enters a function as a law of some operators, or of families of them."""

    def enter(function: Law) -> Law:
        for operator in operators:
            _entered.setdefault(operator, []).append(function)
        _collected.clear()
        return function

    return enter


def laws_of(operator: type[Op]) -> tuple[Law, ...]:
    """The laws of an operator, its own before those of its family."""
    found = _collected.get(operator)
    if found is None:
        found = tuple(law for cls in operator.__mro__ for law in _entered.get(cls, ()))
        _collected[operator] = found
    return found


def filling(x: Value) -> np.ndarray | None:
    """The one number (a 0-d array) with which a constant or its broadcast fills x."""
    node = x.node
    if isinstance(node.op, (Broadcast, Reshape)):
        node = node.inputs[0].node
    literal = node.op.literal
    return literal.reshape(()) if literal is not None and literal.size == 1 else None


def is_filled(x: Value, number: float) -> bool:
    """Whether x is the number everywhere, bit for bit: -0.0 is not 0.0 in a float."""
    found = filling(x)
    return found is not None and found.tobytes() == _bits(number, x.dtype)


def _bits(number: float, dtype: DType) -> bytes:
    # Through int64, so that -1 is the largest number of an unsigned type, as it is when adding.
    # Not cached: 0.0 and -0.0 would be the same key.
    wide = number if dtype.is_float else np.int64(number)
    return np.asarray(wide).astype(dtype.numpy).tobytes()


def filled_like(x: Value, number: Any) -> Value:
    return ops.full(x.shape, number, x.dtype)


def neutral_zero(dtype: DType) -> float:
    """The number that changes nothing when added: -0.0 for floats, as -0.0 + 0.0 is 0.0."""
    return -0.0 if dtype.is_float else 0
