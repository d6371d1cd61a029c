"""The convolutions of the `cnn` workload and their gradients, one by one; how calls are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import graphc as gx
from benchmarks.workloads import AREAS, CHANNELS
from graphc import Tensor, nn

Call = Callable[[], object]


def layers() -> Iterator[tuple[int, int, int]]:
    """Input channels, output channels, height (and width)."""
    for (inputs, outputs), area in zip(pairwise(CHANNELS), AREAS, strict=True):
        yield inputs, outputs, round(area**0.5)


def convolve(x: Tensor, w: Tensor) -> Tensor:
    return nn.conv2d(x, w, padding="SAME", layout="NHWC")


def input_gradient(x: Tensor, w: Tensor, g: Tensor) -> Tensor:
    return gx.grad(gx.sum(convolve(x, w) * g), x)


def weight_gradient(x: Tensor, w: Tensor, g: Tensor) -> Tensor:
    return gx.grad(gx.sum(convolve(x, w) * g), w)


def best(calls: list[Call], seconds: float) -> list[float]:
    """The least time of each call, in seconds; they take turns of a tenth of the time."""
    least = [float("inf")] * len(calls)
    for _ in range(5):
        for k, call in enumerate(calls):
            call()
            begin = now = time.perf_counter()
            while now < begin + seconds / 5:
                before = now
                call()
                now = time.perf_counter()
                least[k] = min(least[k], now - before)
    return least
