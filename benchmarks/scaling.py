"""`python -m benchmarks.scaling`: how the memory of a step grows with its depth.

The model is a chain of equal layers. Its forward pass needs two buffers, whatever the depth; its
training keeps one value a layer; with √L checkpointed segments it keeps √L values at a time, twice.
Everything is planned and nothing runs.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx

DEPTHS = (16, 36, 64, 144, 256)
WIDTH, BATCH = 128, 256


def layers(h: Any, weights: Sequence[Any]) -> Any:
    for w in weights:
        h = gx.tanh(h @ w)
    return h


def forward(depth: int) -> Any:
    """The forward pass alone."""
    weights = [gx.spec((WIDTH, WIDTH)) for _ in range(depth)]
    return gx.trace(lambda w, x: gx.mean(layers(x, w)), weights, gx.spec((BATCH, WIDTH)))


def training(depth: int, segments: int = 1) -> Any:
    """A step of gradient descent; with several segments each is a checkpointed call."""
    part = gx.checkpoint(layers) if segments > 1 else layers
    bounds = [k * depth // segments for k in range(segments + 1)]

    def step(weights: Any, x: Any) -> Any:
        h = x
        for low, high in pairwise(bounds):
            h = part(h, weights[low:high])
        loss = gx.mean(h * h)
        grads = gx.grad(loss, weights)
        return [w - 0.1 * g for w, g in zip(weights, grads, strict=True)], loss

    weights = [gx.spec((WIDTH, WIDTH)) for _ in range(depth)]
    return gx.trace(step, weights, gx.spec((BATCH, WIDTH)), donate_argnums=0)


def checkpointed(depth: int) -> Any:
    """The step in √L segments."""
    return training(depth, math.isqrt(depth))


FAMILIES: dict[str, Callable[[int], Any]] = {
    "forward": forward,
    "training": training,
    "checkpointed": checkpointed,
}


def peaks(family: Callable[[int], Any], depths: Sequence[int] = DEPTHS) -> list[int]:
    """The arena's bytes at each depth."""
    return [family(depth).lower(threads=1).memory.peak_bytes for depth in depths]


def exponent(depths: Sequence[float], sizes: Sequence[float]) -> float:
    """e of the power law size ~ depth^e, by least squares of the logarithms."""
    return float(np.polyfit(np.log(depths), np.log(sizes), 1)[0])


def plot(found: dict[str, list[int]], path: Path) -> None:
    """The peaks against depth, both axes logarithmic (matplotlib)."""
    from matplotlib.figure import Figure

    axes = (figure := Figure(figsize=(6, 4))).subplots()
    for name, sizes in found.items():
        label = f"{name}: L^{exponent(DEPTHS, sizes):.2f}"
        axes.loglog(DEPTHS, [s / 1e6 for s in sizes], "o-", label=label)
    axes.set(xlabel="layers", ylabel="arena, MB")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draws the curves (matplotlib)")
    parsed = parser.parse_args()
    found = {name: peaks(family) for name, family in FAMILIES.items()}
    if parsed.plot is not None:
        plot(found, parsed.plot)
    if parsed.json:
        print(json.dumps({"depths": DEPTHS, "peak_bytes": found}))
        return
    print(f"{'layers':14}" + "".join(f"{d:>10}" for d in DEPTHS) + f"{'exponent':>10}")
    for name, sizes in found.items():
        cells = "".join(f"{s / 1e6:>7.2f} MB" for s in sizes)
        print(f"{name:14}{cells}{exponent(DEPTHS, sizes):>10.3f}")


if __name__ == "__main__":
    main()
