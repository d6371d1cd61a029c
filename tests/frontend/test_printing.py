"""Graphs as text, with the user's names and lines; other formats; the verifier."""

from __future__ import annotations

import re

import networkx
import numpy as np
import pytest

import graphc as gx
from graphc import ops
from graphc.dtypes import TensorType, float32
from graphc.ir.graph import Graph, Node
from graphc.ir.verify import verify


def layer(x, w):
    return gx.tanh(x @ w)


def step(state, x):
    hidden = layer(x, state["w1"])
    out = (
        hidden
        @ state["w2"]
    )  # fmt: skip
    loss = gx.mean(gx.square(out))
    for _ in range(2):
        loss = loss * 2
        shifted = loss + 1
        loss = gx.exp(shifted)
    grads = gx.grad(loss, state)
    return {k: state[k] - grads[k] for k in state}, loss


def traced():
    state = {"w1": gx.spec((3, 4)), "w2": gx.spec((4, 1))}
    return gx.trace(step, state, gx.spec((5, 3)), donate_argnums=0)  # not part of the program


def line_at(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


def test_lines_carry_names_types_and_places():
    text = str(traced().graph)
    assert re.match(r'w1: float32\[3,4\] += input args\[0\]\["w1"\] +# test_printing.py:\d+', text)
    assert re.search(r"= matmul\(x, w1\) ", line_at(text, "v0: float32[5,4]"))
    assert re.search(r"= tanh\(v0\) +# test_printing.py:19$", line_at(text, "hidden: float32[5,4]"))
    assert "= matmul(hidden, w2)" in line_at(text, "out: float32[5,1]")
    assert "= multiply(loss, " in line_at(text, "loss_2: float32[]")
    assert "= exp(shifted)" in line_at(text, "loss_3: float32[]")
    assert "= multiply(loss_3, " in line_at(text, "loss_4: float32[]")
    assert "= exp(shifted_2)" in line_at(text, "loss_5: float32[]")
    assert "# d tanh, test_printing.py:19" in text
    tail = text.splitlines()[-3:]
    assert tail[0].endswith('as result[0]["w1"]   # in the memory of w1')
    assert tail[2] == "return loss_5   as result[1]"
    assert [t.split()[1][0] for t in tail[:2]] == ["v", "v"]
    columns = {line.index(" = ") for line in text.splitlines()[:-3]}
    assert len(columns) == 1


def test_a_name_that_was_given_wins():
    x = gx.input("x", (2,))
    y = gx.name(gx.exp(x), "my activation")
    assert str(gx.Graph.from_outputs([y])).splitlines()[1].startswith("my activation: float32[2]")
    with pytest.raises(gx.TraceError):
        gx.name(np.ones(2), "array")


def test_short_names_of_inputs():
    def fn(state, batch):
        return state["opt"][0]["mu"]["w"] + state["params"]["w"] + batch

    graph = gx.trace(
        fn, {"params": {"w": gx.spec(2)}, "opt": [{"mu": {"w": gx.spec(2)}}]}, gx.spec(2)
    ).graph
    names = [line.split(":")[0] for line in str(graph).splitlines()[:3]]
    assert names == ["mu_w", "params_w", "batch"]


def test_diff_shows_what_came_and_went():
    before = traced().graph
    assert before.diff(before) == ""
    kept = next(n for n in before.nodes if n.op.name == "tanh")
    after = before.map(lambda node, inputs: [ops.sigmoid(inputs[0])] if node is kept else None)
    lines = before.diff(after).splitlines()
    assert re.fullmatch(r"\d+ nodes -> \d+ nodes", lines[0])
    changed = [line for line in lines[1:] if "tanh(" in line or "sigmoid(" in line]
    assert sorted(line[0] for line in changed) == ["+", "-"]


def test_networkx_and_dot():
    graph = traced().graph
    other = graph.to_networkx()
    assert other.number_of_nodes() == len(graph)
    assert other.number_of_edges() == sum(len(n.inputs) for n in graph.nodes)
    assert networkx.is_directed_acyclic_graph(other)
    kinds = networkx.get_node_attributes(other, "kind")
    assert set(kinds.values()) == {"input", "forward", "backward"}
    assert other.nodes[0]["name"] == "w1" and len(other.graph["outputs"]) == 3
    dot = graph.to_dot()
    assert dot.startswith("digraph") and dot.count("->") == other.number_of_edges() + 3
    assert gx.Graph.from_outputs([gx.input('a"\\', ())]).to_dot().count('a\\"\\\\') >= 1
    assert "&lt;" not in graph._repr_html_() and "tanh" in graph._repr_html_()


def test_verifier_accepts_what_is_traced():
    verify(traced().graph)


def test_verifier_finds_planted_faults():
    x = gx.input("x", (2, 3)).value
    y = ops.tanh(x)
    wrong = Node(y.node.op, (x,), (TensorType((3, 2), float32),), y.node.meta).outputs[0]
    faults = {
        "its rule gives": Graph((x,), (wrong,)),
        "an input that the graph does not list": Graph((), (y,)),
        "stands twice": Graph((x, x), (y,)),
        "is computed": Graph((x, y), (y,)),
        "have 2 names": Graph((x,), (y,), ("a", "b")),
        "is donated to output 0": Graph((x,), (ops.sum_all(x),), (), {0: 0}),
        "two inputs are donated": Graph((x, gx.input("z", (2, 3)).value), (y,), (), {0: 0, 1: 0}),
    }
    for message, graph in faults.items():
        with pytest.raises(gx.GraphcError, match=message):
            verify(graph)
    late = Node(y.node.op, (ops.tanh(y),), (y.type,), y.node.meta)
    late.serial = 0
    with pytest.raises(gx.GraphcError, match="before it is made"):
        verify(Graph((x,), late.outputs))
