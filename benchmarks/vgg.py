"""`python -m benchmarks.vgg`: the largest batch of VGG19 that trains in 16 GB.

The problem is Checkmate's (Jain et al., "Breaking the memory wall with optimal tensor
rematerialization", MLSys 2020, figure 6): images of 224×224, and at most one more forward pass of
work. On its graph, where each layer's output and gradient are arrays of their own, keeping all
allows 167 images, segments of √n layers 197, its greedy heuristic 266, and the certified optimum is
289. graphc's graph is another one, for kernels rebuild, overwrite and encode. Everything is planned
and nothing runs.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import graphc as gx
from graphc import nn
from graphc.memory import Choice
from graphc.memory.fitting import largest_fitting

#: Channels of the convolutions of each block, behind which images are pooled to half their size.
BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
DENSE = (4096, 4096, 1000)
PIXELS = 224
#: Bytes for everything that the step reads and writes.
LIMIT = 16 * 10**9
PUBLISHED = {"keep all": 167, "√n segments": 197, "greedy": 266, "optimum": 289}


def training(batch: int) -> Any:
    """A step of gradient descent."""
    x = gx.spec((batch, PIXELS, PIXELS, 3))
    convolutions, width = [], 3
    for block in BLOCKS:
        for channels in block:
            convolutions.append((gx.spec((3, 3, width, channels)), gx.spec((channels,))))
            width = channels
    side = PIXELS >> len(BLOCKS)
    sizes = (side * side * width, *DENSE)
    dense = [(gx.spec((n, m)), gx.spec((m,))) for n, m in zip(sizes[:-1], DENSE, strict=True)]
    params = {"convolutions": convolutions, "dense": dense}

    def step(params: Any, x: Any, labels: Any) -> Any:
        layers = iter(params["convolutions"])
        for block in BLOCKS:
            for _ in block:
                w, b = next(layers)
                x = nn.relu(nn.conv2d(x, w, padding=1, layout="NHWC") + b)
            x = nn.max_pool2d(x, 2, layout="NHWC")
        x = gx.reshape(x, (x.shape[0], -1))
        *hidden, (w, b) = params["dense"]
        for v, a in hidden:
            x = nn.relu(x @ v + a)
        logits = x @ w + b
        loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, labels))
        grads = gx.grad(loss, params)
        return gx.tree.map(lambda p, g: p - 0.01 * g, params, grads), loss

    return gx.trace(step, params, x, gx.spec((batch,), "int32"), donate_argnums=0)


def forward_flops() -> int:
    """Of one image: two for each multiply-add of the convolutions and dense layers."""
    total, side, width = 0, PIXELS, 3
    for block in BLOCKS:
        for channels in block:
            total += 2 * side * side * 9 * width * channels
            width = channels
        side //= 2
    width *= side * side
    for m in DENSE:
        total += 2 * width * m
        width = m
    return total


def outside(traced: Any) -> int:
    """Bytes beside the arena."""
    memory = traced.lower(threads=1).memory
    return memory.total_bytes - memory.peak_bytes


def within(traced: Any, batch: int, limit: int = LIMIT) -> Choice | None:
    """The fastest plan within the limit that does at most one forward pass again."""
    arena = limit - outside(traced)
    for choice in gx.memory.pareto(traced, threads=1):
        if choice.peak_bytes <= arena and choice.recompute_flops <= batch * forward_flops():
            return choice
    return None


def fits_kept(batch: int) -> bool:
    """Whether a batch fits where no convolution is done again."""
    return training(batch).lower(threads=1).memory.total_bytes <= LIMIT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vgg", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args()
    found = {
        "nothing computed again": largest_fitting(fits_kept),
        "at most a forward pass again": largest_fitting(
            lambda batch: within(training(batch), batch) is not None
        ),
    }
    if parsed.json:
        print(json.dumps({"published": PUBLISHED, "graphc": found}))
        return
    for name, batch in PUBLISHED.items():
        print(f"{batch:5}  Checkmate, {name}")
    for name, batch in found.items():
        print(f"{batch:5}  graphc, {name}")


if __name__ == "__main__":
    main()
