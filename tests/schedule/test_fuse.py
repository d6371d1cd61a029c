"""What fusion writes: nothing that its one reader could compute."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from benchmarks.scaling import BATCH, WIDTH, training
from graphc import nn
from graphc.schedule.product import Product


def written(traced: Any, least: int = 4096, **options: Any) -> list[str]:
    """The operators of the arrays of so many elements that kernels write, those that are done again
    marked.
    """
    program = traced.lower(threads=1, **options).program
    return [
        v.node.op.name + "*" * v.node.meta.clone
        for kernel in program.kernels
        for v in kernel.writes
        if v.type.size >= least
    ]


def test_what_waits_begins_the_kernel_of_its_reader():
    """x + x reads what the sum of columns reads too, but is wanted behind it."""

    def step(x):
        total = gx.sum(gx.square(x), axis=0)
        return (x + x) * total

    assert written(gx.trace(step, gx.spec((256, 64)))) == ["multiply"]


def test_an_optimizer_alone_is_one_loop_over_its_gradient():
    optimizer = gx.optim.adamw(0.001)
    params = gx.spec((128, 64))

    def step(state, gradient):
        params, moments = state
        updates, moments = optimizer.update(gradient, moments, params)
        return gx.optim.apply_updates(params, updates), moments

    state = params, optimizer.init(np.zeros(params.shape, np.float32))
    traced = gx.trace(step, state, params, donate_argnums=0)
    large = [k for k in traced.lower(threads=1).program.kernels if k.bytes > 4096]
    assert len(large) == 1


def test_what_follows_from_a_product_that_is_done_again_is_not_written_beside_it():
    """In segments of 4 layers 1 - tanh² is computed where a gradient is multiplied by it."""
    found = written(training(16, segments=4), BATCH * WIDTH)
    assert found.count("tanh*") == 4 * 3
    assert "subtract" not in found
    peak = training(16, segments=4).lower(threads=1).memory.peak_bytes
    # The boundaries, a segment, the gradient, and working memory.
    assert peak <= (3 + 4 + 1) * 4 * BATCH * WIDTH + 4 * WIDTH * WIDTH


def test_a_convolution_that_is_done_again_writes_one_array():
    """Pooling, batch norm and the gradient of the next weights read the same one."""
    channels = 16
    scale, shift = np.ones(channels, np.float32), np.zeros(channels, np.float32)

    def layer(x, w):
        y = nn.conv2d(x, w, padding=1, layout="NHWC")
        y, _, _ = nn.batch_norm(y, scale, shift, shift, scale, training=True, layout="NHWC")
        return nn.relu(y)

    def step(weights, x):
        for w in weights:
            x = layer(x, w)
        return gx.grad(gx.mean(gx.square(x)), weights)

    first, second = gx.spec((3, 3, 3, channels)), gx.spec((3, 3, channels, channels))
    traced = gx.trace(step, [first, second, second], gx.spec((4, 32, 32, 3)))
    choices = gx.memory.pareto(traced, threads=1)
    array = 4 * 32 * 32 * channels * 4
    assert choices[-1].peak_bytes <= choices[0].peak_bytes - array


def test_what_is_only_folded_is_not_written_by_a_product():
    """The gradient of a norm's result is in memory for the sums of columns; what is multiplied with
    it for the sums of rows is not.
    """

    def step(x, w, scale, shift):
        loss = gx.sum(gx.square(nn.layer_norm(x, scale, shift) @ w))
        return gx.grad(loss, (x, w, scale, shift))

    width = gx.spec((96,))
    program = gx.trace(step, gx.spec((64, 96)), gx.spec((96, 80)), width, width).lower().program
    products = [k for k in program.kernels if isinstance(k, Product)]
    assert [len(k.writes) for k in products] == [1, 1, 1]


def test_what_a_product_keeps_to_itself_is_computed_on_its_tiles():
    """Nothing else reads the product: only what is folded is written."""

    def step(x, w):
        y = gx.tanh(x @ w)
        return gx.sum(y, axis=1), gx.max(y, axis=1)

    assert written(gx.trace(step, gx.spec((64, 96)), gx.spec((96, 80)))) == ["tanh"]
