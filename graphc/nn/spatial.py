"""What convolution and pooling share: layouts, and numbers given for every spatial axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.graph import Value
from graphc.ir.site import located

Padding = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Spatial:
    """A call of a function over `count` spatial axes of an array in a layout: "NCHW" stands for
    [batch, channels, …space], "NHWC" for [batch, …space, channels].
    """

    call: str
    count: int
    layout: str

    def __post_init__(self) -> None:
        if self.layout not in ("NCHW", "NHWC"):
            raise ArgumentError(
                located(f'{self.call}: layout is "NCHW" or "NHWC", got {self.layout!r}')
            )

    @property
    def channels_last(self) -> bool:
        return self.layout == "NHWC"

    def check(self, value: Value, what: str = "[batch, channels, …space]") -> None:
        if len(value.shape) != self.count + 2:
            raise ShapeError(
                located(f"{self.call}: {what} with {self.count} axes of space required")
            )

    def inward(self, x: Value) -> Value:
        """An array as [batch, …space, channels]."""
        if self.channels_last:
            return x
        return ops.permute(x, (0, *range(2, self.count + 2), 1))

    def outward(self, x: Value) -> Value:
        """[batch, …space, channels] in the layout."""
        if self.channels_last:
            return x
        return ops.permute(x, (0, self.count + 1, *range(1, self.count + 1)))

    def kernel(self, w: Value) -> Value:
        """Weights as [k…, in, out], those of "NCHW" being [out, in, k…]."""
        if self.channels_last:
            return w
        return ops.permute(w, (*range(2, self.count + 2), 1, 0))

    def each(self, given: int | Sequence[int], what: str) -> tuple[int, ...]:
        """One number for all axes, or one for each."""
        numbers = given if isinstance(given, Sequence) else (given,) * self.count
        if len(numbers) != self.count or not all(_is_number(n) for n in numbers):
            raise ArgumentError(
                located(f"{self.call}: {what} is a number or {self.count} of them, got {given!r}")
            )
        return tuple(int(n) for n in numbers)

    def padding(
        self,
        given: Any,
        extents: Sequence[int],
        kernel: Sequence[int],
        strides: Sequence[int],
        dilation: Sequence[int],
    ) -> Padding:
        """Zeros before and after each axis. "SAME" gives ceil(extent / stride) windows, with the
        odd zero at the end, as in JAX.
        """
        if isinstance(given, str):
            name = given.upper()
            if name == "VALID":
                return ((0, 0),) * self.count
            if name == "SAME":
                every = zip(extents, kernel, strides, dilation, strict=True)
                return tuple(_same(*numbers) for numbers in every)
        elif _is_number(given):
            return ((int(given), int(given)),) * self.count
        elif isinstance(given, Sequence) and len(given) == self.count:
            pairs = tuple((p, p) if _is_number(p) else p for p in given)
            if all(_is_pair(p) for p in pairs):
                return tuple((int(before), int(after)) for before, after in pairs)
        raise ArgumentError(
            located(
                f'{self.call}: padding is a number, "SAME", "VALID", or for each of {self.count}'
                f" axes a number or a pair, got {given!r}"
            )
        )

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What an operator on channels-last arrays refuses is told with the call as it was."""
        try:
            yield
        except (ShapeError, DTypeError) as error:
            raise type(error)(f"{self.call}, {self.layout}: {error}") from None


def _same(extent: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    windows = -(-extent // max(stride, 1))
    missing = max((windows - 1) * stride + (kernel - 1) * dilation + 1 - extent, 0)
    return missing // 2, missing - missing // 2


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool)


def _is_pair(x: Any) -> bool:
    return isinstance(x, Sequence) and len(x) == 2 and all(_is_number(n) for n in x)
