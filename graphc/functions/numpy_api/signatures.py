"""NumPy's functions that the Array API has under another signature: argument order, names and
defaults here are NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import functions
from graphc.errors import TraceError
from graphc.functions.promotion import as_tensor, axis_tuple
from graphc.ir.site import located
from graphc.tensor import Tensor


def _reducer(name: str) -> Callable[..., Tensor]:
    function = getattr(functions, name)

    def reduced(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        return function(a, axis=axis, keepdims=keepdims)

    return reduced


def _fold(name: str, combine: str, neutral: float | None) -> Callable[..., Tensor]:
    """A reduction from `initial`, of the elements where `where` holds; without a neutral element
    NumPy asks for `initial` there.
    """
    function = getattr(functions, name)

    def folded(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        *,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Tensor:
        x, options = as_tensor(a), {} if dtype is None else {"dtype": dtype}
        if where is not None:
            filling = neutral if initial is None else initial
            if filling is None:
                raise TraceError(located(f"np.{name} with `where` needs `initial`"))
            x = functions.where(where, x, neutral if neutral is not None else filling)
        result = function(x, axis=axis, keepdims=keepdims, **options)
        return result if initial is None else getattr(functions, combine)(result, initial)

    return folded


def _mean(name: str) -> Callable[..., Tensor]:
    """A mean or spread; `ddof` and `correction` are the same for the latter."""
    function = getattr(functions, name)

    def reduced(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        *,
        ddof: float = 0,
        correction: float = 0,
        keepdims: bool = False,
    ) -> Tensor:
        x = as_tensor(a) if dtype is None else as_tensor(a).astype(dtype)
        less = {"correction": ddof or correction} if ddof or correction else {}
        return function(x, axis=axis, keepdims=keepdims, **less)

    return reduced


def _along(name: str) -> Callable[..., Tensor]:
    """A cumulative function, which flattens where no axis is given."""
    function = getattr(functions, name)

    def accumulated(a: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
        x = as_tensor(a)
        flat = x.ravel() if axis is None else x
        return function(flat, axis=0 if axis is None else axis, dtype=dtype)

    return accumulated


def _ordered(name: str) -> Callable[..., Tensor]:
    function = getattr(functions, name)

    def ordered(
        a: Any, axis: int | None = -1, kind: Any = None, *, stable: bool | None = None
    ) -> Tensor:
        x = as_tensor(a)
        return function(x.ravel()) if axis is None else function(x, axis=axis)

    return ordered


def _transpose(a: Any, axes: Any = None) -> Tensor:
    return as_tensor(a).T if axes is None else functions.permute_dims(a, axes)


def _clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    *,
    min: Any = None,
    max: Any = None,
) -> Tensor:
    low = min if a_min is None else a_min
    return functions.clip(a, low, max if a_max is None else a_max)


def _round(a: Any, decimals: int = 0) -> Tensor:
    if not decimals:
        return functions.round(a)
    scale = 10.0**decimals
    return functions.round(functions.multiply(a, scale)) / scale


def _where(condition: Any, x: Any = None, y: Any = None) -> Tensor:
    if x is None or y is None:
        raise TraceError(
            located("np.where(condition) gives a shape that depends on data; give both choices")
        )
    return functions.where(condition, x, y)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """np.linalg.norm: of a vector, of matrices for two axes, of everything without `ord`."""
    value = as_tensor(x)
    axes = axis_tuple(axis, value.ndim, "norm") if isinstance(axis, tuple) else axis
    if axis is None and ord is not None:
        if value.ndim not in (1, 2):
            raise TraceError(located(f"norm({value.type}): ord needs 1 or 2 axes, or `axis`"))
        axes = axis = tuple(range(value.ndim))
    if isinstance(axes, tuple) and len(axes) == 2:
        last = functions.moveaxis(value, axis, (-2, -1))
        kept = functions.linalg.matrix_norm(last, ord="fro" if ord is None else ord)
        return functions.expand_dims(kept, axis=axes) if keepdims else kept
    return functions.linalg.vector_norm(
        value, ord=2 if ord is None else ord, axis=axes, keepdims=keepdims
    )


def _shape(a: Any) -> tuple[int, ...]:
    return as_tensor(a).shape


def _size(a: Any, axis: int | None = None) -> int:
    return as_tensor(a).size if axis is None else as_tensor(a).shape[axis]


def _like(name: str) -> Callable[..., Tensor]:
    function, shaped = getattr(functions, f"{name}_like"), getattr(functions, name)

    def made(
        a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
    ) -> Tensor:
        if shape is None:
            return function(a, dtype=dtype)
        return shaped(shape, dtype=dtype or as_tensor(a).dtype)

    return made


TABLE: dict[str, Callable[..., Any]] = {
    **{n: _reducer(n) for n in ("all", "any", "argmax", "argmin", "count_nonzero")},
    **{n: _mean(n) for n in ("mean", "var", "std")},
    **{n: _ordered(n) for n in ("sort", "argsort")},
    **{f"{n}_like": _like(n) for n in ("zeros", "ones", "empty")},
    "amax": _fold("max", "maximum", None),
    "amin": _fold("min", "minimum", None),
    "clip": _clip,
    "cumprod": _along("cumulative_prod"),
    "cumsum": _along("cumulative_sum"),
    "diff": lambda a, n=1, axis=-1, prepend=None, append=None: functions.diff(
        a, axis=axis, n=n, prepend=prepend, append=append
    ),
    "einsum": lambda *operands, optimize=False: functions.einsum(*operands),
    "expand_dims": lambda a, axis: functions.expand_dims(a, axis=axis),
    "flip": lambda m, axis=None: functions.flip(m, axis=axis),
    "full_like": lambda a, fill_value, dtype=None: functions.full_like(a, fill_value, dtype=dtype),
    "linalg.norm": norm,
    "max": _fold("max", "maximum", None),
    "min": _fold("min", "minimum", None),
    "ndim": lambda a: as_tensor(a).ndim,
    "prod": _fold("prod", "multiply", 1),
    "repeat": lambda a, repeats, axis=None: functions.repeat(a, repeats, axis=axis),
    "roll": lambda a, shift, axis=None: functions.roll(a, shift, axis=axis),
    "round": _round,
    "searchsorted": lambda a, v, side="left", sorter=None: functions.searchsorted(
        a, v, side=side, sorter=sorter
    ),
    "shape": _shape,
    "size": _size,
    "squeeze": lambda a, axis=None: as_tensor(a).squeeze(axis),
    "sum": _fold("sum", "add", 0),
    "take": lambda a, indices, axis=None: as_tensor(a).take(indices, axis),
    "tensordot": lambda a, b, axes=2: functions.tensordot(a, b, axes=axes),
    "transpose": _transpose,
    "tril": lambda m, k=0: functions.tril(m, k=k),
    "triu": lambda m, k=0: functions.triu(m, k=k),
    "where": _where,
}
