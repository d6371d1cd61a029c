"""`python -m benchmarks.growth`: how the time of a step grows, and that of compiling it.

Steps of gradient descent against batch, width, depth and length of sequences, and a recurrent
network against its time steps: milliseconds (the minimum), kilobytes of C, and seconds from the
trace to the callable with an empty cache. Exponents are those of power laws, by least squares of
logarithms: of the time against the size, and against the multiply-adds.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.convolutions import best
from benchmarks.scaling import exponent
from benchmarks.systems.graphc_models import block, perceptron
from benchmarks.workloads import GPT
from benchmarks.workloads import perceptron as layers_of
from graphc import Tensor, nn, tree

Make = Callable[[int], tuple[Callable[..., Tensor], Any, Sequence[np.ndarray]]]
"""From a size to a loss of parameters and batch, the parameters and the batch."""


def network(batch: int, width: int, depth: int) -> tuple[Any, Any, Sequence[np.ndarray]]:
    rng = np.random.default_rng(0)

    def loss(params: Any, x: Tensor) -> Tensor:
        return gx.mean(perceptron(params["layers"], x, nn.relu) ** 2)

    x = rng.standard_normal((batch, width), np.float32)
    return loss, layers_of(rng, (width,) * (depth + 1)), (x,)


def transformer(length: int, depth: int) -> tuple[Any, Any, Sequence[np.ndarray]]:
    """Blocks of width 128 with 4 heads over two sequences."""
    model = GPT(layers=depth, width=128, heads=4, time=length, vocabulary=2, batch=2)
    rng = np.random.default_rng(0)

    def loss(params: Any, x: Tensor) -> Tensor:
        for p in params:
            x = block(p, x, 4)
        return gx.mean(x**2)

    x = rng.standard_normal((2, length, 128), np.float32)
    return loss, model(rng).params["blocks"], (x,)


def recurrent(steps: int) -> tuple[Any, Any, Sequence[np.ndarray]]:
    """An LSTM of width 128 over a batch of 16."""
    rng = np.random.default_rng(0)

    def loss(params: Any, x: Tensor) -> Tensor:
        start = gx.zeros((16, 128))
        return gx.mean(nn.lstm(x, (start, start), *params)[0] ** 2)

    weights = [rng.standard_normal((128, 512), np.float32) / 12 for _ in range(2)]
    return loss, weights, (rng.standard_normal((steps, 16, 128), np.float32),)


FAMILIES: dict[str, tuple[Make, tuple[int, ...]]] = {
    "batch": (lambda n: network(n, 512, 3), (64, 128, 256, 512, 1024)),
    "width": (lambda n: network(128, n, 3), (128, 256, 512, 1024)),
    "depth": (lambda n: transformer(64, n), (3, 6, 12, 24, 48)),
    "sequence": (lambda n: transformer(n, 2), (64, 128, 256, 512, 1024)),
    "time steps": (recurrent, (16, 32, 64, 128, 256)),
}


@dataclass(frozen=True)
class Point:
    """One step: seconds of it and of making it, bytes of its C, flops."""

    size: int
    seconds: float
    making: float
    text: int
    flops: float


def measured(family: str, threads: int, seconds: float, cold: Path | None) -> list[Point]:
    """The points of a family; in a folder, each with an empty cache of its own."""
    make, sizes = FAMILIES[family]
    made, calls = [], []
    for size in sizes:
        loss, params, batch = make(size)
        if cold is not None:
            os.environ["GRAPHC_CACHE_DIR"] = str(cold / f"{family}-{size}")

        def step(params: Any, *batch: Tensor, loss: Any = loss) -> Any:
            value = loss(params, *batch)
            grads = gx.grad(value, params)
            return tree.map(lambda p, g: p - 1e-3 * g, params, grads), value

        begin = time.perf_counter()
        lowered = gx.trace(step, params, *batch, donate_argnums=0).lower(threads=threads)
        compiled = lowered.compile()
        making = time.perf_counter() - begin
        made.append((making, len(lowered.c_source), lowered.cost_analysis()["flops"]))
        calls.append(compiled.bind(params, *batch))
    times = best(calls, seconds)
    return [Point(n, t, *rest) for n, t, rest in zip(sizes, times, made, strict=True)]


def exponents(points: Sequence[Point]) -> dict[str, float]:
    """Of time against size and against flops, of text and of making against size."""
    sizes = [p.size for p in points]
    return {
        "time": exponent(sizes, [p.seconds for p in points]),
        "time by flops": exponent([p.flops for p in points], [p.seconds for p in points]),
        "C": exponent(sizes, [p.text for p in points]),
        "compiling": exponent(sizes, [p.making for p in points]),
    }


def plot(found: dict[str, list[Point]], path: Path) -> None:
    """Above, time against size beside what grows as the arithmetic does; below, text and compiling.
    A column of charts for each family, all axes logarithmic.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(3.6 * len(found), 6.5), layout="constrained")
    charts = figure.subplots(2, len(found), squeeze=False, sharex="col")
    for (name, points), above, below in zip(found.items(), *charts, strict=True):
        fitted, sizes = exponents(points), [p.size for p in points]
        times = [1e3 * p.seconds for p in points]
        like = [times[0] * p.flops / points[0].flops for p in points]
        above.loglog(sizes, times, "o-", label=f"step, ms: n^{fitted['time']:.2f}")
        above.loglog(sizes, like, ":", label="in proportion to its arithmetic")
        texts, making = [p.text / 1e3 for p in points], [p.making for p in points]
        below.loglog(sizes, texts, "s-", label=f"C, kB: n^{fitted['C']:.2f}")
        below.loglog(sizes, making, "^-", label=f"compiling, s: n^{fitted['compiling']:.2f}")
        below.set_ylim(0.1, 1000)
        above.set_title(f"flops^{fitted['time by flops']:.2f}")
        below.set_xlabel(name)
        below.set_xticks(sizes, [str(n) for n in sizes])
        below.xaxis.set_minor_locator(NullLocator())
        for axes in (above, below):
            axes.grid(visible=True, alpha=0.3)
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each step")
    parser.add_argument("--warm", action="store_true", help="use the cache; compiling is not cold")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draws the curves (matplotlib)")
    parsed = parser.parse_args()
    names = parsed.families or list(FAMILIES)
    for name in names:
        if name not in FAMILIES:
            parser.error(f"no {name!r}; there are {', '.join(FAMILIES)}")
    with TemporaryDirectory(prefix="benchmark-") as cache:
        cold = None if parsed.warm else Path(cache)
        found = {name: measured(name, parsed.threads, parsed.seconds, cold) for name in names}
    if parsed.plot is not None:
        plot(found, parsed.plot)
    if parsed.json:
        record = {name: [asdict(p) for p in points] for name, points in found.items()}
        print(json.dumps(record, indent=1))
        return
    for name, points in found.items():
        print(f"{name:>12}{'ms':>12}{'kB of C':>10}{'compiling s':>13}{'GFLOP':>10}")
        for p in points:
            print(
                f"{p.size:>12}{1e3 * p.seconds:>12.3f}{p.text / 1e3:>10.1f}{p.making:>13.2f}"
                f"{p.flops / 1e9:>10.3f}"
            )
        print("  exponents: " + ", ".join(f"{k} {v:.2f}" for k, v in exponents(points).items()))


if __name__ == "__main__":
    main()
