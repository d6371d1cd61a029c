"""Pooling over one and two axes of space, and over all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from graphc import functions as F
from graphc import ops
from graphc.errors import DTypeError
from graphc.functions.promotion import as_tensor, as_value
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.nn.spatial import Padding, Spatial
from graphc.tensor import Tensor

Pool = Callable[[Value, tuple[int, ...], tuple[int, ...], Padding], Value]


def max_pool1d(
    x: Any,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    layout: str = "NCHW",
) -> Tensor:
    """`max_pool2d` with one axis of space."""
    return _pool("max_pool1d", 1, ops.max_pool, x, window, stride, padding, layout)


def max_pool2d(
    x: Any,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    layout: str = "NCHW",
) -> Tensor:
    """The largest element of each window; the stride is by default the window.

    x is [batch, channels, height, width] for "NCHW" and [batch, height, width, channels] for
    "NHWC". `padding` is as in `conv2d`, smaller than the window, and is never the largest. The
    first of several largest elements, in row-major order, takes the gradient; NaN wins.
    """
    return _pool("max_pool2d", 2, ops.max_pool, x, window, stride, padding, layout)


def avg_pool1d(
    x: Any,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    layout: str = "NCHW",
    count_include_pad: bool = True,
) -> Tensor:
    """`avg_pool2d` with one axis of space."""
    pool = _mean(x, count_include_pad, "avg_pool1d")
    return _pool("avg_pool1d", 1, pool, x, window, stride, padding, layout)


def avg_pool2d(
    x: Any,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    layout: str = "NCHW",
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of floats; the stride is by default the window. Shapes and `padding`
    are as in `max_pool2d`; padding counts as zeros unless `count_include_pad` is False.
    """
    pool = _mean(x, count_include_pad, "avg_pool2d")
    return _pool("avg_pool2d", 2, pool, x, window, stride, padding, layout)


def global_max_pool(x: Any, *, layout: str = "NCHW") -> Tensor:
    """The largest element of each channel, [batch, channels] of any number of axes of space."""
    x = as_tensor(x)
    return F.max(x, axis=_space(x, "global_max_pool", layout))


def global_avg_pool(x: Any, *, layout: str = "NCHW") -> Tensor:
    """The mean of each channel, [batch, channels] of any number of axes of space."""
    x = as_tensor(x)
    return F.mean(x, axis=_space(x, "global_avg_pool", layout))


def _space(x: Tensor, name: str, layout: str) -> tuple[int, ...]:
    space = Spatial(f"{name}({x.type})", max(x.ndim - 2, 1), layout)
    space.check(x.value)
    return tuple(range(1, x.ndim - 1)) if space.channels_last else tuple(range(2, x.ndim))


def _mean(x: Any, count_padding: bool, name: str) -> Pool:
    if not as_tensor(x).dtype.is_float:
        raise DTypeError(located(f"{name}({as_tensor(x).type}): required float"))
    return partial(ops.avg_pool, count_padding=count_padding)


def _pool(
    name: str,
    count: int,
    pool: Pool,
    x: Any,
    window: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: Any,
    layout: str,
) -> Tensor:
    image = as_value(x)
    space = Spatial(f"{name}({image.type})", count, layout)
    space.check(image)
    image = space.inward(image)
    kernel = space.each(window, "window")
    strides = kernel if stride is None else space.each(stride, "stride")
    zeros = space.padding(padding, image.shape[1:-1], kernel, strides, (1,) * count)
    with space.explained():
        return Tensor(space.outward(pool(image, kernel, strides, zeros)))
