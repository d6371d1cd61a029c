"""Training steps that nobody tuned for: other architectures, odd sizes.

They are stated as those of `workloads.py` are. Linear weights are [in, out], those of transposed
convolutions [in, out, height, width].
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.workloads import (
    ADAM,
    ADAMW,
    MOMENTUM,
    WORKLOADS,
    Arrays,
    Tree,
    Workload,
    dense,
    labels,
    linear,
    normal,
    ones,
    perceptron,
    trained,
    zeros,
)

# --- a multilayer perceptron ----------------------------------------------------------------------

ODD, ODD_BATCH = (777, 333, 11), 37


def odd_digits(rng: np.random.Generator) -> Arrays:
    batch = rng.standard_normal((ODD_BATCH, ODD[0]), np.float32), labels(rng, ODD[-1], ODD_BATCH)
    return Arrays(perceptron(rng, ODD), batch)


# --- a vision transformer -------------------------------------------------------------------------

VIT: dict[str, Any] = {"batch": 24, "size": 36, "patch": 6, "width": 96, "heads": 3, "layers": 4}
"""Patches are read by one linear layer; a class token stands in front of them."""


def norm(width: int) -> Tree:
    return {"scale": ones(width), "bias": zeros(width)}


def patches(rng: np.random.Generator) -> Arrays:
    d, inputs = VIT["width"], 3 * VIT["patch"] ** 2
    count = (VIT["size"] // VIT["patch"]) ** 2

    def block() -> Tree:
        return {
            "norm1": norm(d),
            "qkv": linear(rng, d, 3 * d),
            "out": linear(rng, d, d),
            "norm2": norm(d),
            "up": linear(rng, d, 4 * d),
            "down": linear(rng, 4 * d, d),
        }

    params = {
        "patch": linear(rng, inputs, d),
        "token": normal(rng, 1, 1, d, fan_in=d),
        "positions": normal(rng, count + 1, d, fan_in=d),
        "blocks": [block() for _ in range(VIT["layers"])],
        "norm": norm(d),
        "head": linear(rng, d, 10),
    }
    image = rng.standard_normal((VIT["batch"], 3, VIT["size"], VIT["size"]), np.float32)
    return Arrays(params, (image, labels(rng, 10, VIT["batch"])))


def vit_flops() -> int:
    d, count = VIT["width"], (VIT["size"] // VIT["patch"]) ** 2
    first = count * 3 * VIT["patch"] ** 2 * d
    token = 2 * (count + 1) * d + dense(d, 3 * d) + dense(d, d) + dense(d, 4 * d, d)
    forward = first + VIT["layers"] * (count + 1) * token + 10 * d
    return trained(VIT["batch"] * forward, VIT["batch"] * first)


# --- a residual network ---------------------------------------------------------------------------

RESNET_BATCH, RESNET_SIZE, RESNET_STEM, GROUPS = 20, 40, 24, 4
STAGES = ((24, 40, 1), (40, 72, 2), (72, 136, 2))
"""Channels before and after a block, and its stride; a block is 1×1, 3×3 in groups, 1×1, around
which a 1×1 convolution leads where something changes."""


def convolution(rng: np.random.Generator, inputs: int, outputs: int, size: int) -> Tree:
    """A convolution, `inputs` counted in one group, with batch norm behind it."""
    fan_in = inputs * size * size
    return {"conv": normal(rng, outputs, inputs, size, size, fan_in=fan_in)} | norm(outputs)


def statistics(channels: int) -> Tree:
    return {"mean": zeros(channels), "var": ones(channels)}


def residual_images(rng: np.random.Generator) -> Arrays:
    blocks, buffers = [], []
    for inputs, outputs, _ in STAGES:
        inner = outputs // 2
        blocks.append(
            {
                "reduce": convolution(rng, inputs, inner, 1),
                "grouped": convolution(rng, inner // GROUPS, inner, 3),
                "expand": convolution(rng, inner, outputs, 1),
                "around": convolution(rng, inputs, outputs, 1),
            }
        )
        widths = {"reduce": inner, "grouped": inner, "expand": outputs, "around": outputs}
        buffers.append({name: statistics(width) for name, width in widths.items()})
    params = {
        "stem": convolution(rng, 3, RESNET_STEM, 3),
        "blocks": blocks,
        "head": linear(rng, STAGES[-1][1], 10),
    }
    images = rng.standard_normal((RESNET_BATCH, 3, RESNET_SIZE, RESNET_SIZE), np.float32)
    batch = images, labels(rng, 10, RESNET_BATCH)
    return Arrays(params, batch, {"stem": statistics(RESNET_STEM), "blocks": buffers})


def resnet_flops() -> int:
    side = RESNET_SIZE
    first = side * side * 27 * RESNET_STEM
    forward = first
    for inputs, outputs, stride in STAGES:
        inner, before = outputs // 2, side * side
        side //= stride
        forward += before * inputs * inner
        forward += side * side * (9 * inner * inner // GROUPS + inner * outputs + inputs * outputs)
    return trained(RESNET_BATCH * (forward + 10 * STAGES[-1][1]), RESNET_BATCH * first)


# --- gated recurrent units ------------------------------------------------------------------------

GRU_TIME, GRU_BATCH, GRU_INPUTS, GRU_WIDTH, GRU_WORDS = 50, 20, 88, 144, 77


def gated(rng: np.random.Generator) -> Arrays:
    """Gates r, z, n. Tokens and targets are [time, batch]."""
    shape = GRU_TIME, GRU_BATCH
    params = {
        "embedding": normal(rng, GRU_WORDS, GRU_INPUTS, fan_in=GRU_INPUTS),
        "w_ih": normal(rng, GRU_INPUTS, 3 * GRU_WIDTH, fan_in=GRU_INPUTS),
        "w_hh": normal(rng, GRU_WIDTH, 3 * GRU_WIDTH, fan_in=GRU_WIDTH),
        "b_ih": zeros(3 * GRU_WIDTH),
        "b_hh": zeros(3 * GRU_WIDTH),
        "head": linear(rng, GRU_WIDTH, GRU_WORDS),
    }
    return Arrays(params, (labels(rng, GRU_WORDS, *shape), labels(rng, GRU_WORDS, *shape)))


def gru_flops() -> int:
    word = (GRU_INPUTS + GRU_WIDTH) * 3 * GRU_WIDTH + GRU_WIDTH * GRU_WORDS
    return trained(GRU_TIME * GRU_BATCH * word)


# --- an autoencoder -------------------------------------------------------------------------------

CODER, CODER_BATCH, CODER_SIZE = (3, 20, 36, 52), 28, 48
"""Channels; each 4×4 convolution of stride 2 halves the image, and its transpose doubles it."""


def coded_images(rng: np.random.Generator) -> Arrays:
    """Weights of the decoder come in the order in which it uses them."""
    pairs = list(pairwise(CODER))
    encoder = [
        {"weight": normal(rng, b, a, 4, 4, fan_in=16 * a), "bias": zeros(b)} for a, b in pairs
    ]
    decoder = [
        {"weight": normal(rng, b, a, 4, 4, fan_in=4 * b), "bias": zeros(a)} for a, b in pairs[::-1]
    ]
    images = rng.standard_normal((CODER_BATCH, 3, CODER_SIZE, CODER_SIZE), np.float32)
    return Arrays({"encoder": encoder, "decoder": decoder}, (images,))


def autoencoder_flops() -> int:
    costs = [16 * a * b * (CODER_SIZE >> (k + 1)) ** 2 for k, (a, b) in enumerate(pairwise(CODER))]
    return trained(CODER_BATCH * 2 * sum(costs), CODER_BATCH * costs[0])


# --- a transformer of another make ----------------------------------------------------------------

LLAMA: dict[str, Any] = {"batch": 6, "time": 80, "width": 160, "heads": 4, "kv_heads": 2}
LLAMA_LAYERS, LLAMA_HIDDEN, LLAMA_WORDS = 3, 432, 301
"""RMS norm, rotary positions (halves), grouped queries, SwiGLU, no biases, a head of its own."""


def grouped_words(rng: np.random.Generator) -> Arrays:
    d, shape = LLAMA["width"], (LLAMA["batch"], LLAMA["time"])
    kv = d // LLAMA["heads"] * LLAMA["kv_heads"]

    def weight(fan_in: int, fan_out: int) -> np.ndarray:
        return normal(rng, fan_in, fan_out, fan_in=fan_in)

    def block() -> Tree:
        return {
            "norm1": ones(d),
            "q": weight(d, d),
            "k": weight(d, kv),
            "v": weight(d, kv),
            "out": weight(d, d),
            "norm2": ones(d),
            "gate": weight(d, LLAMA_HIDDEN),
            "up": weight(d, LLAMA_HIDDEN),
            "down": weight(LLAMA_HIDDEN, d),
        }

    params = {
        "tokens": normal(rng, LLAMA_WORDS, d, fan_in=d),
        "blocks": [block() for _ in range(LLAMA_LAYERS)],
        "norm": ones(d),
        "head": weight(d, LLAMA_WORDS),
    }
    return Arrays(params, tuple(labels(rng, LLAMA_WORDS, *shape) for _ in range(2)))


def llama_flops() -> int:
    d, hidden = LLAMA["width"], LLAMA_HIDDEN
    kv = d // LLAMA["heads"] * LLAMA["kv_heads"]
    token = 2 * d * d + 2 * d * kv + 2 * LLAMA["time"] * d + 3 * d * hidden
    return trained(LLAMA["batch"] * LLAMA["time"] * (LLAMA_LAYERS * token + d * LLAMA_WORDS))


HELD_OUT = {
    workload.name: workload
    for workload in (
        Workload(
            "mlp-odd",
            "classifier",
            odd_digits,
            MOMENTUM,
            trained(ODD_BATCH * dense(*ODD), ODD_BATCH * dense(*ODD[:2])),
        ),
        Workload(
            "vit",
            "vit",
            patches,
            ADAMW,
            vit_flops(),
            options={"patch": VIT["patch"], "heads": VIT["heads"]},
        ),
        Workload("resnet", "resnet", residual_images, MOMENTUM, resnet_flops()),
        Workload("gru", "gru", gated, ADAM, gru_flops()),
        Workload("autoencoder", "autoencoder", coded_images, ADAM, autoencoder_flops()),
        Workload(
            "llama",
            "llama",
            grouped_words,
            ADAMW,
            llama_flops(),
            options={"heads": LLAMA["heads"], "kv_heads": LLAMA["kv_heads"]},
        ),
    )
}

ALL = WORKLOADS | HELD_OUT
"""Every workload by name."""
