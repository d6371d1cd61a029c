"""Convolution over one and two axes of space, and its transpose. Kernels are not flipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.functions.promotion import promoted
from graphc.ir.graph import Value
from graphc.nn.spatial import Spatial
from graphc.tensor import Tensor


def conv1d(
    x: Any,
    w: Any,
    *,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    layout: str = "NCHW",
) -> Tensor:
    """`conv2d` with one axis of space: x is [batch, in, time] and w [out, in/groups, k] for "NCHW",
    [batch, time, in] and [k, in/groups, out] for "NHWC".
    """
    return _conv("conv1d", 1, x, w, stride, padding, dilation, groups, layout)


def conv2d(
    x: Any,
    w: Any,
    *,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    layout: str = "NCHW",
) -> Tensor:
    """y[n, o, i, j] = Σ w[o, c, a, b] · x[n, c, i·stride + a·dilation - padding, …].

    For "NCHW" x is [batch, in, height, width] and w [out, in/groups, kh, kw]; for "NHWC" they are
    [batch, height, width, in] and [kh, kw, in/groups, out]. `padding` (zeros) is a number, for each
    axis a number or a pair (before, after), "VALID" (none), or "SAME" (ceil(extent / stride)
    windows). Output o reads the inputs of its group alone.
    Raises ShapeError, DTypeError (one float dtype) and ArgumentError.
    """
    return _conv("conv2d", 2, x, w, stride, padding, dilation, groups, layout)


def conv_transpose1d(
    x: Any,
    w: Any,
    *,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    layout: str = "NCHW",
) -> Tensor:
    """`conv_transpose2d` with one axis of space."""
    return _transpose(
        "conv_transpose1d", 1, x, w, stride, padding, output_padding, dilation, groups, layout
    )


def conv_transpose2d(
    x: Any,
    w: Any,
    *,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    layout: str = "NCHW",
) -> Tensor:
    """The transpose of the `conv2d` with weights w, as a linear map: its gradient by the input.

    w is as that convolution's: [in, out/groups, kh, kw] for "NCHW", as in PyTorch, and
    [kh, kw, out/groups, in] for "NHWC", as in TensorFlow. An axis of extent n becomes
    (n - 1)·stride + (k - 1)·dilation + 1 - padding (before and after) + output_padding, which is
    less than the stride; with "SAME" it becomes n·stride.
    Raises ShapeError, DTypeError (one float dtype) and ArgumentError.
    """
    return _transpose(
        "conv_transpose2d", 2, x, w, stride, padding, output_padding, dilation, groups, layout
    )


def _operands(name: str, count: int, x: Any, w: Any, layout: str) -> tuple[Spatial, Value, Value]:
    """The image and the weights, checked, with channels last."""
    image, weights = promoted(name, x, w)
    space = Spatial(f"{name}({image.type}, {weights.type})", count, layout)
    space.check(image)
    space.check(weights, "weights")
    return space, space.inward(image), space.kernel(weights)


def _conv(
    name: str,
    count: int,
    x: Any,
    w: Any,
    stride: int | Sequence[int],
    padding: Any,
    dilation: int | Sequence[int],
    groups: int,
    layout: str,
) -> Tensor:
    space, image, weights = _operands(name, count, x, w, layout)
    strides, steps = space.each(stride, "stride"), space.each(dilation, "dilation")
    zeros = space.padding(padding, image.shape[1:-1], weights.shape[:-2], strides, steps)
    with space.explained():
        y = ops.conv(image, weights, strides, zeros, steps, groups)
    return Tensor(space.outward(y))


def _transpose(
    name: str,
    count: int,
    x: Any,
    w: Any,
    stride: int | Sequence[int],
    padding: Any,
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    layout: str,
) -> Tensor:
    space, image, weights = _operands(name, count, x, w, layout)
    strides, steps = space.each(stride, "stride"), space.each(dilation, "dilation")
    more = space.each(output_padding, "output_padding")
    kernel, given = weights.shape[:-2], image.shape[1:-1]
    scaled = tuple(n * s for n, s in zip(given, strides, strict=True))
    zeros = space.padding(padding, scaled, kernel, strides, steps)
    if isinstance(padding, str) and padding.upper() == "SAME":
        extents = scaled
    else:
        extents = tuple(
            (n - 1) * s + (k - 1) * d + 1 - before - after + extra
            for n, s, k, d, (before, after), extra in zip(
                given, strides, kernel, steps, zeros, more, strict=True
            )
        )
    with space.explained():
        y = ops.conv_transpose(weights, image, extents, strides, zeros, steps, groups)
    return Tensor(space.outward(y))
