"""Orders of computation: valid, and late where that holds fewer bytes."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

import graphc as gx
from graphc.schedule import order, program
from graphc.schedule.layouts import choose_layouts
from graphc.schedule.storage import Storage
from tests.compiled.checking import assert_same
from tests.memory.steps import some_step


def tied(depth: int = 12):
    """A model whose first weight is its last one too, as in language models with a tied head."""

    def step(table, weights, tokens):
        h = gx.take(table, tokens, axis=0)
        for w in weights:
            h = h + gx.tanh(h @ w)
        loss = gx.mean(gx.tanh(h @ table.T) ** 2)
        grads = gx.grad(loss, (table, weights))
        return table - grads[0], [w - g for w, g in zip(weights, grads[1], strict=True)]

    table, weights = gx.spec((600, 64)), [gx.spec((64, 64)) for _ in range(depth)]
    return gx.trace(step, table, weights, gx.spec((20,), "int32"), donate_argnums=(0, 1))


def orders(traced):
    graph = traced.lower(threads=1).graph
    storage = Storage(graph, choose_layouts(graph))
    late = order.delayed(graph, storage, order.late(graph, storage))
    return graph, storage, order.written(graph), late


def in_order(graph, nodes) -> bool:
    place = {node: k for k, node in enumerate(nodes)}
    if set(place) != set(graph.nodes) or len(nodes) != len(graph.nodes):
        return False
    return all(place[v.node] < place[n] for n in nodes for v in n.inputs)


def test_a_gradient_waits_for_the_other_part_of_its_sum():
    graph, storage, written, late = orders(tied())
    assert in_order(graph, written)
    assert in_order(graph, late)
    peaks = [
        program._planned(graph, nodes, storage.unpacked(), "generic", 1, {}, count()).plan.peak
        for nodes in (written, late)
    ]
    assert peaks[1] < 0.75 * peaks[0]
    assert program.schedule(graph, "generic", 1).plan.peak == peaks[1]


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_are_in_order(seed, monkeypatch):
    monkeypatch.setattr(order, "_LARGE", 64)
    monkeypatch.setattr(order, "_NEAR", 1)
    graph, _, written, late = orders(some_step(seed)[0])
    assert in_order(graph, written)
    assert in_order(graph, late)


def test_the_late_order_computes_the_same():
    traced = tied(10)
    source = np.random.default_rng(0)
    table = source.standard_normal((600, 64)).astype(np.float32)
    weights = [source.standard_normal((64, 64)).astype(np.float32) / 8 for _ in range(10)]
    tokens = source.integers(0, 600, 20).astype(np.int32)
    want = traced.evaluate(table.copy(), [w.copy() for w in weights], tokens)
    assert_same(traced.lower(threads=2).compile()(table, weights, tokens), want, 1e-4)
