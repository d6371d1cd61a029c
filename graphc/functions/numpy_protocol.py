"""NumPy's functions applied to tensors: `np.exp(t)`, `np.sum(t, axis=0)`, `array * t`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import functions
from graphc.errors import TraceError
from graphc.functions.promotion import OPERANDS, as_tensor
from graphc.ir.site import located
from graphc.tensor import Tensor

#: Names of NumPy that differ from the Array API's.
_RENAMED = {
    "absolute": "abs",
    "fabs": "abs",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "bitwise_not": "bitwise_invert",
    "concatenate": "concat",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "power": "pow",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "true_divide": "divide",
}
#: The folds of binary ufuncs: `np.add.reduce`.
_FOLDS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}


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
    if method == "reduce" and ufunc in _FOLDS:
        kwargs.setdefault("axis", 0)
        return getattr(functions, _FOLDS[ufunc])(*inputs, **_plain(kwargs))
    function = _counterpart(ufunc.__name__)
    if method != "__call__" or function is None or kwargs:
        raise _unsupported(ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}")
    return function(*inputs)


def apply_array_function(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A function of NumPy's namespace with a tensor among its arguments."""
    name = func.__name__
    adapted = _ADAPTED.get(func)
    function = adapted or _counterpart(name)
    if function is None:
        raise _unsupported(name)
    return function(*args, **_plain(kwargs))


def _counterpart(name: str) -> Callable | None:
    return getattr(functions, _RENAMED.get(name, name), None)


def _plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Without arguments that NumPy passes on though the user did not give them."""
    return {
        k: v for k, v in kwargs.items() if v is not np._NoValue and not (k == "out" and v is None)
    }


def _unsupported(name: str) -> TraceError:
    return TraceError(located(f"np.{name} does not work on tensors; look for a function in gx"))


def _reducer(name: str) -> Callable:
    """NumPy's reductions take the axis as their second positional argument."""

    def function(a: Any, axis: Any = None, **options: Any) -> Tensor:
        if "ddof" in options:
            options["correction"] = options.pop("ddof")
        return getattr(functions, name)(a, axis=axis, **options)

    return function


def _transpose(a: Any, axes: Any = None) -> Tensor:
    return as_tensor(a).T if axes is None else functions.permute_dims(a, axes)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    value = as_tensor(x)
    axes = axis if axis is not None else None if ord is None else tuple(range(value.ndim))
    if isinstance(axes, tuple) and len(axes) == 2:
        return functions.linalg.matrix_norm(x, ord="fro" if ord is None else ord, keepdims=keepdims)
    return functions.linalg.vector_norm(
        x, ord=2 if ord is None else ord, axis=axes, keepdims=keepdims
    )


_REDUCTIONS = (
    *("sum", "prod", "mean", "var", "std", "max", "min", "all", "any", "argmax", "argmin"),
    *("count_nonzero", "sort", "argsort", "diff"),
)

_ADAPTED: dict[Callable, Callable] = {
    **{
        getattr(np, name): _reducer(name)
        for name in (
            [
                "sum",
                "prod",
                "mean",
                "var",
                "std",
                "max",
                "min",
                "all",
                "any",
                "argmax",
                "argmin",
                "count_nonzero",
                "sort",
                "argsort",
            ]
        )
    },
    np.transpose: _transpose,
    np.expand_dims: lambda a, axis: functions.expand_dims(a, axis=axis),
    np.squeeze: lambda a, axis=None: as_tensor(a).squeeze(axis),
    np.flip: lambda m, axis=None: functions.flip(m, axis=axis),
    np.roll: lambda a, shift, axis=None: functions.roll(a, shift, axis=axis),
    np.repeat: lambda a, repeats, axis=None: functions.repeat(a, repeats, axis=axis),
    np.concatenate: lambda arrays, axis=0: functions.concat(arrays, axis=axis),
    np.stack: lambda arrays, axis=0: functions.stack(arrays, axis=axis),
    np.split: lambda ary, indices_or_sections, axis=0: functions.split(
        ary, indices_or_sections, axis=axis
    ),
    np.take: lambda a, indices, axis=None: as_tensor(a).take(indices, axis),
    np.cumsum: lambda a, axis=None: as_tensor(a).cumsum(axis),
    np.cumprod: lambda a, axis=None: as_tensor(a).cumprod(axis),
    np.tril: lambda m, k=0: functions.tril(m, k=k),
    np.triu: lambda m, k=0: functions.triu(m, k=k),
    np.tensordot: lambda a, b, axes=2: functions.tensordot(a, b, axes=axes),
    np.linalg.norm: _norm,
    np.shape: lambda a: as_tensor(a).shape,
    np.ndim: lambda a: as_tensor(a).ndim,
    np.size: lambda a, axis=None: as_tensor(a).size if axis is None else as_tensor(a).shape[axis],
}
