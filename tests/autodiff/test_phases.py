"""Which part of a step a node belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import graphc as gx
from graphc import ops, optim
from graphc.dtypes import TensorType, float32
from graphc.ir.graph import Graph, Node, Value, derived_from, new_input, standing_in_for
from graphc.ir.phases import Phase, phases
from graphc.ir.structure import repeated


def ancestors(value: Value) -> set[Node]:
    found: set[Node] = set()
    stack = [value.node]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(v.node for v in node.inputs)
    return found


def test_what_an_update_alone_reads_is_part_of_it() -> None:
    optimizer = optim.adam(1e-3)

    def step(state, x, y):
        w, moments = state
        hit = gx.mean(gx.maximum(x @ w, y))
        loss, slope = gx.value_and_grad(lambda w: gx.mean((x @ w - y) ** 2))(w)
        changes, moments = optimizer.update(slope, moments, w)
        return (optim.apply_updates(w, changes), moments), loss, hit

    w, x, y = np.ones(3, "f4"), np.ones((4, 3), "f4"), np.ones(4, "f4")
    traced = gx.trace(step, (w, optimizer.init(w)), x, y)
    for stage in traced.stages:
        phase = phases(stage.graph)
        loss, hit = stage.graph.outputs[-2:]
        results = ancestors(loss) | ancestors(hit)
        assert {phase[n] for n in results} == {Phase.FORWARD}
        others = [n for n in stage.graph.nodes if n not in results and n.inputs]
        assert {phase[n] for n in others} == {Phase.BACKWARD, Phase.UPDATE}
        assert all((phase[n] is Phase.BACKWARD) == (n.meta.rule is not None) for n in others)
    report = traced.lower().memory
    assert report.recompute_flops == 0
    assert all("multiply" not in row.producer for row in report.saved)


def test_a_derivative_that_a_pass_rewrote_is_still_forward_of_its_own_derivative() -> None:
    x = new_input("x", TensorType((4,), float32))
    square = ops.square(x)
    with derived_from(square.node):
        slope = ops.multiply(x, ops.full_like(x, 2.0))
    with derived_from(slope.node):
        slope_of_slope = ops.multiply(slope, x)
    graph = Graph((x,), (square, slope_of_slope))

    def doubled(node: Node, inputs: Sequence[Value]) -> Sequence[Value] | None:
        if node is not slope.node:
            return None
        with standing_in_for(node):
            return (ops.add(inputs[0], inputs[0]),)

    rewritten = graph.map(doubled)
    outer = rewritten.outputs[1].node
    inner = outer.inputs[0].node
    assert inner.op.name == "add"
    for found, last, first in (graph, slope_of_slope.node, slope.node), (rewritten, outer, inner):
        assert phases(found)[last] is Phase.BACKWARD
        assert phases(found)[first] is Phase.FORWARD
    again = Node(inner.op, inner.inputs, inner.types, repeated(inner.meta))
    clone = Graph((x,), (inner.outputs[0], outer.with_inputs((again.outputs[0], x)).outputs[0]))
    assert phases(clone)[again] is Phase.BACKWARD
