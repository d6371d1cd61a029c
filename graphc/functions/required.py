"""What arguments that are no tensors have to be. Errors name the user's line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import dtypes
from graphc.dtypes import TensorType
from graphc.errors import ArgumentError, DTypeError, ShapeError, TraceError
from graphc.ir.site import located


def number(x: Any, name: str, what: str) -> Any:
    """A Python or NumPy number; `ArgumentError` for anything else."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (int, float, np.number)):
        raise ArgumentError(located(f"{name}: {what} is a number, got {type(x).__name__}"))
    return x


def numbers(name: str, **options: Any) -> None:
    """All of these are numbers."""
    for what, x in options.items():
        number(x, name, what)


def function(x: Any, name: str) -> None:
    """Something to call; `TraceError` for anything else."""
    if not callable(x):
        raise TraceError(located(f"{name}: a function is required, got {type(x).__name__}"))


def tensor_type(shape: int | Sequence[int], dtype: Any, name: str) -> TensorType:
    """The type of a shape and a dtype; `ShapeError` or `DTypeError` where they are none."""
    if not isinstance(shape, (int, np.integer, tuple, list)):
        raise ShapeError(located(f"{name}: a shape of integers required, got {shape!r}"))
    try:
        return dtypes.tensor_type(shape, dtype)
    except ShapeError as error:
        raise ShapeError(located(f"{name}: {error}")) from None
    except DTypeError as error:
        raise DTypeError(located(f"{name}: {error}")) from None
