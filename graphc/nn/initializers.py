"""Initial values of parameters, in NumPy.

As in JAX, an initializer is made once and called with a shape: `he_normal()(rng, (784, 512))`.
`rng` is whatever `numpy.random.default_rng` takes: a Generator (which moves on with each call), an
integer seed, or a key of `gx.random` (equal keys, equal values).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import arrays
from graphc.errors import ArgumentError, DTypeError, ShapeError
from graphc.functions.required import numbers, tensor_type
from graphc.ir.site import located, required

Initializer = Callable[..., np.ndarray]

#: Standard deviation of a standard normal that is cut off at ±2: the scale that JAX and
#: TensorFlow divide by, so that the variance of the truncated values is the one asked for.
_STDDEV_CUT_AT_2 = 0.87962566103423978


def zeros(rng: Any, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
    """All zeros; `rng` is not used."""
    wanted = tensor_type(shape, dtype, "zeros")
    return arrays.full(wanted.shape, 0, wanted.dtype.numpy)


def ones(rng: Any, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
    """All ones; `rng` is not used."""
    wanted = tensor_type(shape, dtype, "ones")
    return arrays.full(wanted.shape, 1, wanted.dtype.numpy)


def constant(value: float) -> Initializer:
    """Every element is `value`."""
    numbers("constant", value=value)

    def init(rng: Any, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        wanted = tensor_type(shape, dtype, "constant")
        return arrays.full(wanted.shape, value, wanted.dtype.numpy)

    return init


def uniform(scale: float = 1e-2) -> Initializer:
    """Uniform on [0, scale)."""
    numbers("uniform", scale=scale)

    def init(rng: Any, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        rng, shape, dt = _checked("uniform", rng, shape, dtype)
        return arrays.copied(rng.random(shape, dt) * dt.type(scale))

    return init


def normal(stddev: float = 1e-2) -> Initializer:
    """Normal with mean 0."""
    numbers("normal", stddev=stddev)

    def init(rng: Any, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        rng, shape, dt = _checked("normal", rng, shape, dtype)
        return arrays.copied(rng.standard_normal(shape, dt) * dt.type(stddev))

    return init


def truncated_normal(stddev: float = 1e-2, lower: float = -2.0, upper: float = 2.0) -> Initializer:
    """A standard normal restricted to [lower, upper], times `stddev`.

    Values outside are drawn again, so an interval of small probability takes long.
    """
    numbers("truncated_normal", stddev=stddev, lower=lower, upper=upper)
    if not lower < upper:
        raise ArgumentError(f"truncated_normal: required lower < upper, got {lower} and {upper}")

    def init(rng: Any, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        rng, shape, dt = _checked("truncated_normal", rng, shape, dtype)
        return arrays.copied(_truncated(rng, shape, dt, lower, upper) * dt.type(stddev))

    return init


def variance_scaling(
    scale: float,
    mode: str,
    distribution: str,
    in_axis: int = -2,
    out_axis: int = -1,
) -> Initializer:
    """Zero-mean values of variance `scale` / n, where n is the number of inputs (`mode` "fan_in"),
    of outputs ("fan_out") or their average ("fan_avg").

    `distribution` is "normal", "truncated_normal" (cut off at two standard deviations) or
    "uniform". All axes but `in_axis` and `out_axis` belong to the receptive field: for a
    convolution's `[out, in, kh, kw]` give in_axis=1, out_axis=0.
    Source: `jax.nn.initializers.variance_scaling`.
    """
    numbers("variance_scaling", scale=scale)
    for axis in (in_axis, out_axis):
        required(axis, int, "variance_scaling: an axis")
    required(mode, str, "variance_scaling: mode")
    required(distribution, str, "variance_scaling: distribution")
    if mode not in ("fan_in", "fan_out", "fan_avg"):
        raise ArgumentError(f"mode is fan_in, fan_out or fan_avg, got {mode!r}")
    if distribution not in ("normal", "truncated_normal", "uniform"):
        raise ArgumentError(
            f"distribution is normal, truncated_normal or uniform, got {distribution!r}"
        )

    def init(rng: Any, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        rng, shape, dt = _checked("variance_scaling", rng, shape, dtype)
        fan_in, fan_out = _fans(shape, in_axis, out_axis)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        variance = scale / max(fan, 1)
        if distribution == "normal":
            return arrays.copied(rng.standard_normal(shape, dt) * dt.type(math.sqrt(variance)))
        if distribution == "truncated_normal":
            stddev = math.sqrt(variance) / _STDDEV_CUT_AT_2
            return arrays.copied(_truncated(rng, shape, dt, -2.0, 2.0) * dt.type(stddev))
        bound = math.sqrt(3 * variance)
        return arrays.copied((2 * rng.random(shape, dt) - 1) * dt.type(bound))

    return init


def lecun_normal(in_axis: int = -2, out_axis: int = -1) -> Initializer:
    """Truncated normal of variance 1 / fan_in."""
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis)


def lecun_uniform(in_axis: int = -2, out_axis: int = -1) -> Initializer:
    """Uniform of variance 1 / fan_in."""
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis)


def he_normal(in_axis: int = -2, out_axis: int = -1) -> Initializer:
    """Truncated normal of variance 2 / fan_in."""
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis)


def he_uniform(in_axis: int = -2, out_axis: int = -1) -> Initializer:
    """Uniform of variance 2 / fan_in."""
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis)


def glorot_normal(in_axis: int = -2, out_axis: int = -1) -> Initializer:
    """Truncated normal of variance 2 / (fan_in + fan_out)."""
    return variance_scaling(1.0, "fan_avg", "truncated_normal", in_axis, out_axis)


def glorot_uniform(in_axis: int = -2, out_axis: int = -1) -> Initializer:
    """Uniform of variance 2 / (fan_in + fan_out)."""
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis)


def orthogonal(scale: float = 1.0, column_axis: int = -1) -> Initializer:
    """A random matrix with orthonormal rows or columns (whichever are fewer), times `scale`.

    The columns lie along `column_axis`, the rows along all other axes together. Uniform over such
    matrices: Q of the QR decomposition of a normal matrix, with R's diagonal made positive.
    """

    numbers("orthogonal", scale=scale)

    def init(rng: Any, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        rng, shape, dt = _checked("orthogonal", rng, shape, dtype)
        if len(shape) < 2:
            raise ShapeError(
                located(f"orthogonal: at least two axes required, got shape {tuple(shape)}")
            )
        if not -len(shape) <= required(column_axis, int, "orthogonal: column_axis") < len(shape):
            raise ShapeError(located(f"axis {column_axis} is outside a shape of {len(shape)} axes"))
        rest = list(shape)
        columns = rest.pop(column_axis)
        rows = math.prod(rest)
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(rng.standard_normal(tall))
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        matrix = q if rows >= columns else q.T
        values = np.moveaxis(matrix.reshape(*rest, columns), -1, column_axis)
        return arrays.copied((scale * values).astype(dt))

    return init


def _checked(
    name: str, rng: Any, shape: Any, dtype: Any
) -> tuple[np.random.Generator, tuple[int, ...], Any]:
    """The generator, the shape and NumPy's dtype that an initializer is called with."""
    wanted = tensor_type(shape, dtype, name)
    if not wanted.dtype.is_float:
        raise DTypeError(f"{name}: float32 or float64 required, got {wanted.dtype}")
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError):
        what = f"{name}: rng is a Generator, a seed or a key, got {rng!r}"
        raise ArgumentError(located(what)) from None
    return generator, wanted.shape, wanted.dtype.numpy


def _fans(shape: Sequence[int], in_axis: int, out_axis: int) -> tuple[int, int]:
    if len(shape) < 2:
        raise ShapeError(located(f"fans need at least two axes, got shape {tuple(shape)}"))
    for axis in (in_axis, out_axis):
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(located(f"axis {axis} is outside a shape of {len(shape)} axes"))
    fan_in, fan_out = shape[in_axis], shape[out_axis]
    field = math.prod(
        n
        for axis, n in enumerate(shape)
        if axis not in (in_axis % len(shape), out_axis % len(shape))
    )
    return fan_in * field, fan_out * field


def _truncated(
    generator: np.random.Generator, shape: Sequence[int], dt: Any, lower: float, upper: float
) -> np.ndarray:
    values = generator.standard_normal(shape, dt)
    outside = (values < lower) | (values > upper)
    while outside.any():
        values[outside] = generator.standard_normal(int(outside.sum()), dt)
        outside = (values < lower) | (values > upper)
    return values
