"""`python -m benchmarks.kernels [GROUP …]`: single kernels against what the machine can do.

Groups: products, convolutions, attention, rows, elementwise, optimizers, calls, barrier; all of
them take a minute. Multiply-adds and memory are measured in the same run, for the same target:
`--target x86-64-v3` is held against the chains of AVX2. What fits into a cache can be faster than
memory. PyTorch, if it is there, computes the same of the same arrays, in turns. `--build` compiles
everything and times nothing, so that a run on a quiet machine is short.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.convolutions import best, convolve, input_gradient, layers, weight_gradient
from benchmarks.workloads import IMAGES
from graphc import Tensor, nn, optim
from graphc.build.machine import Limits, limits, meeting

Shape = tuple[int, ...]

#: Calls that are timed together.
SAMPLE = 20


@dataclass(frozen=True)
class Case:
    """A function of arrays of these shapes: what it computes at least, and moves at least. Integer
    arguments are positions below `classes`.
    """

    name: str
    fn: Callable[..., Any]
    shapes: tuple[Shape, ...]
    flops: int = 0
    bytes: int = 0
    labels: tuple[int, ...] = ()
    classes: int = 1
    donate: tuple[int, ...] = ()

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [
            rng.integers(self.classes, size=shape, dtype=np.int32)
            if k in self.labels
            else rng.random(shape, np.float32)
            for k, shape in enumerate(self.shapes)
        ]

    def compiled(self, target: str, threads: int) -> tuple[Any, list[np.ndarray]]:
        arrays = self.arrays()
        traced = gx.trace(self.fn, *arrays, donate_argnums=self.donate)
        return traced.lower(target=target, threads=threads).compile(), arrays


def products() -> Iterator[Case]:
    """[m, k] · [k, n]; N and T say how the operands lie."""

    def case(m: int, n: int, k: int, layout: str = "NN", batch: int = 0) -> Case:
        lead = (batch,) if batch else ()

        def multiply(x: Tensor, y: Tensor) -> Tensor:
            return (x.mT if layout[0] == "T" else x) @ (y.mT if layout[1] == "T" else y)

        left = (k, m) if layout[0] == "T" else (m, k)
        right = (n, k) if layout[1] == "T" else (k, n)
        name = f"{f'{batch}·' if batch else ''}{m}x{n}x{k} {layout}"
        return Case(
            name, multiply, ((*lead, *left), (*lead, *right)), 2 * m * n * k * max(1, batch)
        )

    for size in (32, 64, 128, 256, 512, 1024, 2048, 4096):
        yield case(size, size, size)
    for m, n, k in ((16, 1024, 1024), (1024, 16, 1024), (1024, 1024, 16), (37, 333, 777)):
        yield case(m, n, k)
    for layout in ("NN", "NT", "TN"):
        yield case(1024, 1536, 384, layout)
        yield case(300, 500, 700, layout)
    yield case(64, 64, 32, "NT", 48)
    yield case(256, 64, 256, "NN", 24)


def convolutions() -> Iterator[Case]:
    """Those of the `cnn` workload."""
    for inputs, outputs, size in layers():
        x, w = (IMAGES, size, size, inputs), (3, 3, inputs, outputs)
        y = (IMAGES, size, size, outputs)
        flops = 18 * IMAGES * size * size * inputs * outputs
        name = f"{inputs}-{outputs}, {size}x{size}"
        yield Case(f"forward {name}", convolve, (x, w), flops)
        yield Case(f"dX {name}", input_gradient, (x, w, y), flops)
        yield Case(f"dW {name}", weight_gradient, (x, w, y), flops)


def attention() -> Iterator[Case]:
    """Causal, so half of the scores count; backward takes five products to forward's two."""
    for batch, heads, time, width in ((12, 4, 64, 32), (4, 6, 256, 64), (1, 8, 1024, 64)):
        shape = batch, heads, time, width
        pair = 2 * batch * heads * time * (time + 1) // 2 * width

        def forward(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return nn.attention(q, k, v, causal=True)

        def both(q: Tensor, k: Tensor, v: Tensor, g: Tensor) -> Any:
            return gx.grad(nn.attention(q, k, v, causal=True), (q, k, v), seed=g)

        name = "x".join(map(str, shape))
        yield Case(f"forward {name}", forward, (shape,) * 3, 2 * pair)
        yield Case(f"forward, backward {name}", both, (shape,) * 4, 7 * pair)


def rows() -> Iterator[Case]:
    count, width = 4096, 512
    shape, size = (count, width), 4 * count * width

    def norm_slopes(x: Tensor, scale: Tensor, bias: Tensor, g: Tensor) -> Any:
        return gx.grad(nn.layer_norm(x, scale, bias), (x, scale, bias), seed=g)

    def losses(x: Tensor, y: Tensor) -> Any:
        loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(x, y))
        return loss, gx.grad(loss, x)

    yield Case("softmax", nn.softmax, (shape,), bytes=2 * size)
    yield Case("layer norm", nn.layer_norm, (shape, (width,), (width,)), bytes=2 * size)
    yield Case("rms norm", nn.rms_norm, (shape, (width,)), bytes=2 * size)
    arguments = shape, (width,), (width,), shape
    yield Case("layer norm backward", norm_slopes, arguments, bytes=3 * size)
    labels: Any = {"labels": (1,), "classes": width}
    yield Case("cross-entropy, gradient", losses, (shape, (count,)), bytes=2 * size, **labels)
    yield Case("sum of rows", lambda x: gx.sum(x, axis=1), (shape,), bytes=size)
    yield Case("sum of columns", lambda x: gx.sum(x, axis=0), (shape,), bytes=size)


def elementwise() -> Iterator[Case]:
    shape = (1 << 24,)
    functions = gx.exp, gx.log, gx.tanh, gx.sin, gx.erf, gx.sigmoid, nn.gelu, nn.silu, gx.sqrt
    yield Case("a + b·c", lambda a, b, c: a + b * c, (shape,) * 3, bytes=16 * shape[0])
    for function in functions:
        yield Case(function.__name__, function, (shape,), bytes=8 * shape[0])


def optimizers() -> Iterator[Case]:
    count = 1 << 23
    rules = {
        "sgd": (optim.sgd(0.1), 0),
        "momentum": (optim.sgd(0.1, momentum=0.9), 1),
        "lion": (optim.lion(1e-3), 1),
        "adam": (optim.adam(1e-3), 2),
        "adamw": (optim.adamw(1e-3), 2),
    }
    for name, (rule, moments) in rules.items():
        yield _update(name, rule, count, moments)


def _update(name: str, rule: Any, count: int, moments: int) -> Case:
    """Parameters and moments are read and written, the gradient is read."""
    import optree

    leaves, structure = optree.tree_flatten(rule.init(np.zeros(count, np.float32)))

    def update(g: Tensor, p: Tensor, *state: Tensor) -> Any:
        updates, after = rule.update(g, optree.tree_unflatten(structure, state), p)
        return (optim.apply_updates(p, updates), *optree.tree_leaves(after))

    shapes = ((count,), (count,), *(np.shape(leaf) for leaf in leaves))
    numbers = tuple(k + 2 for k, leaf in enumerate(leaves) if np.asarray(leaf).dtype.kind == "i")
    donated = tuple(range(1, len(shapes)))
    size = 4 * count * (3 + 2 * moments)
    return Case(name, update, shapes, bytes=size, labels=numbers, donate=donated)


GROUPS = {f.__name__: f for f in (products, convolutions, attention, rows, elementwise, optimizers)}


@dataclass(frozen=True)
class Line:
    """One kernel: milliseconds, of PyTorch too, and the share of the limit that is reached, the
    larger of those of its operations and of its bytes.
    """

    group: str
    name: str
    ms: float
    torch_ms: float | None
    gflops: float
    gbytes: float
    of_limit: float

    def __str__(self) -> str:
        rate = f"{self.gflops:.1f} GFLOP/s" if self.gflops else f"{self.gbytes:.1f} GB/s"
        text = f"  {self.name:<36}{self.ms:>10.4f}{rate:>17}{100 * self.of_limit:>7.0f} %"
        if self.torch_ms is not None:
            text += f"{self.torch_ms:>12.4f}{self.torch_ms / self.ms:>9.2f}"
        return text


HEAD = f"{'':<38}{'ms':>10}{'rate':>17}{'limit':>9}{'torch ms':>12}{'× torch':>9}"


Times = tuple[str, Case, list[float]]
"""A group, one of its cases, and seconds of it, of PyTorch too."""


def measured(
    group: str, case: Case, threads: int, target: str, seconds: float, with_torch: bool
) -> Times:
    compiled, arrays = case.compiled(target, threads)
    calls: list[Callable[[], object]] = [compiled.bind(*arrays)]
    if with_torch:
        from benchmarks import kernels_torch

        own = [array.copy() for array in arrays]
        other = kernels_torch.call(group, case.name, own, threads)
        calls += [other] if other is not None else []
    return group, case, best(calls, seconds)


def line_of(times: Times, most: Limits) -> Line:
    group, case, (time, *others) = times
    gflops, gbytes = case.flops / time / 1e9, case.bytes / time / 1e9
    reached = max(gflops / most.gflops, gbytes / most.gbytes_per_s)
    torch_ms = others[0] * 1e3 if others else None
    return Line(group, case.name, time * 1e3, torch_ms, gflops, gbytes, reached)


def calls(seconds: float) -> None:
    """Microseconds of a call beyond the C itself: of a step with a dozen arrays, and with many."""
    for count in (10, 150, 600):
        print(f"  state of {count} arrays, donated, and a batch of two")
        for name, time in call_times(count, seconds):
            print(f"    {name:<34}{time * 1e6:>8.2f} µs")


def call_times(count: int, seconds: float) -> list[tuple[str, float]]:
    def step(state: Any, x: Tensor, y: Tensor) -> Any:
        return {k: v + 1 for k, v in state.items()}, gx.sum(x * y)

    one = np.ones(4, np.float32)
    state = {f"p{k}": one.copy() for k in range(count)}
    xs = one.copy(), one.copy()
    compiled = gx.compile(step, state, one, one, donate_argnums=0, threads=1)
    bound = compiled.bind(state, one, one)
    compiled(state, one, one)

    def changing() -> None:
        compiled(state, xs[0], one)
        compiled(state, xs[1], one)

    def fresh() -> None:
        compiled(state, one.copy(), one.copy())

    def copying() -> None:
        one.copy()
        one.copy()

    def some(call: Callable[[], object]) -> Callable[[], object]:
        """So few at a time that the least is one without interruption."""
        return lambda: [call() for _ in range(SAMPLE)]

    steps: list[Callable[[], object]] = [
        compiled._frame.run,
        bound,
        partial(compiled, state, one, one),
        changing,
        fresh,
        copying,
    ]
    found = [t / SAMPLE for t in best(list(map(some, steps)), seconds)]
    c, of_bound, same, both, with_fresh, copies = found
    return [
        ("the C itself", c),
        ("bound", of_bound - c),
        ("called", same - c),
        ("called, one array changed", both / 2 - c),
        ("called, both arrays of the batch new", with_fresh - copies - c),
    ]


def barrier() -> None:
    for threads in (1, 2, 4):
        print(f"  {f'{threads} threads':<30}{meeting(threads) * 1e6:>10.2f} µs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*GROUPS, "calls", "barrier"]
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(names))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--target", default="native")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each kernel")
    parser.add_argument("--build", action="store_true", help="compile only")
    parser.add_argument("--no-torch", action="store_true", help="graphc alone")
    parser.add_argument("--json", type=Path, metavar="OUT", help="writes every figure")
    given = parser.parse_args()
    for name in given.groups:
        if name not in names:
            parser.error(f"no {name!r}; there are {', '.join(names)}")
    chosen = given.groups or names
    if given.build:
        for case in (case for name in chosen if name in GROUPS for case in GROUPS[name]()):
            case.compiled(given.target, given.threads)
        return
    with_torch = not given.no_torch and find_spec("torch") is not None
    found, times = [limits(given.threads, given.target)], []
    for name in chosen:
        print(name, file=sys.stderr, flush=True)
        for case in GROUPS[name]() if name in GROUPS else ():
            args = given.threads, given.target, given.seconds, with_torch
            times.append(measured(name, case, *args))
    found.append(limits(given.threads, given.target))
    most = Limits.best(found)
    figures = f"{most.gflops:.0f} GFLOP/s, {most.gbytes_per_s:.1f} GB/s"
    print(f"{given.target}, {given.threads} threads: {figures}")
    lines = [line_of(each, most) for each in times]
    if lines:
        print(HEAD)
    for name in chosen:
        print(name)
        print(*(line for line in lines if line.group == name), sep="\n", end="")
        if name == "calls":
            calls(given.seconds)
        elif name == "barrier":
            barrier()
        else:
            print()
    if lines:
        print("furthest from the limit")
        for line in sorted(lines, key=lambda line: line.of_limit)[:8]:
            print(line)
    if given.json is not None:
        record = {"limits": asdict(most), "kernels": [asdict(line) for line in lines]}
        given.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
