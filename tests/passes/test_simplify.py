"""Simplification of whole graphs: what laws do together."""

from __future__ import annotations

import numpy as np

from graphc import ops
from graphc.autodiff.reverse import grad
from graphc.dtypes import bool_, float32, int32, tensor_type
from graphc.ir.graph import Graph, Value, new_input
from graphc.ops.arithmetic import Add, Divide, Negative
from graphc.ops.placing import Concat, Pad
from graphc.ops.shape import Broadcast, Permute, Reshape
from graphc.ops.slicing import Slice
from graphc.passes.flatten import flatten
from graphc.passes.simplify import simplify

from .values import Inputs, assert_equal_graphs, chain, count, graph_of, quickly


def columns(x: Value, start: int, length: int) -> Value:
    return ops.slice(x, (0, start), (x.shape[0], length), (1, 1))


def gradient_of_slices(starts: list[int], width: int, total: int) -> tuple[Graph, Inputs]:
    """The gradient of a function that reads slices of one array, each with a weight of its own."""
    inputs = Inputs()
    x = inputs.array((3, total))
    weights = [inputs.array((3, width)) for _ in starts]
    parts = [ops.multiply(columns(x, s, width), w) for s, w in zip(starts, weights, strict=True)]
    y = ops.add_all([ops.sum_all(p) for p in parts])
    (dx,) = grad([y], [x], [ops.constant(1.0, float32)])
    return graph_of(dx), inputs


def test_gradients_of_three_slices_become_one_concatenation() -> None:
    """Queries, keys and values cut from one product: no array of zeros, no sum of arrays."""
    graph, inputs = gradient_of_slices([0, 4, 8], 4, 12)
    assert (count(graph, Pad), count(graph, Concat)) == (3, 0)
    simple = flatten(simplify(graph))
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert (count(simple, Pad), count(simple, Concat)) == (0, 1)
    # What is left of the sum makes 0.0 of a -0.0, as adding 0.0 did.
    assert count(simple, Add) == 1


def test_so_they_do_in_any_order() -> None:
    for starts in ([8, 0, 4], [0, 8, 4], [4, 8, 0]):
        graph, inputs = gradient_of_slices(starts, 4, 12)
        simple = flatten(simplify(graph))
        assert_equal_graphs(graph, simple, inputs.arrays)
        assert (count(simple, Pad), count(simple, Concat)) == (0, 1)


def test_slices_that_leave_something_out_keep_one_pad() -> None:
    graph, inputs = gradient_of_slices([2, 6], 4, 13)
    simple = simplify(graph)
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert (count(simple, Pad), count(simple, Concat)) == (1, 1)


def test_overlapping_slices_are_added() -> None:
    graph, inputs = gradient_of_slices([0, 3], 4, 12)
    simple = simplify(graph)
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert count(simple, Pad) == 2


def test_a_thousand_slices_become_one_concatenation() -> None:
    graph, _ = gradient_of_slices(list(range(1000)), 1, 1000)
    simple = flatten(simplify(graph))
    assert (count(simple, Pad), count(simple, Concat)) == (0, 1)
    assert len(next(n for n in simple.nodes if isinstance(n.op, Concat)).inputs) == 1000


def test_views_collapse() -> None:
    inputs = Inputs()
    x = inputs.array((4, 6))
    y = ops.reshape(ops.permute(ops.permute(x, (1, 0)), (1, 0)), (24,))
    y = ops.flip(ops.flip(ops.reshape(ops.reshape(y, (2, 12)), (4, 6)), (1,)), (1,))
    simple = simplify(graph_of(y))
    assert simple.outputs == (x,)


def test_mean_and_keepdims_chains_broadcast_once() -> None:
    """(x - mean) with the mean reshaped to keep its axis: one broadcast, no reshape."""
    inputs = Inputs()
    x = inputs.array((4, 8))
    mean = ops.divide(ops.sum(x, (1,)), 8.0)
    kept = ops.broadcast(ops.reshape(mean, (4, 1)), (4, 8))
    graph = graph_of(ops.subtract(x, kept))
    simple = simplify(graph)
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert count(simple, Reshape) == count(simple, Divide) == 0
    assert sum(n.types[0].shape == (4, 8) for n in simple.nodes if n.inputs) == 2


def test_arithmetic_on_one_number_leaves_the_large_array() -> None:
    inputs = Inputs()
    g, rate, step = inputs.array((50,)), inputs.array(()), inputs.array(())
    scale = ops.multiply(ops.broadcast(rate, (50,)), ops.sqrt(ops.broadcast(step, (50,))))
    graph = graph_of(ops.multiply(g, scale))
    simple = simplify(graph)
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert [n.op.name for n in simple.nodes[3:]] == ["sqrt", "multiply", "broadcast_to", "multiply"]
    assert count(simple, Broadcast) == 1


def test_negations_cancel_across_a_chain() -> None:
    inputs = Inputs()
    x, y = inputs.all_pairs(2)
    z = ops.negative(ops.multiply(ops.negative(ops.subtract(x, ops.negative(y))), 2.5))
    graph = graph_of(ops.add(x, ops.negative(ops.negative(z))))
    simple = simplify(graph)
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert count(simple, Negative) == 0


def test_what_ieee_forbids_is_left_alone() -> None:
    inputs = Inputs()
    x, y, z = inputs.all_pairs(3)
    graph = graph_of(
        ops.multiply(x, 0.0),
        ops.divide(x, x),
        ops.subtract(x, x),
        ops.add(x, 0.0),
        ops.subtract(0.0, x),
        ops.add(ops.add(x, y), z),
        ops.multiply(ops.multiply(x, 3.0), 5.0),
        ops.equal(x, x),
        ops.logical_not(ops.less(x, y)),
        ops.divide(x, 3.0),
        ops.sqrt(ops.square(x)),
    )
    assert simplify(graph) is graph


def test_new_nodes_keep_the_origin_of_what_they_replace() -> None:
    x, y = new_input("x", tensor_type((2,))), new_input("y", tensor_type((2,)))
    node = ops.add(x, ops.negative(y)).node
    node.meta.name = "difference"
    (made,) = simplify(graph_of(node.outputs[0])).outputs
    assert (made.node.meta.site, made.node.meta.name) == (node.meta.site, "difference")


def test_a_copy_is_not_looked_through() -> None:
    inputs = Inputs()
    x = inputs.array((3,))
    graph = graph_of(ops.copy(ops.broadcast(x, (2, 3))))
    assert simplify(graph) is graph


def test_the_written_order_stays() -> None:
    inputs = Inputs()
    x, y = inputs.array((3,)), inputs.array((3,))
    first = ops.sin(ops.multiply(x, 1.0))
    second = ops.cos(y)
    third = ops.exp(x)
    simple = simplify(graph_of(third, second, first))
    assert [n.op.name for n in simple.nodes] == ["input", "input", "sin", "cos", "exp"]


def test_a_chain_of_100_000_nodes_of_which_all_go() -> None:
    inputs = Inputs()
    x = y = inputs.array((2,))
    with quickly(x):
        for k in range(25_000):
            y = ops.negative(ops.negative(ops.multiply(ops.alias(y), 1.0) if k % 2 else y))
    graph = graph_of(y)
    assert len(graph) > 100_000
    assert simplify(graph).outputs == (x,)


def test_a_chain_of_100_000_nodes_of_which_none_goes() -> None:
    _, y = chain(34_000)
    graph = graph_of(y)
    assert len(graph) > 100_000
    assert simplify(graph) is graph


def test_double_where_keeps_its_guard() -> None:
    """where(x > 0, sqrt(where(x > 0, x, 1)), 0): conditions merge, the guard stays."""
    inputs = Inputs()
    (x,) = inputs.all_pairs(1)
    positive = ops.greater(x, 0.0)
    safe = ops.where(positive, x, ops.full_like(x, 1.0))
    graph = graph_of(ops.where(positive, ops.sqrt(safe), ops.full_like(x, 0.0)))
    assert simplify(graph) is graph
    inputs.evaluate(graph.outputs)


def test_integers_and_booleans() -> None:
    inputs = Inputs(int32)
    (x,) = inputs.all_pairs(1)
    flag = ops.less(x, 3)
    y = ops.where(ops.logical_not(ops.logical_not(flag)), ops.add(x, 0), ops.multiply(x, 1))
    z = ops.logical_and(flag, ops.full(x.shape, True, bool_))
    graph = graph_of(y, z)
    simple = simplify(graph)
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert simple.outputs[0] is x
    assert count(simple, Permute) == count(simple, Slice) == 0
    assert [n.op.name for n in simple.nodes[-1:]] == ["less"]


def test_constants_of_one_number_are_recognised_in_arrays() -> None:
    inputs = Inputs()
    x = inputs.array((2, 3))
    graph = graph_of(ops.multiply(x, ops.constant(np.ones((2, 3)), float32)))
    assert simplify(graph).outputs == (x,)
