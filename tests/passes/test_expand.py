"""Macro operators give way to what they stand for."""

from __future__ import annotations

import numpy as np

import graphc as gx
from graphc.ir.spec import Expand
from graphc.ir.verify import verify
from graphc.passes.expand import expand
from graphc.passes.pipeline import optimize
from graphc.reference import evaluate


def is_macro(node):
    return bool(node.inputs) and isinstance(node.op.spec(*[v.type for v in node.inputs]), Expand)


def outer(x):
    """A custom rule around a custom rule."""
    return inner(gx.tanh(x)) * 2


@gx.custom_vjp
def inner(x):
    return gx.sin(x)


inner.defvjp(lambda x: (gx.sin(x), x), lambda x, g: (g * gx.cos(x),))
nested = gx.custom_vjp(outer)
nested.defvjp(lambda x: (outer(x), inner(x)), lambda saved, g: (g * saved,))


def traced():
    return gx.trace(gx.value_and_grad(lambda x: gx.sum(nested(x))), np.ones((3,)))


def test_macros_are_gone_and_values_are_the_same():
    graph = traced().graph
    after = expand(graph)
    assert sum(map(is_macro, graph.nodes)) == 3
    assert not any(map(is_macro, after.nodes))
    assert len(after) == len(graph) - 3
    verify(after)
    given = np.linspace(-1, 1, 3)
    for old, new in zip(
        evaluate(graph, {graph.inputs[0]: given}),
        evaluate(after, {after.inputs[0]: given}),
        strict=True,
    ):
        np.testing.assert_array_equal(old, new)


def test_a_graph_without_macros_is_returned_as_it_is():
    graph = gx.trace(lambda x: gx.tanh(x) + 1, np.ones(3)).graph
    assert expand(graph) is graph
    assert "expand" not in [stage.name for stage in optimize(graph)]


def test_the_pipeline_expands_first():
    stages = optimize(traced().graph, verify=True)
    assert [stage.name for stage in stages[:2]] == ["written", "expand"]
