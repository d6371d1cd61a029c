"""NumPy's functions of each element, of two, or of a choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import functions as f
from graphc.errors import DTypeError, ShapeError
from graphc.functions.promotion import as_tensor, operands
from graphc.ir.site import located
from graphc.tensor import Tensor


def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Tensor:
    """x with other numbers for NaN and the infinities; by default 0 and the largest finite ones."""
    value = as_tensor(x)
    if not value.dtype.is_float:
        return value
    limits = f.finfo(value.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    below = f.where(f.equal(value, -math.inf), low, value)
    bounded = f.where(f.equal(value, math.inf), high, below)
    return f.where(f.isnan(value), nan, bounded)


def _sinc(x: Any) -> Tensor:
    angle = f.multiply(as_tensor(x), math.pi)
    zero = f.equal(angle, 0.0)
    inside = f.where(zero, 1.0, angle)
    return f.where(zero, 1.0 - angle * angle / 6.0, f.sin(inside) / inside)


def _isclose(
    a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    x, y = (Tensor(v) for v in operands("isclose", a, b))
    near = f.less_equal(f.abs(x - y), atol + rtol * f.abs(y))
    same = f.logical_or(f.equal(x, y), f.logical_and(near, f.isfinite(y)))
    both = f.logical_and(f.isnan(x), f.isnan(y))
    return f.logical_or(same, both) if equal_nan else same


def _array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Tensor:
    x, y = as_tensor(a1), as_tensor(a2)
    if x.shape != y.shape:
        return f.asarray(False)
    same = f.equal(x, y)
    if equal_nan and x.dtype.is_float and y.dtype.is_float:
        same = f.logical_or(same, f.logical_and(f.isnan(x), f.isnan(y)))
    return f.all(same)


def _ignoring(better: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """fmax and fmin: a number wins over NaN."""

    def chosen(x1: Any, x2: Any) -> Tensor:
        x, y = (Tensor(v) for v in operands(better.__name__, x1, x2))
        return f.where(f.isnan(y), x, f.where(f.isnan(x), y, better(x, y)))

    return chosen


def _cbrt(x: Any) -> Tensor:
    """The real cube root, also of negative numbers; one Newton step makes up for the power's
    rounding.
    """
    value = as_tensor(x)
    size = f.abs(value)
    regular = f.logical_and(f.greater(size, 0.0), f.isfinite(size))
    inside = f.where(regular, size, 1.0)
    root = f.pow(inside, 1.0 / 3.0)
    better = root - (root - inside / (root * root)) / 3.0
    return f.where(regular, f.copysign(better, value), value)


def _fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder with the sign of the dividend."""
    x, y = (Tensor(v) for v in operands("fmod", x1, x2))
    rest = f.remainder(f.abs(x), f.abs(y))
    return f.copysign(rest, x) if x.dtype.is_float else f.where(f.less(x, 0), -rest, rest)


def _modf(x: Any) -> tuple[Tensor, Tensor]:
    """The fractional and the whole part, both with x's sign."""
    value = as_tensor(x)
    whole = f.trunc(value)
    return f.copysign(f.where(f.isfinite(value), value - whole, value * 0.0), value), whole


def _ldexp(x1: Any, x2: Any) -> Tensor:
    return f.multiply(x1, f.exp2(as_tensor(x2).astype(as_tensor(x1).dtype)))


def _unwrap(
    p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi
) -> Tensor:
    """Angles whose steps are not longer than half a period; whole periods are added."""
    x = as_tensor(p)
    if not x.dtype.is_float:
        raise DTypeError(located(f"unwrap({x.type}): required float"))
    steps = f.diff(x, axis=axis)
    half = period / 2
    short = f.remainder(steps + half, period) - half
    short = f.where(f.logical_and(f.equal(short, -half), f.greater(steps, 0.0)), half, short)
    least = half if discont is None else max(discont, half)
    added = f.where(f.less(f.abs(steps), least), 0.0, short - steps)
    last = f.moveaxis(x, axis, -1)
    shifts = f.cumulative_sum(f.moveaxis(added, axis, -1), axis=-1)
    rest = last[..., 1:] + shifts
    return f.moveaxis(f.concat([last[..., :1], rest], axis=-1), -1, axis)


def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """The choice of the first condition that holds."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(
            located(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
        )
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = f.where(condition, choice, result)
    return result


def _choose(a: Any, choices: Sequence[Any], *, mode: str = "raise") -> Tensor:
    """Element i of the result is element i of choice a[i], which "wrap" takes modulo the number of
    choices and "clip" to the nearest; "raise", the default, has to be right.
    """
    index, count = as_tensor(a), len(choices)
    if mode not in ("raise", "wrap", "clip"):
        raise ShapeError(located(f"choose: mode 'raise', 'wrap' or 'clip', got {mode!r}"))
    if mode != "raise":
        index = f.remainder(index, count) if mode == "wrap" else f.clip(index, 0, count - 1)
    *parts, index = f.broadcast_arrays(*choices, index)
    return f.take_along_axis(f.stack(parts), index[None], axis=0)[0]


def _isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    x, tests = as_tensor(element), as_tensor(test_elements).ravel()
    found = f.any(f.equal(f.expand_dims(x, axis=-1), tests), axis=-1)
    return f.logical_not(found) if invert else found


def _unravel_index(indices: Any, shape: Any) -> tuple[Tensor, ...]:
    rest, places = as_tensor(indices), []
    for extent in reversed((shape,) if isinstance(shape, int) else tuple(shape)):
        places.append(f.remainder(rest, extent))
        rest = f.floor_divide(rest, extent)
    return tuple(reversed(places))


def _real(x: Any) -> Tensor:
    """A tensor: all are real."""
    return as_tensor(x)


def _scaled(factor: float) -> Callable[[Any], Tensor]:
    return lambda x: f.multiply(as_tensor(x), factor)


def _infinite(sign: float) -> Callable[[Any], Tensor]:
    return lambda x: f.equal(x, sign * math.inf)


TABLE: dict[str, Callable[..., Any]] = {
    "allclose": lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: f.all(
        _isclose(a, b, rtol, atol, equal_nan)
    ),
    "around": lambda a, decimals=0: np.round(a, decimals),
    "array_equal": _array_equal,
    "cbrt": _cbrt,
    "choose": _choose,
    "conjugate": _real,
    "deg2rad": _scaled(math.pi / 180),
    "degrees": _scaled(180 / math.pi),
    "divmod": lambda x1, x2: (f.floor_divide(x1, x2), f.remainder(x1, x2)),
    "fix": f.trunc,
    "float_power": f.pow,
    "fmax": _ignoring(f.maximum),
    "fmin": _ignoring(f.minimum),
    "fmod": _fmod,
    "heaviside": lambda x1, x2: f.where(
        f.equal(x1, 0.0), x2, f.astype(f.greater(x1, 0.0), as_tensor(x1).dtype)
    ),
    "iscomplexobj": lambda x: False,
    "isclose": _isclose,
    "isin": _isin,
    "isneginf": _infinite(-1.0),
    "isposinf": _infinite(1.0),
    "isrealobj": lambda x: True,
    "ldexp": _ldexp,
    "logaddexp2": lambda x1, x2: (
        f.logaddexp(f.multiply(as_tensor(x1), math.log(2)), f.multiply(as_tensor(x2), math.log(2)))
        / math.log(2)
    ),
    "modf": _modf,
    "nan_to_num": nan_to_num,
    "rad2deg": _scaled(180 / math.pi),
    "radians": _scaled(math.pi / 180),
    "real": _real,
    "real_if_close": lambda a, tol=100: as_tensor(a),
    "select": _select,
    "sinc": _sinc,
    "unravel_index": _unravel_index,
    "unwrap": _unwrap,
}
