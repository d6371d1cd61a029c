"""NumPy's functions applied to tensors: `np.exp(t)`, `np.sum(t, axis=0)`, `array * t`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from graphc import functions
from graphc.errors import TraceError
from graphc.functions.absent import INSTEAD, reason
from graphc.functions.promotion import OPERANDS, as_tensor
from graphc.ir.site import located

#: The folds of binary ufuncs, `np.add.reduce`, and the same step by step, `np.add.accumulate`.
_FOLDS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}
_ACCUMULATORS = {
    np.add: "cumulative_sum",
    np.multiply: "cumulative_prod",
    np.logaddexp: "cumulative_logsumexp",
}


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: tuple, kwargs: dict[str, Any]) -> Any:
    """A NumPy ufunc of operands among which is a tensor."""
    if kwargs.pop("out", None) is not None:
        raise TraceError(
            located(
                f"np.{ufunc.__name__} cannot write a tensor into an array; "
                "write result = a + t instead of a += t"
            )
        )
    if not all(isinstance(x, OPERANDS) for x in inputs):
        return NotImplemented
    function = _counterpart(ufunc.__name__, "numpy")
    if method == "reduce" and ufunc in _FOLDS:
        function = getattr(functions, _FOLDS[ufunc])
        kwargs.setdefault("axis", 0)
    elif method == "accumulate" and ufunc in _ACCUMULATORS:
        function = getattr(functions, _ACCUMULATORS[ufunc])
        kwargs.setdefault("axis", 0)
    elif method == "outer" and ufunc.nin == 2:
        left, right = (as_tensor(x) for x in inputs)
        inputs = left.reshape(left.shape + (1,) * right.ndim), right
    elif method != "__call__":
        raise _unsupported(f"{ufunc.__name__}.{method}")
    return _call(function, ufunc.__name__, inputs, kwargs)


def apply_array_function(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A function of NumPy's namespace with a tensor among its arguments."""
    module = getattr(func, "__module__", "numpy") or "numpy"
    return _call(_counterpart(func.__name__, module), func.__name__, args, kwargs)


def _call(function: Callable | None, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    if function is None:
        raise _unsupported(name)
    given = {
        # NumPy passes on arguments that the user did not give.
        k: v
        for k, v in kwargs.items()
        if v is not np._NoValue and not (k == "out" and v is None)
    }
    try:
        inspect.signature(function).bind(*args, **given)
    except TypeError as error:
        raise TraceError(located(f"np.{name} of a tensor: {error}")) from None
    return function(*args, **given)


def _counterpart(name: str, module: str) -> Callable | None:
    """What stands for a function of NumPy: one with its signature, or the one of its name."""
    inner = "linalg" in module
    adapted = _adapted().get(f"linalg.{name}" if inner else name)
    own = functions.linalg if inner else functions
    return adapted or getattr(own, INSTEAD.get(name, name), None)


@cache
def _adapted() -> dict[str, Callable]:
    # These files are made of all other functions.
    from graphc.functions.numpy_only import ONLY
    from graphc.functions.numpy_signatures import SIGNATURES

    return ONLY | SIGNATURES


def _unsupported(name: str) -> TraceError:
    why = reason(name) or "look for a function in gx"
    return TraceError(located(f"np.{name} does not work on tensors: {why}"))
