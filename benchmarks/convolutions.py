"""`python -m benchmarks.convolutions`: each convolution of the `cnn` workload and its gradients, in
graphc and in PyTorch (channels last), in GFLOP/s and in percent of the machine's multiply-adds,
which are measured in the same run. Calls of the two take turns; the best of each counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

import graphc as gx
from benchmarks.workloads import AREAS, CHANNELS, IMAGES
from graphc import Tensor, nn
from graphc.build.machine import limits

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


def in_graphc(x: np.ndarray, w: np.ndarray, g: np.ndarray, threads: int) -> list[Call]:
    steps = ((convolve, (x, w)), (input_gradient, (x, w, g)), (weight_gradient, (x, w, g)))
    return [gx.compile(fn, *args, threads=threads).bind(*args) for fn, args in steps]


def in_torch(x: np.ndarray, w: np.ndarray, g: np.ndarray, threads: int) -> list[Call]:
    import torch
    from torch.nn import functional
    from torch.nn.grad import conv2d_input, conv2d_weight

    torch.set_num_threads(threads)
    last = {"memory_format": torch.channels_last}
    image, gradient = (torch.from_numpy(v).permute(0, 3, 1, 2) for v in (x, g))
    weights = torch.from_numpy(w).permute(3, 2, 0, 1).contiguous(**last)
    return [
        lambda: functional.conv2d(image, weights, padding=1),
        lambda: conv2d_input(image.shape, weights, gradient, padding=1),
        lambda: conv2d_weight(image, weights.shape, gradient, padding=1),
    ]


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each kernel of each system")
    parser.add_argument("--no-torch", action="store_true", help="graphc alone")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    limit = limits(given.threads).gflops
    print(f"{given.threads} threads, {limit:.0f} GFLOP/s of multiply-adds; GFLOP/s (% of that)")
    print(f"{'layer':<18}{'':<9}{'graphc':>14}{'torch':>14}")
    for inputs, outputs, size in layers():
        shapes = (IMAGES, size, size, inputs), (3, 3, inputs, outputs)
        x, w = (rng.standard_normal(shape, np.float32) for shape in shapes)
        g = rng.standard_normal((IMAGES, size, size, outputs), np.float32)
        systems = [in_graphc, *([] if given.no_torch else [in_torch])]
        calls = [system(x, w, g, given.threads) for system in systems]
        flops = 18 * g.size * inputs
        for k, name in enumerate(("forward", "dX", "dW")):
            times = best([c[k] for c in calls], given.seconds)
            rates = [flops / t / 1e9 for t in times]
            cells = "".join(f"{f'{r:.0f} ({100 * r / limit:.0f})':>14}" for r in rates)
            print(f"{f'{inputs}-{outputs}, {size}x{size}':<18}{name:<9}{cells}", flush=True)


if __name__ == "__main__":
    main()
