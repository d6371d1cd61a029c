"""NumPy's functions that the Array API has under another signature: argument order, names and
defaults here are NumPy's.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
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


def _accumulator(name: str) -> Callable[..., Tensor]:
    function = getattr(functions, name)

    def reduced(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Tensor:
        return function(a, axis=axis, dtype=dtype, keepdims=keepdims)

    return reduced


def _spread(name: str) -> Callable[..., Tensor]:
    function = getattr(functions, name)

    def reduced(
        a: Any, axis: Any = None, *, ddof: float = 0, correction: float = 0, keepdims: bool = False
    ) -> Tensor:
        return function(a, axis=axis, correction=ddof or correction, keepdims=keepdims)

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


def _where(condition: Any, *choices: Any) -> Tensor:
    if not choices:
        raise TraceError(
            located("np.where(condition) gives a shape that depends on data; give both choices")
        )
    return functions.where(condition, *choices)


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


def _sections(name: str) -> Callable[..., list[Tensor]]:
    """Splits whose first parts may be longer by one, or along a fixed axis."""

    def parts(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
        x = as_tensor(ary)
        sections = indices_or_sections
        if name == "array_split" and isinstance(sections, int):
            each, longer = divmod(x.shape[axis], sections)
            lengths = [each + (k < longer) for k in range(sections)]
            sections = [builtins.sum(lengths[: k + 1]) for k in range(len(lengths) - 1)]
        return functions.split(x, sections, axis=axis)

    return parts


def _concatenate(arrays: Sequence[Any], axis: int | None = 0, *, dtype: Any = None) -> Tensor:
    result = functions.concat(arrays, axis=axis)
    return result if dtype is None else result.astype(dtype)


def _stack(arrays: Sequence[Any], axis: int = 0, *, dtype: Any = None) -> Tensor:
    result = functions.stack(arrays, axis=axis)
    return result if dtype is None else result.astype(dtype)


def _like(name: str) -> Callable[..., Tensor]:
    function = getattr(functions, name)

    def made(a: Any, dtype: Any = None, order: str = "K", subok: bool = True) -> Tensor:
        return function(a, dtype=dtype)

    return made


SIGNATURES: dict[str, Callable[..., Any]] = {
    **{n: _reducer(n) for n in ("max", "min", "all", "any", "argmax", "argmin", "mean")},
    **{n: _reducer(n) for n in ("count_nonzero",)},
    **{n: _accumulator(n) for n in ("sum", "prod")},
    **{n: _spread(n) for n in ("var", "std")},
    **{n: _ordered(n) for n in ("sort", "argsort")},
    **{n: _like(n) for n in ("zeros_like", "ones_like", "empty_like")},
    "amax": _reducer("max"),
    "amin": _reducer("min"),
    "array_split": _sections("array_split"),
    "clip": _clip,
    "concatenate": _concatenate,
    "cumprod": _along("cumulative_prod"),
    "cumsum": _along("cumulative_sum"),
    "diff": lambda a, n=1, axis=-1, prepend=None, append=None: functions.diff(
        a, axis=axis, n=n, prepend=prepend, append=append
    ),
    "expand_dims": lambda a, axis: functions.expand_dims(a, axis=axis),
    "flip": lambda m, axis=None: functions.flip(m, axis=axis),
    "full_like": lambda a, fill_value, dtype=None: functions.full_like(a, fill_value, dtype=dtype),
    "linalg.norm": norm,
    "ndim": lambda a: as_tensor(a).ndim,
    "repeat": lambda a, repeats, axis=None: functions.repeat(a, repeats, axis=axis),
    "reshape": lambda a, shape, order="C": functions.reshape(a, shape),
    "roll": lambda a, shift, axis=None: functions.roll(a, shift, axis=axis),
    "round": _round,
    "searchsorted": lambda a, v, side="left", sorter=None: functions.searchsorted(
        a, v, side=side, sorter=sorter
    ),
    "shape": _shape,
    "size": _size,
    "split": _sections("split"),
    "squeeze": lambda a, axis=None: as_tensor(a).squeeze(axis),
    "stack": _stack,
    "take": lambda a, indices, axis=None: as_tensor(a).take(indices, axis),
    "tensordot": lambda a, b, axes=2: functions.tensordot(a, b, axes=axes),
    "transpose": _transpose,
    "tril": lambda m, k=0: functions.tril(m, k=k),
    "triu": lambda m, k=0: functions.triu(m, k=k),
    "where": _where,
}
