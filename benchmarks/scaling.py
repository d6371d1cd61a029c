"""`python -m benchmarks.scaling`: how the memory of a step grows with its depth and length.

In depth the model is a chain of equal layers. Its forward pass needs two buffers, whatever the
depth; its training keeps one value a layer; with √L checkpointed segments it keeps √L values at a
time, twice; the smallest plan that a budget finds needs √(2L). In length it is a few blocks of a
transformer: nothing grows with the square of the tokens. Everything is planned and nothing runs;
`python -m benchmarks.growth` is about time.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc import nn

DEPTHS = (16, 36, 64, 144, 256)
LENGTHS = (128, 256, 512, 1024, 2048)
WIDTH, BATCH = 128, 256
#: Of the transformer: blocks, columns, heads.
BLOCKS, COLUMNS, HEADS = 4, 64, 4


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


def block(p: Any, x: Any) -> Any:
    """Attention, and a layer four times as wide."""
    rows = gx.split(x @ p["qkv"], 3, axis=-1)
    parts = (gx.reshape(t, (1, -1, HEADS, COLUMNS // HEADS)) for t in rows)
    q, k, v = (gx.permute_dims(t, (0, 2, 1, 3)) for t in parts)
    mixed = gx.permute_dims(nn.attention(q, k, v, causal=True), (0, 2, 1, 3))
    x = x + gx.reshape(mixed, x.shape) @ p["out"]
    return x + nn.gelu(x @ p["up"]) @ p["down"]


def transformer(length: int, wrapped: Callable[[Any], Any] = lambda f: f) -> Any:
    """A step of gradient descent on a sequence."""

    def step(params: Any, x: Any) -> Any:
        h = x
        for p in params:
            h = wrapped(block)(p, h)
        loss = gx.mean(h * h)
        return gx.tree.map(lambda p, g: p - 0.1 * g, params, gx.grad(loss, params)), loss

    d = COLUMNS
    sizes = {"qkv": (d, 3 * d), "out": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
    params = [{name: gx.spec(shape) for name, shape in sizes.items()} for _ in range(BLOCKS)]
    return gx.trace(step, params, gx.spec((length, d)), donate_argnums=0)


def checkpointed_blocks(length: int) -> Any:
    """The same with every block computed again."""
    return transformer(length, gx.checkpoint)


FAMILIES: dict[str, Callable[[int], Any]] = {
    "forward": forward,
    "training": training,
    "checkpointed": checkpointed,
}
SEQUENCES: dict[str, Callable[[int], Any]] = {
    "training": transformer,
    "checkpointed": checkpointed_blocks,
}

#: What is drawn, each in a colour of its own.
NAMES = (*FAMILIES, "budget")


def peaks(family: Callable[[int], Any], sizes: Sequence[int] = DEPTHS) -> list[int]:
    """The arena's bytes at each size."""
    return [family(size).lower(threads=1).memory.peak_bytes for size in sizes]


def smallest(family: Callable[[int], Any], sizes: Sequence[int] = DEPTHS) -> list[int]:
    """The arena's bytes of the smallest plan that a budget can ask for."""
    return [gx.memory.pareto(family(size), threads=1)[-1].peak_bytes for size in sizes]


@dataclass(frozen=True)
class Study:
    """Bytes of the arena, by family, at some sizes of what is called `axis`."""

    axis: str
    sizes: Sequence[int]
    found: dict[str, list[int]]


def study(axis: str, sizes: Sequence[int], families: dict[str, Callable[[int], Any]]) -> Study:
    found = {name: peaks(family, sizes) for name, family in families.items()}
    return Study(axis, sizes, {**found, "budget": smallest(families["training"], sizes)})


def exponent(depths: Sequence[float], sizes: Sequence[float]) -> float:
    """e of the power law size ~ depth^e, by least squares of the logarithms."""
    return float(np.polyfit(np.log(depths), np.log(sizes), 1)[0])


def plot(studies: Sequence[Study], path: Path) -> None:
    """The peaks, all axes logarithmic (matplotlib)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(studies), 4), layout="constrained")
    for axes, one in zip(figure.subplots(1, len(studies), squeeze=False)[0], studies, strict=True):
        for name, sizes in one.found.items():
            label = f"{name}: {one.axis}^{abs(exponent(one.sizes, sizes)):.2f}"
            colour = f"C{NAMES.index(name)}"
            axes.loglog(one.sizes, [s / 1e6 for s in sizes], "o-", color=colour, label=label)
        axes.set(xlabel=one.axis, ylabel="arena, MB")
        axes.set_xticks(one.sizes, [str(s) for s in one.sizes])
        axes.minorticks_off()
        axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draws the curves (matplotlib)")
    parsed = parser.parse_args()
    studies = [study("layers", DEPTHS, FAMILIES), study("tokens", LENGTHS, SEQUENCES)]
    if parsed.plot is not None:
        plot(studies, parsed.plot)
    if parsed.json:
        print(json.dumps([asdict(one) for one in studies]))
        return
    for one in studies:
        print(f"{one.axis:14}" + "".join(f"{d:>10}" for d in one.sizes) + f"{'exponent':>10}")
        for name, sizes in one.found.items():
            cells = "".join(f"{s / 1e6:>7.2f} MB" for s in sizes)
            print(f"{name:14}{cells}{exponent(one.sizes, sizes):>10.3f}")


if __name__ == "__main__":
    main()
