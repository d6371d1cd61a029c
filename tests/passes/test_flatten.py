"""Nested concatenations become one."""

from __future__ import annotations

from graphc import ops
from graphc.ops.placing import Concat
from graphc.passes.flatten import flatten

from .values import Inputs, assert_equal_graphs, count, graph_of, in_order


def test_a_nest_becomes_one_node_with_its_leaves_in_order() -> None:
    inputs = Inputs()
    a, b, c, d, e = [inputs.array((2, n)) for n in (1, 2, 3, 4, 5)]
    left = ops.concat([a, ops.concat([b, c], 1)], 1)
    graph = graph_of(ops.concat([left, ops.concat([d, e], 1)], 1))
    flat = flatten(graph)
    assert_equal_graphs(graph, flat, inputs.arrays)
    assert flat.outputs[0].node.inputs == (a, b, c, d, e)
    assert (count(graph, Concat), count(flat, Concat)) == (4, 1)


def test_other_axes_and_other_readers_keep_the_inner_one() -> None:
    inputs = Inputs()
    a, b = inputs.array((2, 2)), inputs.array((2, 2))
    inner = ops.concat([a, b], 1)
    for graph in (
        graph_of(ops.concat([inner, ops.concat([b, a], 1)], 0)),
        graph_of(ops.concat([inner, a], 1), inner),
        graph_of(ops.concat([inner, a], 1), ops.exp(inner)),
        graph_of(ops.concat([inner, inner], 1)),
    ):
        assert flatten(graph) is graph


def test_what_is_read_by_the_nest_alone_is_flattened_beside_what_is_not() -> None:
    inputs = Inputs()
    a, b, c = [inputs.array((3,)) for _ in range(3)]
    shared = ops.concat([a, b], 0)
    own = ops.concat([b, ops.exp(c)], 0)
    graph = graph_of(ops.concat([shared, own, ops.sin(a)], 0), shared)
    flat = flatten(graph)
    assert_equal_graphs(graph, flat, inputs.arrays)
    assert len(flat.outputs[0].node.inputs) == 4
    assert in_order(flat)


def test_a_nest_of_20_000_levels() -> None:
    inputs = Inputs()
    x = inputs.array((1,))
    y = ops.concat([x, ops.exp(x)], 0)
    for _ in range(20_000):
        y = ops.concat([y, x], 0)
    flat = flatten(graph_of(y))
    assert count(flat, Concat) == 1
    assert len(flat.outputs[0].node.inputs) == 20_002
