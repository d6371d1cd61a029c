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
    if function is None:
        raise _unsupported(ufunc.__name__)
    return _call(function, ufunc.__name__, inputs, kwargs)


def apply_array_function(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A function of NumPy's namespace with a tensor among its arguments."""
    module = getattr(func, "__module__", "numpy") or "numpy"
    name = func.__name__
    function = _counterpart(name, module)
    if function is None:
        raise _unsupported(name)
    theirs = _signature(func)
    if theirs is not None:
        args, kwargs = _renamed(theirs, _signature(function) or theirs, name, args, kwargs)
    return _call(function, name, args, kwargs)


def _call(function: Callable, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise TraceError(located(f"np.{name} of a tensor: {error}")) from None
    return function(*args, **kwargs)


def _renamed(
    theirs: inspect.Signature,
    ours: inspect.Signature,
    name: str,
    args: tuple,
    kwargs: dict[str, Any],
) -> tuple[tuple, dict[str, Any]]:
    """Arguments bound by NumPy's signature, as our function takes them: by name, or where names
    differ by place. Where an argument has NumPy's default, our own default has the same meaning.
    """
    bound = theirs.bind(*args, **kwargs)
    bound.apply_defaults()
    given = dict(bound.arguments)
    defaults = {k: p.default for k, p in theirs.parameters.items()}
    for k, p in theirs.parameters.items():
        if p.kind is p.VAR_KEYWORD:
            given |= given.pop(k)
    places = list(theirs.parameters)
    spread = any(p.kind is p.VAR_POSITIONAL for p in ours.parameters.values())
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for place, (own, parameter) in enumerate(ours.parameters.items()):
        elsewhere = own not in given and own not in defaults and place < len(places)
        name_there = places[place] if elsewhere else own
        if name_there not in given or (elsewhere and name_there in ours.parameters):
            continue
        value = given.pop(name_there)
        optional = parameter.default is not parameter.empty
        if optional and value is defaults.get(name_there, parameter.empty):
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(value)
        elif parameter.kind is parameter.POSITIONAL_ONLY or (
            spread and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ):
            positional.append(value)
        else:
            named[own] = value
    rest = {k: v for k, v in given.items() if k not in defaults or v is not defaults[k]}
    if rest:
        unknown = ", ".join(f"{k}={v!r}" for k, v in rest.items())
        raise TraceError(located(f"np.{name} of a tensor does not take {unknown}"))
    return tuple(positional), named


@cache
def _signature(func: Callable) -> inspect.Signature | None:
    """A function's signature, where it has one: some of NumPy's, in C, have none."""
    try:
        return inspect.signature(func)
    except ValueError:
        return None


def _counterpart(name: str, module: str) -> Callable | None:
    """What stands for a function of NumPy: one with its signature, or the one of its name."""
    inner = "linalg" in module
    adapted = _adapted().get(f"linalg.{name}" if inner else name)
    own = functions.linalg if inner else functions
    return adapted or getattr(own, INSTEAD.get(name, name), None)


@cache
def _adapted() -> dict[str, Callable]:
    # These files are made of all other functions.
    from graphc.functions.numpy_api import elementwise, products, shapes, signatures, statistics

    tables = [module.TABLE for module in (signatures, shapes, elementwise, products, statistics)]
    return {name: function for table in tables for name, function in table.items()}


def _unsupported(name: str) -> TraceError:
    why = reason(name) or "look for a function in gx"
    return TraceError(located(f"np.{name} does not work on tensors: {why}"))
