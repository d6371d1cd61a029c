"""What steps keep for their backward passes, by hand: bytes in float32 of a layer at a time.

"naive" is what the layers' textbook derivatives read; "reachable" what is enough where no product
and no convolution is done again. The block of a transformer is that of Korthikanti et al.,
"Reducing activation recomputation in large transformer models" (2022), in four bytes a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.workloads import AREAS, CHANNELS, DIGITS, GPT, IMAGES, MOONS, Workload


class Kept(NamedTuple):
    """Bytes kept for the backward pass."""

    naive: int
    reachable: int


def of(workload: Workload) -> Kept | None:
    """The formulas' values; None for a model of which there are none."""
    if isinstance(workload.make, GPT):
        return transformer(workload.make)
    widths = {"moons": (100, MOONS), "mlp": (128, DIGITS)}
    if workload.name in widths:
        return perceptron(*widths[workload.name])
    return convolutions() if workload.name == "cnn" else None


def perceptron(batch: int, widths: Sequence[int]) -> Kept:
    """Linear and ReLU: of every hidden layer its result, and naively what the ReLU is given."""
    hidden = 4 * batch * sum(widths[1:-1])
    return Kept(2 * hidden, hidden)


def convolutions() -> Kept:
    """Convolution, batch norm and ReLU: 12N naively, else 4N and two numbers a channel; a pool's
    result is what the next convolution reads.
    """
    naive = reachable = 0
    for layer, (channels, area) in enumerate(zip(CHANNELS[1:], AREAS, strict=True)):
        size = IMAGES * channels * area
        pooled = 4 * size // 4 if layer in (1, 3) else 0
        naive += 12 * size + pooled
        reachable += 4 * size + 8 * channels + pooled
    mean = 4 * IMAGES * CHANNELS[-1]
    return Kept(naive + mean, reachable + mean)


def transformer(model: GPT) -> Kept:
    """Of s tokens, b sequences, h columns and a heads a block keeps 66sbh + 9as²b naively, else
    40sbh + 16sb + 4asb; the last norm 8sbh, else 4sbh + 8sb. The gradient is written over the
    logits, of which naively there are two arrays.
    """
    s, b, h, a = model.time, model.batch, model.width, model.heads
    naive = model.layers * (66 * s * b * h + 9 * a * s * s * b)
    reachable = model.layers * (40 * s * b * h + 16 * s * b + 4 * a * s * b)
    return Kept(
        naive + 8 * s * b * h + 8 * s * b * model.vocabulary,
        reachable + 4 * s * b * h + 8 * s * b,
    )
