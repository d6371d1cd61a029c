"""Every output gets memory of its own."""

from __future__ import annotations

import pytest

from graphc import ops
from graphc.dtypes import float32
from graphc.ir.graph import Graph, Input, Value
from graphc.ir.spec import View
from graphc.ops.convert import Copy
from graphc.passes.outputs import own_outputs

from .values import Inputs, assert_equal_graphs, count, graph_of


def assert_owned(graph: Graph) -> None:
    assert len(set(graph.outputs)) == len(graph.outputs)
    for value in graph.outputs:
        assert not isinstance(value.node.op, Input)
        spec = value.node.op.spec(*[v.type for v in value.node.inputs])
        assert not isinstance(spec, View)
        assert value.node.inputs


def x_of(inputs: Inputs) -> Value:
    return inputs.array((2, 3))


@pytest.mark.parametrize(
    "make",
    [
        x_of,
        lambda i: ops.permute(x_of(i), (1, 0)),
        lambda i: ops.reshape(ops.exp(x_of(i)), (6,)),
        lambda i: ops.slice(x_of(i), (0, 0), (1, 3), (1, 1)),
        lambda i: ops.broadcast(x_of(i), (4, 2, 3)),
        lambda i: ops.constant([1.0, 2.0], float32),
        lambda i: ops.full((3,), 1.0, float32),
        lambda i: ops.iota((3,), 0),
        lambda i: ops.add(ops.iota((3,), 0), ops.iota((3,), 0)),
    ],
)
def test_what_has_no_memory_of_its_own_is_copied(make) -> None:
    inputs = Inputs()
    graph = graph_of(make(inputs))
    owned = own_outputs(graph)
    assert_owned(owned)
    assert_equal_graphs(graph, owned, inputs.arrays)
    assert count(owned, Copy) == 1
    assert own_outputs(owned) is owned


def test_equal_outputs_are_copied_but_the_first() -> None:
    inputs = Inputs()
    y = ops.exp(x_of(inputs))
    graph = graph_of(y, y, y)
    owned = own_outputs(graph)
    assert_owned(owned)
    assert owned.outputs[0] is y
    assert count(owned, Copy) == 2
    assert_equal_graphs(graph, owned, inputs.arrays)


def test_computed_outputs_stay() -> None:
    inputs = Inputs()
    x = x_of(inputs)
    graph = graph_of(ops.exp(x), ops.sum(x, (0,)), ops.concat([x, x], 0))
    assert own_outputs(graph) is graph


def test_donation_and_names_stay() -> None:
    inputs = Inputs()
    x = x_of(inputs)
    graph = Graph((x,), (x, ops.exp(x)), ("same", "exp"), {0: 1})
    owned = own_outputs(graph)
    assert (owned.output_names, owned.donated) == (graph.output_names, graph.donated)
