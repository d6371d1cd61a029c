"""Common subexpressions: what is merged, and what must not be."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import ops
from graphc.dtypes import bool_, float32, int32
from graphc.ir.graph import Graph, Meta, Node, apply
from graphc.ops.arithmetic import Add, Multiply, Subtract
from graphc.ops.constant import Constant
from graphc.passes.cse import cse

from .values import Inputs, assert_equal_graphs, chain, count, graph_of, in_order, quickly


def test_equal_nodes_are_merged_through_several_levels() -> None:
    inputs = Inputs()
    x, y = inputs.all_pairs(2)
    left = ops.multiply(ops.exp(ops.add(x, y)), 2.0)
    right = ops.multiply(ops.exp(ops.add(x, y)), 2.0)
    graph = graph_of(ops.subtract(left, right), right)
    merged = cse(graph)
    assert_equal_graphs(graph, merged, inputs.arrays)
    # x, y, add, exp, 2.0, its broadcast, multiply, subtract
    assert (len(graph), len(merged)) == (13, 8)
    assert in_order(merged)


def test_operands_of_commutative_operators_stand_in_either_order() -> None:
    inputs = Inputs()
    x, y = inputs.all_pairs(2)
    graph = graph_of(ops.add(x, y), ops.add(y, x), ops.subtract(x, y), ops.subtract(y, x))
    merged = cse(graph)
    assert_equal_graphs(graph, merged, inputs.arrays)
    assert count(merged, Add) == 1
    assert count(merged, Subtract) == 2


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.float32(0.0), np.float32(-0.0)),
        (np.int32(1), np.bool_(True)),
        (np.int32(1), np.float32(1)),
        (np.float32([1, 2]), np.float32([[1, 2]])),
    ],
)
def test_constants_with_different_bits_stay_apart(a: np.ndarray, b: np.ndarray) -> None:
    graph = graph_of(ops.constant(a), ops.constant(b))
    assert cse(graph) is graph


def test_constants_with_equal_bits_are_merged() -> None:
    graph = graph_of(ops.constant(np.nan, float32), ops.constant(np.nan, float32))
    merged = cse(graph)
    assert count(merged, Constant) == 1


def test_different_parameters_and_dtypes_stay_apart() -> None:
    inputs = Inputs()
    x = inputs.array((2, 3))
    graph = graph_of(
        ops.sum(x, (0,)),
        ops.max(x, (0,)),
        ops.sum(x, (1,)),
        ops.astype(x, int32),
        ops.astype(x, bool_),
        ops.iota((2,), 0),
        ops.iota((2,), 0, int32),
        ops.exp(x),
        ops.sin(x),
    )
    assert cse(graph) is graph


def test_recomputed_copies_are_not_merged_with_their_originals() -> None:
    inputs = Inputs()
    x, y = inputs.all_pairs(2)
    original = ops.multiply(x, y)
    clones = [
        Node(Multiply(), (x, y), original.node.types, Meta(None, clone=k)).outputs[0]
        for k in (1, 1, 2)
    ]
    graph = graph_of(original, *clones)
    assert count(cse(graph), Multiply) == 3


def test_impure_operators_and_inputs_are_never_merged() -> None:
    inputs = Inputs()
    x, y = inputs.array((3,)), inputs.array((3,))
    graph = graph_of(ops.copy(x), ops.copy(x), y)
    assert cse(graph) is graph
    assert len(graph.inputs) == 2


def test_equal_inputs_in_another_order_matter_for_other_operators() -> None:
    inputs = Inputs()
    x, y = inputs.array((3,)), inputs.array((3,))
    graph = graph_of(ops.concat([x, y], 0), ops.concat([y, x], 0), ops.less(x, y), ops.less(y, x))
    assert cse(graph) is graph


def test_the_kept_node_is_the_first_and_the_order_stays() -> None:
    inputs = Inputs()
    x, y = inputs.all_pairs(2)
    first = ops.add(x, y)
    between = ops.exp(x)
    again = ops.add(y, x)
    last = ops.multiply(again, between)
    merged = cse(graph_of(first, between, again, last))
    assert [n.op.name for n in merged.nodes] == ["input", "input", "add", "exp", "multiply"]
    assert merged.outputs[0] is merged.outputs[2]


def test_two_equal_chains_of_50_000() -> None:
    x, y = chain(50_000)
    z = x
    with quickly(x):
        for node in graph_of(y).nodes:
            if isinstance(node.op, Add):
                z = apply(node.op, z, node.inputs[1])[0]
    graph = Graph((x,), (y, z))
    merged = cse(graph)
    assert merged.outputs[0] is merged.outputs[1]
    assert len(merged) < len(graph) / 2
