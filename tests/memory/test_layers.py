"""What each kind of layer keeps for the backward pass: formulas in float32, against the ledger and
the plan. No product and no convolution is done again for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from benchmarks import formulas
from benchmarks.systems import graphc_steps
from benchmarks.workloads import WORKLOADS
from graphc import nn
from tests.compiled.checking import check_plan

#: Rows and columns of the activations.
ROWS, WIDTH = 256, 64
N = ROWS * WIDTH
#: Images, pixels along an axis, channels.
IMAGES, PIXELS, CHANNELS = 8, 16, 16
PICTURE = IMAGES * PIXELS * PIXELS * CHANNELS


def arena_bytes(lowered: Any) -> int:
    """What the plan holds from a forward kernel to a backward one."""
    check_plan(lowered)
    return sum(a.bytes for a in lowered.memory.allocations if a.kind == "saved")


def kept(step: Callable, *args: Any) -> int:
    """Bytes kept, of which the ledger and the plan agree."""
    lowered = gx.trace(step, *args).lower(threads=1)
    assert arena_bytes(lowered) == lowered.memory.kept_bytes
    assert lowered.memory.recompute_flops < 0.2 * lowered.cost_analysis()["flops"]
    return lowered.memory.kept_bytes


def each(layer: Callable[..., Any], weight: tuple[int, ...], x: tuple[int, ...]) -> int:
    """Bytes that one layer more adds, where another one follows."""

    def step(weights, x):
        for number, w in enumerate(weights):
            x = layer(x, w, number)
        return gx.grad(gx.mean(gx.square(x)), weights)

    few, many = (kept(step, [gx.spec(weight)] * depth, gx.spec(x)) for depth in (3, 4))
    return many - few


def norm(x: Any) -> Any:
    width = x.shape[-1]
    return nn.layer_norm(x, np.ones(width, np.float32), np.zeros(width, np.float32))


def of_product(function: Callable) -> Callable:
    return lambda x, w, number: function(x @ w)


def normed_convolution(x: Any, w: Any, number: int) -> Any:
    one, zero = np.ones(CHANNELS, np.float32), np.zeros(CHANNELS, np.float32)
    y = nn.conv2d(x, w, padding=1, layout="NHWC")
    return nn.relu(nn.batch_norm(y, one, zero, zero, one, training=True, layout="NHWC")[0])


@pytest.mark.parametrize(
    ("layer", "bytes_"),
    [
        # The ReLU's result is the next layer's input.
        (of_product(nn.relu), 4 * N),
        (of_product(norm), 4 * N + 8 * ROWS),
        (of_product(nn.gelu), 4 * N),
        (of_product(lambda h: nn.gelu(h, approximate=True)), 4 * N),
        (of_product(nn.silu), 4 * N),
        (of_product(nn.softmax), 4 * N),
    ],
)
def test_layers_of_products(layer, bytes_):
    found = each(layer, (WIDTH, WIDTH), (ROWS, WIDTH))
    # Of a statistic that follows from another one only one is kept.
    assert bytes_ - 4 * ROWS <= found <= bytes_


def test_a_convolution_with_batch_norm_keeps_its_result_and_statistics():
    found = each(normed_convolution, (3, 3, CHANNELS, CHANNELS), (IMAGES, PIXELS, PIXELS, CHANNELS))
    assert 4 * PICTURE <= found <= 4 * PICTURE + 8 * CHANNELS


def pooled(window: int, stride: int) -> Callable[..., Any]:
    padding = 1 if window > stride else 0

    def layer(x: Any, w: Any, number: int) -> Any:
        y = nn.conv2d(x, w, padding=1, layout="NHWC")
        return nn.max_pool2d(y, window, stride=stride, padding=padding, layout="NHWC")

    return layer


@pytest.mark.parametrize(("window", "bits"), [(2, 2), (3, 4)])
def test_max_pooling_keeps_the_number_of_a_tap(window, bits):
    """A convolution and pooling to half the size: the result, and 2 or 4 bits an element of it."""

    def step(weights, x):
        for number, w in enumerate(weights):
            x = pooled(window, 2)(x, w, number)
        return gx.grad(gx.mean(gx.square(x)), weights)

    weights = [gx.spec((3, 3, CHANNELS, CHANNELS))] * 3
    found = kept(step, weights, gx.spec((IMAGES, PIXELS, PIXELS, CHANNELS)))
    results = [PICTURE // 4, PICTURE // 16, PICTURE // 64]
    assert found == sum(4 * n + bits * n // 8 for n in results)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_a_relu_that_nobody_else_reads_keeps_a_bit(layout):
    """The last ReLU's result is averaged; the results of those before are convolved."""

    def step(weights, x):
        for w in weights:
            x = nn.relu(nn.conv2d(x, w, padding=1, layout=layout))
        x = gx.mean(x, axis=(1, 2) if layout == "NHWC" else (2, 3))
        return gx.grad(gx.sum(gx.sin(x)), weights)

    nhwc = layout == "NHWC"
    shape = (3, 3, CHANNELS, CHANNELS) if nhwc else (CHANNELS, CHANNELS, 3, 3)
    x = (IMAGES, PIXELS, PIXELS, CHANNELS) if nhwc else (IMAGES, CHANNELS, PIXELS, PIXELS)
    found = kept(step, [gx.spec(shape)] * 3, gx.spec(x))
    assert found == 2 * 4 * PICTURE + PICTURE // 8


def test_dropout_keeps_a_bit_or_its_key():
    """A bit an element costs less than the mask's random bits; from the key, 16 bytes that are an
    argument, it can be computed again.
    """

    def step(weights, x, key):
        for number, w in enumerate(weights):
            x = nn.dropout(x @ w, 0.5, gx.random.fold_in(key, number))
        return gx.grad(gx.mean(gx.square(x)), weights)

    args = [gx.spec((WIDTH, WIDTH))] * 3, gx.spec((ROWS, WIDTH)), gx.spec((2,), "uint32")
    traced = gx.trace(step, *args)
    memory = traced.lower(threads=1).memory
    masks = [row for row in memory.saved if row.kind == "mask"]
    assert [(row.bits, row.bytes) for row in masks] == [(1, N // 8)] * 2
    assert memory.kept_bytes == 2 * 4 * N + 2 * N // 8
    keys = traced.lower(threads=1, recompute=masks).memory.kept_bytes - 2 * 4 * N
    assert 0 <= keys <= 2 * 16


def test_the_gradient_of_cross_entropy_is_written_over_the_logits():
    classes = 1000

    def step(w, x, y):
        loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(x @ w, y))
        return gx.grad(loss, w), loss

    args = gx.spec((WIDTH, classes)), gx.spec((ROWS, WIDTH)), gx.spec((ROWS,), "int32")
    memory = gx.trace(step, *args).lower(threads=1).memory
    assert memory.kept_bytes == 0
    assert 4 * ROWS * classes <= memory.peak_bytes < 1.2 * 4 * ROWS * classes


def test_attention_keeps_its_operands_its_result_and_a_number_a_row():
    batch, heads, time = 4, 4, ROWS // 4

    def step(weights, x):
        parts = (gx.reshape(x @ w, (batch, time, heads, -1)) for w in weights[:3])
        q, k, v = (gx.permute_dims(p, (0, 2, 1, 3)) for p in parts)
        o = gx.permute_dims(nn.attention(q, k, v, causal=True), (0, 2, 1, 3))
        y = gx.reshape(o, x.shape) @ weights[3]
        return gx.grad(gx.mean(gx.square(y)), weights)

    found = kept(step, [gx.spec((WIDTH, WIDTH))] * 4, gx.spec((ROWS, WIDTH)))
    assert found == 4 * 4 * N + 4 * heads * time * batch


def test_a_block_of_a_transformer():
    """40·s·b·h + 16·s·b + 4·a·s·b, of s tokens, b sequences, h wide, a heads."""
    tokens, sequences, heads = 32, 8, 4

    def block(p, x):
        qkv = norm(x) @ p["qkv"]
        parts = (gx.reshape(t, (sequences, tokens, heads, -1)) for t in gx.split(qkv, 3, axis=-1))
        q, k, v = (gx.permute_dims(t, (0, 2, 1, 3)) for t in parts)
        o = gx.permute_dims(nn.attention(q, k, v, causal=True), (0, 2, 1, 3))
        x = x + gx.reshape(o, x.shape) @ p["out"]
        return x + nn.gelu(norm(x) @ p["up"], approximate=True) @ p["down"]

    def step(params, x):
        for p in params:
            x = block(p, x)
        return gx.grad(gx.mean(gx.square(norm(x))), params)

    sizes = {"qkv": (64, 192), "out": (64, 64), "up": (64, 256), "down": (256, 64)}
    params = {name: gx.spec(shape) for name, shape in sizes.items()}
    x = gx.spec((sequences, tokens, WIDTH))
    few, many = (kept(step, [params] * depth, x) for depth in (2, 3))
    formula = 40 * N + 16 * ROWS + 4 * heads * ROWS
    assert many - few <= formula
    assert many - few >= 40 * N


@pytest.mark.parametrize("name", ["moons", "mlp", "cnn", "gpt-nano"])
def test_workloads_keep_what_the_formulas_say(name):
    """A statistic that follows from another one is not kept; single numbers are."""
    workload = WORKLOADS[name]
    memory = graphc_steps.trace_step(workload, workload.arrays())[0].lower(threads=2).memory
    reachable = formulas.of(workload).reachable
    assert 0.97 * reachable <= memory.kept_bytes <= reachable + 1024
    assert memory.kept_bytes == memory.min_cut_bytes
