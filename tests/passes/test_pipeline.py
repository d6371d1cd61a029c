"""The pipeline: stages, settling, and passes in any order."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from graphc import ops
from graphc.autodiff.reverse import grad
from graphc.dtypes import bool_, float32, int32
from graphc.ir.graph import Graph, Value
from graphc.passes.cse import cse
from graphc.passes.flatten import flatten
from graphc.passes.fold import fold
from graphc.passes.outputs import own_outputs
from graphc.passes.pipeline import ONCE, REPEATED, optimize
from graphc.passes.simplify import simplify

from .values import Inputs, assert_equal_graphs, chain, graph_of, in_order

PASSES = (cse, simplify, fold, flatten, own_outputs)


def two_layers(inputs: Inputs) -> list[Value]:
    """A loss and gradients, with everything that tracing leaves behind: masks, constants, views."""
    x, w, b, v = (inputs.array(s) for s in ((5, 4), (4, 6), (6,), (6, 3)))
    hidden = ops.add(ops.matmul(x, w), ops.broadcast(b, (5, 6)))
    active = ops.where(ops.greater(hidden, 0.0), hidden, ops.zeros_like(hidden))
    scores = ops.matmul(active, v)
    loss = ops.divide(ops.sum_all(ops.square(ops.negative(scores))), 15.0)
    gradients = grad([loss], [w, b, v], [ops.constant(1.0, float32)])
    return [loss, *[g for g in gradients if g is not None]]


def cut_and_joined(inputs: Inputs) -> list[Value]:
    x = inputs.array((2, 12))
    parts = [ops.slice(x, (0, 4 * k), (2, 4), (1, 1)) for k in range(3)]
    q, k, v = parts
    y = ops.concat([ops.multiply(q, k), ops.concat([v, ops.sin(v)], 1)], 1)
    (dx,) = grad([ops.sum_all(y)], [x], [ops.constant(1.0, float32)])
    assert dx is not None
    return [y, dx, x, ops.permute(y, (1, 0))]


def constants_only(inputs: Inputs) -> list[Value]:
    two = ops.add(ops.constant(1.0, float32), ops.constant(1.0, float32))
    table = ops.multiply(ops.constant(np.arange(6.0), float32), ops.broadcast(two, (6,)))
    chosen = ops.where(ops.full((6,), True, bool_), table, ops.iota((6,), 0, float32))
    return [chosen, ops.iota((3,), 0), ops.full((2,), 7, int32)]


BUILDERS = (two_layers, cut_and_joined, constants_only)


def random_graph(inputs: Inputs, seed: int) -> list[Value]:
    """Elementwise operators, views and reductions on arrays of one size, with many repetitions."""
    choose = random.Random(seed)
    values = [inputs.array((2, 6)) for _ in range(2)] + [
        ops.full((2, 6), number, float32) for number in (0.0, -0.0, 1.0, -1.0, 2.0)
    ]
    binary = (ops.add, ops.subtract, ops.multiply, ops.divide, ops.maximum)
    unary = (ops.negative, ops.abs, ops.square, ops.alias, ops.stop_gradient)
    views: tuple[Callable[[Value], Value], ...] = (
        lambda x: ops.reshape(ops.reshape(x, (3, 4)), (2, 6)),
        lambda x: ops.permute(ops.permute(x, (1, 0)), (1, 0)),
        lambda x: ops.flip(x, (choose.randrange(2),)),
        lambda x: ops.broadcast(ops.sum(x, (1,)), (2, 6), (0,)),
        lambda x: ops.unslice(
            ops.slice(x, (0, 2), (2, 2), (1, 1)), (2, 6), (0, 2 * choose.randrange(3)), (1, 1)
        ),
        lambda x: ops.concat([ops.slice(x, (0, k), (2, 3), (1, 1)) for k in (0, 3)], 1),
    )
    for _ in range(30):
        kind = choose.randrange(4)
        if kind == 0:
            values.append(choose.choice(unary)(choose.choice(values)))
        elif kind == 1:
            values.append(choose.choice(views)(choose.choice(values)))
        elif kind == 2:
            condition = ops.less(choose.choice(values), choose.choice(values))
            values.append(ops.where(condition, choose.choice(values), choose.choice(values)))
        else:
            values.append(choose.choice(binary)(choose.choice(values), choose.choice(values)))
    return [*choose.sample(values, 4), values[-1]]


@pytest.mark.parametrize("build", BUILDERS)
def test_stages_are_named_equal_and_end_small(build: Callable[[Inputs], list[Value]]) -> None:
    inputs = Inputs()
    graph = graph_of(*build(inputs))
    stages = optimize(graph, verify=True)
    names = [s.name for s in stages]
    assert names[: len(REPEATED) + 1] == ["written", *[name for name, _ in REPEATED]]
    assert names[-len(ONCE) :] == [name for name, _ in ONCE]
    assert stages[0].graph is graph
    for stage in stages[1:]:
        assert_equal_graphs(graph, stage.graph, inputs.arrays)
        assert in_order(stage.graph)
    assert len(stages[-1].graph) < len(graph)


def test_the_optimized_graph_is_settled() -> None:
    for build in BUILDERS:
        final = optimize(graph_of(*build(Inputs())))[-1].graph
        for apply in PASSES:
            assert apply(final) is final, apply.__name__


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_through_the_pipeline(seed: int) -> None:
    inputs = Inputs()
    graph = graph_of(*random_graph(inputs, seed))
    final = optimize(graph, verify=True)[-1].graph
    assert_equal_graphs(graph, final, inputs.arrays)


@pytest.mark.parametrize("seed", range(30))
def test_every_pass_takes_any_valid_graph_in_any_order(seed: int) -> None:
    choose = random.Random(seed)
    inputs = Inputs()
    builders = (*BUILDERS, lambda i: random_graph(i, 1000 + seed))
    graph = after = graph_of(*builders[seed % len(builders)](inputs))
    order = [choose.choice(PASSES) for _ in range(8)]
    for apply in order:
        after = apply(after)
        assert_equal_graphs(graph, after, inputs.arrays)
        assert in_order(after), [p.__name__ for p in order]


def test_dead_nodes_need_no_pass() -> None:
    """A graph holds what its outputs need: without the gradients, the backward pass is gone."""
    inputs = Inputs()
    graph = graph_of(*two_layers(inputs))
    forward = graph.replace(graph.outputs[:1])
    assert len(forward) < 2 / 3 * len(graph)
    assert all(node in set(graph.nodes) for node in forward.nodes)


def test_a_frozen_layer_costs_no_backward_pass() -> None:
    inputs = Inputs()
    x, w, v = (inputs.array(s) for s in ((5, 4), (4, 6), (6, 3)))

    def step(frozen: bool) -> Graph:
        hidden = ops.matmul(x, ops.stop_gradient(w) if frozen else w)
        loss = ops.sum_all(ops.matmul(hidden, v))
        found = grad([loss], [w, v], [ops.constant(1.0, float32)])
        return optimize(graph_of(loss, *[g for g in found if g is not None]))[-1].graph

    assert len(step(frozen=True)) < len(step(frozen=False))


def test_donations_and_names_survive() -> None:
    inputs = Inputs()
    x = inputs.array((3,))
    graph = Graph((x,), (ops.multiply(ops.exp(x), 1.0),), ("y",), {0: 0})
    final = optimize(graph)[-1].graph
    assert (final.inputs, final.output_names, final.donated) == ((x,), ("y",), {0: 0})


def test_unused_inputs_stay() -> None:
    inputs = Inputs()
    x, unused = inputs.array((3,)), inputs.array((3,))
    final = optimize(Graph((x, unused), (ops.exp(x),)))[-1].graph
    assert final.inputs == (x, unused)


def test_a_chain_of_100_000_operators() -> None:
    _, y = chain(34_000)
    graph = graph_of(y)
    assert len(graph) > 100_000
    final = optimize(graph)[-1].graph
    assert len(final) < len(graph)
