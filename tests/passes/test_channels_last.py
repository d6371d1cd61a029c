"""Permutations move behind what reads them, and disappear where they meet their inverses."""

from __future__ import annotations

import numpy as np

import graphc as gx
from graphc import nn, ops
from graphc.ops.shape import Permute
from graphc.passes.channels_last import channels_last
from graphc.passes.pipeline import optimize

from .values import Inputs, assert_equal_graphs, count, graph_of

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def test_a_permutation_moves_behind_elementwise_operators_and_meets_its_inverse() -> None:
    inputs = Inputs()
    x, b, z = inputs.array((2, 3, 4, 5)), inputs.array((5,)), inputs.array((2, 5, 3, 4))
    y = ops.permute(ops.exp(x), FIRST)
    y = ops.multiply(ops.add(y, ops.broadcast(b, y.shape, (1,))), z)
    graph = graph_of(ops.sin(ops.permute(ops.square(y), LAST)))
    final = optimize(graph)[-1].graph
    assert_equal_graphs(graph, final, inputs.arrays)
    # That of the input is left: it is a view.
    assert (count(graph, Permute), count(final, Permute)) == (2, 1)


def test_reductions_fold_the_axes_of_the_array_itself() -> None:
    inputs = Inputs()
    y = ops.permute(ops.exp(inputs.array((2, 3, 4, 5))), FIRST)
    for axes in ((0, 2, 3), (1,), (1, 2), (3,)):
        graph = graph_of(ops.max(y, axes))
        moved = channels_last(graph)
        assert moved is not graph
        assert_equal_graphs(graph, moved, inputs.arrays)
        assert moved.outputs[0].node.op != graph.outputs[0].node.op


def test_views_of_axes_of_space_and_concatenations_are_taken_of_the_array_itself() -> None:
    """Upsampling, its gradient, and what a U-Net joins: no permutation is left but the last."""
    inputs = Inputs()
    x, z = inputs.array((2, 3, 4, 5)), inputs.array((2, 6, 4, 2))
    y, other = (ops.permute(ops.exp(v), FIRST) for v in (x, z))
    wide = ops.reshape(ops.broadcast(y, (2, 5, 3, 2, 4), (0, 1, 2, 4)), (2, 5, 6, 4))
    pair = ops.reshape(other, (2, 2, 3, 2, 4))
    joined = ops.concat([wide, other], 1)
    part = ops.slice(joined, (0, 1, 5, 0), (2, 5, 3, 2), (1, 1, -2, 2))
    for value in (wide, ops.sum(pair, (3,)), joined, part):
        graph = graph_of(ops.sin(value))
        final = optimize(graph)[-1].graph
        assert_equal_graphs(graph, final, inputs.arrays)
        (stored,) = final.outputs[0].node.inputs
        assert count(final, Permute) == 1 and isinstance(stored.node.op, Permute)
    across = graph_of(ops.sin(ops.reshape(y, (2, 15, 4))))
    assert channels_last(across) is across


def test_what_would_be_permuted_back_stays() -> None:
    inputs = Inputs()
    x, z = inputs.array((2, 3, 4)), inputs.array((2, 4, 3))
    turned = ops.permute(ops.exp(x), (0, 2, 1))
    graph = graph_of(ops.add(turned, ops.exp(z)))
    assert channels_last(graph) is graph
    heads = graph_of(ops.exp(ops.permute(ops.exp(inputs.array((2, 3, 4, 5))), (0, 2, 1, 3))))
    assert channels_last(heads) is heads
    view = graph_of(ops.exp(ops.permute(x, (0, 2, 1))))
    assert channels_last(view) is view


def test_between_the_layers_of_a_network_nothing_is_permuted() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 8, 8), np.float32)
    weights = [rng.standard_normal(s, np.float32) for s in ((4, 3, 3, 3), (5, 4, 3, 3))]

    def loss(weights, x, layout):
        for w in weights:
            x = nn.relu(nn.conv2d(x, w, padding="SAME", layout=layout))
            mean = gx.mean(x, axis=(0, 2, 3) if layout == "NCHW" else (0, 1, 2), keepdims=True)
            x = nn.max_pool2d(x - mean, 2, layout=layout)
        return gx.sum(x)

    first = gx.trace(lambda w, x: gx.grad(loss(w, x, "NCHW"), w), weights, x).lower()
    taps = [np.transpose(w, (2, 3, 1, 0)).copy() for w in weights]
    images = np.transpose(x, LAST).copy()
    last = gx.trace(lambda w, x: gx.grad(loss(w, x, "NHWC"), w), taps, images).lower()
    # The gradients of the weights are results in the order of axes of the weights: two copies.
    assert len(first.kernels) <= len(last.kernels) + 2
