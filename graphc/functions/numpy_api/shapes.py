"""NumPy's functions that move, join and split elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import functions as f
from graphc.errors import ShapeError
from graphc.functions.promotion import as_tensor, one_axis
from graphc.ir.site import located
from graphc.tensor import Tensor


def diag(v: Any, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix, or the matrix with the vector v on its k-th diagonal."""
    x = as_tensor(v)
    if x.ndim == 2:
        return f.linalg.diagonal(x, offset=k)
    if x.ndim != 1:
        raise ShapeError(located(f"diag({x.type}): 1 or 2 axes required"))
    # Element i stands in row i + max(-k, 0): a column that all columns of the matrix share.
    column = f.pad(x, (max(-k, 0), max(k, 0))).reshape((-1, 1))
    n = column.shape[0]
    return f.where(f.eye(n, k=k, dtype="bool"), column, f.zeros((n, n), dtype=x.dtype))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonals of the matrices in two axes, as a last axis."""
    return f.linalg.diagonal(f.moveaxis(a, (axis1, axis2), (-2, -1)), offset=offset)


def _diagflat(v: Any, k: int = 0) -> Tensor:
    return diag(as_tensor(v).ravel(), k)


def _at_least(ndim: int) -> Callable[..., Any]:
    def widened(*arrays: Any) -> Any:
        found = [_widened(as_tensor(a), ndim) for a in arrays]
        return found[0] if len(found) == 1 else tuple(found)

    return widened


def _widened(x: Tensor, ndim: int) -> Tensor:
    """NumPy's places for new axes: before a row, around a row for three, behind a matrix."""
    if x.ndim >= ndim:
        return x
    if ndim < 3 or x.ndim == 0:
        return x.reshape((1,) * (ndim - x.ndim) + x.shape)
    return x.reshape((1, *x.shape, 1) if x.ndim == 1 else (*x.shape, 1))


def _stacked(ndim: int, axis: int) -> Callable[..., Tensor]:
    def stacked(tup: Sequence[Any], *, dtype: Any = None) -> Tensor:
        return _joined([_widened(as_tensor(a), ndim) for a in tup], axis, dtype)

    return stacked


def _hstack(tup: Sequence[Any], *, dtype: Any = None) -> Tensor:
    parts = [_widened(as_tensor(a), 1) for a in tup]
    return _joined(parts, 0 if parts[0].ndim == 1 else 1, dtype)


def _concatenate(arrays: Sequence[Any], axis: int | None = 0, *, dtype: Any = None) -> Tensor:
    return _joined(arrays, axis, dtype)


def _stack(arrays: Sequence[Any], axis: int = 0, *, dtype: Any = None) -> Tensor:
    result = f.stack(arrays, axis=axis)
    return result if dtype is None else result.astype(dtype)


def _joined(parts: Sequence[Any], axis: int | None, dtype: Any) -> Tensor:
    result = f.concat(parts, axis=axis)
    return result if dtype is None else result.astype(dtype)


def _column_stack(tup: Sequence[Any]) -> Tensor:
    parts = [as_tensor(a) for a in tup]
    return f.concat([p.reshape((p.size, 1)) if p.ndim < 2 else p for p in parts], axis=1)


def _block(arrays: Any) -> Tensor:
    """Nested lists of blocks: the innermost are joined along the last axis, and so on outwards."""

    def depth(x: Any) -> int:
        return 1 + max(map(depth, x)) if isinstance(x, list) else 0

    def ndim(x: Any) -> int:
        return max(map(ndim, x)) if isinstance(x, list) else as_tensor(x).ndim

    levels = depth(arrays)
    wide = max(levels, ndim(arrays))

    def joined(x: Any, level: int) -> Tensor:
        if not isinstance(x, list):
            value = as_tensor(x)
            return value.reshape((1,) * (wide - value.ndim) + value.shape)
        return f.concat([joined(y, level - 1) for y in x], axis=-level)

    return joined(arrays, levels)


def _append(arr: Any, values: Any, axis: int | None = None) -> Tensor:
    if axis is None:
        return f.concat([arr, values], axis=None)
    return f.concat([arr, values], axis=axis)


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Tensor:
    x = as_tensor(arr)
    flat = x.ravel() if axis is None else x
    a = one_axis(0 if axis is None else axis, flat.ndim, "delete")
    return f.take(flat, np.delete(np.arange(flat.shape[a]), obj), axis=a)


def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Tensor:
    x = as_tensor(arr)
    flat = x.ravel() if axis is None else x
    a = one_axis(0 if axis is None else axis, flat.ndim, "insert")
    n = flat.shape[a]
    given = as_tensor(values)
    at = np.asarray(obj)
    if at.ndim == 0 and given.ndim > 0:
        # One position: NumPy puts all of the values there.
        given = f.moveaxis(given.reshape((1,) * (flat.ndim - given.ndim) + given.shape), 0, a)
        count = given.shape[a]
        at = np.full(count, at)
    else:
        count = max(at.size, 1)
    wanted = (*flat.shape[:a], count, *flat.shape[a + 1 :])
    order = np.insert(np.arange(n), at.ravel(), n + np.arange(count))
    both = f.concat([flat, f.broadcast_to(given, wanted).astype(flat.dtype)], axis=a)
    return f.take(both, order, axis=a)


def _rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    x = as_tensor(m)
    first, second = (one_axis(a, x.ndim, "rot90") for a in axes)
    if k % 2 == 0:
        return f.flip(x, axis=(first, second)) if k % 4 else x
    turned = f.swapaxes(x, first, second)
    return f.flip(turned, axis=first if k % 4 == 1 else second)


def _rollaxis(a: Any, axis: int, start: int = 0) -> Tensor:
    x = as_tensor(a)
    source = one_axis(axis, x.ndim, "rollaxis")
    before = start + x.ndim if start < 0 else start
    if not 0 <= before <= x.ndim:
        raise ShapeError(located(f"rollaxis({x.type}): start {start} is not an axis"))
    return f.moveaxis(x, source, before - (source < before))


def _resize(a: Any, new_shape: Any) -> Tensor:
    """The elements again and again, as many as fit."""
    x = as_tensor(a).ravel()
    shape = (new_shape,) if isinstance(new_shape, int) else tuple(new_shape)
    if not x.size:
        return f.zeros(shape, dtype=x.dtype)
    return x[np.arange(math.prod(shape)) % x.size].reshape(shape)


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    return f.split(ary, indices_or_sections, axis=axis)


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts of which the first may be longer by one."""
    x, sections = as_tensor(ary), indices_or_sections
    if isinstance(sections, int):
        each, longer = divmod(x.shape[axis], sections)
        lengths = [each + (k < longer) for k in range(sections)]
        sections = np.cumsum(lengths)[:-1].tolist()
    return f.split(x, sections, axis=axis)


def _split_along(name: str, axis: int) -> Callable[..., list[Tensor]]:
    def parts(ary: Any, indices_or_sections: Any) -> list[Tensor]:
        x = as_tensor(ary)
        if x.ndim <= axis - (name == "hsplit"):
            raise ShapeError(located(f"{name}({x.type}): at least {axis + 1} axes required"))
        return f.split(x, indices_or_sections, axis=min(axis, x.ndim - 1))

    return parts


def _ravel(a: Any, order: str = "C") -> Tensor:
    return _reshape(a, -1, order)


def _reshape(a: Any, shape: Any, order: str = "C") -> Tensor:
    """Elements in the order of C, last axis fastest, or of Fortran, first axis fastest."""
    x = as_tensor(a)
    if order not in ("C", "F"):
        raise ShapeError(located(f"reshape: order 'C' or 'F' required, got {order!r}"))
    if order == "C":
        return f.reshape(x, shape)
    backwards = (shape,) if isinstance(shape, int) else tuple(shape)[::-1]
    return _reversed_axes(f.reshape(_reversed_axes(x), backwards))


def _reversed_axes(x: Tensor) -> Tensor:
    return f.permute_dims(x, tuple(range(x.ndim))[::-1])


def _triangle(name: str) -> Callable[..., Any]:
    def positions(arr: Any, k: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = as_tensor(arr).shape[-2:]
        return getattr(np, name)(rows, k, columns)

    return positions


TABLE: dict[str, Callable[..., Any]] = {
    "append": _append,
    "array_split": _array_split,
    "atleast_1d": _at_least(1),
    "atleast_2d": _at_least(2),
    "atleast_3d": _at_least(3),
    "block": _block,
    "column_stack": _column_stack,
    "concatenate": _concatenate,
    "copy": lambda a, order="K", subok=False: as_tensor(a),
    "delete": _delete,
    "diag": diag,
    "diag_indices_from": lambda arr: np.diag_indices(len(as_tensor(arr)), as_tensor(arr).ndim),
    "diagflat": _diagflat,
    "diagonal": diagonal,
    "dsplit": _split_along("dsplit", 2),
    "dstack": _stacked(3, 2),
    "fliplr": lambda m: f.flip(m, axis=1),
    "flipud": lambda m: f.flip(m, axis=0),
    "hsplit": _split_along("hsplit", 1),
    "hstack": _hstack,
    "insert": _insert,
    "ravel": _ravel,
    "reshape": _reshape,
    "resize": _resize,
    "rollaxis": _rollaxis,
    "rot90": _rot90,
    "split": _split,
    "stack": _stack,
    "tril_indices_from": _triangle("tril_indices"),
    "triu_indices_from": _triangle("triu_indices"),
    "vsplit": _split_along("vsplit", 0),
    "vstack": _stacked(2, 0),
}
