"""From a function to a graph and a signature."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import tree

F = np.float32


def zeros(*shape, dtype=F):
    return np.zeros(shape, dtype)


def test_a_training_step():
    rng = np.random.default_rng(0)

    def step(state, x, y):
        params = state["params"]
        h = gx.maximum(x @ params["w1"] + params["b1"], 0)
        logits = h @ params["w2"]
        loss = gx.mean(
            gx.logsumexp(logits, axis=1) - gx.take_along_axis(logits, y[:, None], axis=1)[:, 0]
        )
        grads = gx.grad(loss, params)
        new = {k: params[k] - 0.5 * grads[k] for k in params}
        return {"params": new, "count": state["count"] + 1}, loss

    params = {
        "w1": rng.standard_normal((2, 16)).astype(F),
        "b1": zeros(16),
        "w2": rng.standard_normal((16, 2)).astype(F) / 4,
    }
    state = {"params": params, "count": np.zeros((), np.int32)}
    traced = gx.trace(step, state, gx.spec((64, 2)), gx.spec((64,), "int32"), donate_argnums=0)
    x = rng.standard_normal((64, 2)).astype(F)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int32)
    losses = []
    for _ in range(60):
        state, loss = traced.evaluate(state, x, y)
        losses.append(float(loss))
    assert losses[-1] < 0.25 * losses[0]
    assert state["count"] == 60
    assert [leaf.path for leaf in traced.signature.arguments] == [
        'args[0]["count"]', 'args[0]["params"]["b1"]', 'args[0]["params"]["w1"]',
        'args[0]["params"]["w2"]', "args[1]", "args[2]",
    ]  # fmt: skip
    assert traced.graph.donated == {0: 0, 1: 1, 2: 2, 3: 3}
    assert traced.graph.output_names[-1] == "result[1]"


def test_a_signature_says_everything_that_a_call_needs():
    def fn(a, flag, tree, count):
        assert flag == "mean"
        return {"y": a * count}, tree[0]

    traced = gx.trace(fn, gx.spec((2, 3)), "mean", [zeros(2), None], 3.0, static_argnums=1)
    signature = traced.signature
    assert signature.name == "fn" and signature.arity == 4
    assert signature.static == ((1, "mean"),)
    assert [(leaf.path, str(leaf.type), leaf.python) for leaf in signature.arguments] == [
        ("args[0]", "float32[2,3]", None),
        ("args[2][0]", "float32[2]", None),
        ("args[3]", "float32[]", float),
    ]
    assert [leaf.path for leaf in signature.results] == ['result[0]["y"]', "result[1]"]


def test_python_numbers_are_inputs():
    traced = gx.trace(lambda x, lr, n, flag: (x * lr, n + 1, flag), zeros(3), 0.5, 3, True)
    assert [str(leaf.type) for leaf in traced.signature.arguments] == [
        "float32[3]", "float32[]", "int64[]", "bool[]",
    ]  # fmt: skip
    scaled, count, flag = traced.evaluate(np.ones(3, F), 0.25, 7, False)
    assert (scaled == 0.25).all() and count == 8 and not flag


def test_static_arguments_are_baked_in():
    traced = gx.trace(lambda x, n: x**n, zeros(3), 2, static_argnums=1)
    np.testing.assert_array_equal(traced.evaluate(np.full(3, 3, F), 2), np.full(3, 9))
    with pytest.raises(gx.ArgumentError, match=r"args\[1\]: traced with the static value 2, got 3"):
        traced.evaluate(zeros(3), 3)


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any
    kind: str = dataclasses.field(default="relu", metadata={"static": True})


Pair = namedtuple("Pair", "left right")


def test_pytrees():
    data = {
        "z": Layer(zeros(2), None), "a": Pair(zeros(1), (zeros(3), [zeros(4)])), "n": None,
    }  # fmt: skip
    traced = gx.trace(lambda d: d, data)
    assert [leaf.path for leaf in traced.signature.arguments] == [
        'args[0]["a"].left', 'args[0]["a"].right[0]', 'args[0]["a"].right[1][0]', 'args[0]["z"].w',
    ]  # fmt: skip
    back = traced.evaluate(data)
    assert isinstance(back["a"], Pair) and isinstance(back["z"], Layer)
    assert back["z"].kind == "relu" and back["z"].b is None and back["n"] is None
    doubled = tree.map(lambda x: x + 1, data)
    assert doubled["z"].w.tolist() == [1, 1]
    changed = dataclasses.replace(data["z"], kind="tanh")
    assert tree.structure(changed) != tree.structure(data["z"])


def test_a_key_may_be_any_string():
    key = 'a"]\n*/é'
    traced = gx.trace(lambda d: d[key], {key: zeros(1)})
    assert traced.signature.arguments[0].path == 'args[0]["a\\"]\\n*/é"]'


def test_donated_arguments_pair_with_the_first_fitting_result():
    def step(a, b):
        return gx.sum(b["x"]), b, a

    a, b = zeros(3), {"x": zeros(2)}
    assert gx.trace(step, a, b, donate_argnums=(0, 1)).graph.donated == {0: 2, 1: 1}
    swap = gx.trace(lambda a, b: (b, a), zeros(3), zeros(3), donate_argnums=(0, 1))
    assert swap.graph.donated == {0: 0, 1: 1}
    whole = gx.trace(lambda s: (s[1], s[0]), (zeros(3), zeros(3)), donate_argnums=0)
    assert whole.graph.donated == {0: 0, 1: 1}
    alone = gx.trace(lambda s: {"x": s["x"] + 1}, b, donate_argnums=0)
    assert alone.signature.donated == ((0, 0),)


@pytest.mark.parametrize(("fn", "args", "message"), [
    (lambda a: gx.sum(a), (zeros(3),), r"args\[0\] is donated, but no result"),
    (lambda a: a.astype("float64"), (zeros(3),), "no result has its structure and types"),
    (lambda a: {"y": a["x"]}, ({"x": zeros(3)},), "no result"),
    (lambda a: a + 1, (1.0,), r"args\[0\] is a Python float, which cannot be updated in place"),
    (lambda a, b: a, (zeros(3), zeros(3)), r"args\[1\] is donated, but no result"),
])  # fmt: skip
def test_donations_without_a_result_are_refused(fn, args, message):
    with pytest.raises(gx.TraceError, match=message):
        gx.trace(fn, *args, donate_argnums=range(len(args)))


def test_other_refusals():
    with pytest.raises(gx.TraceError, match=r"args\[0\]: an array, a number or gx.spec .* got str"):
        gx.trace(lambda x: x, "text")
    with pytest.raises(gx.TraceError, match=r'result\["a"\]: a result is a tensor.*got function'):
        gx.trace(lambda x: {"a": lambda: 1}, zeros(1))
    with pytest.raises(gx.TraceError, match="there is no argument 3 among 1"):
        gx.trace(lambda x: x, zeros(1), donate_argnums=3)
    with pytest.raises(gx.TraceError, match="is static, so it cannot be donated"):
        gx.trace(lambda x: x, zeros(1), donate_argnums=0, static_argnums=0)
    traced = gx.trace(lambda x: x, {"a": zeros(1)})
    with pytest.raises(gx.ArgumentError, match="takes 1 argument"):
        traced.evaluate(zeros(1), zeros(1))
    with pytest.raises(gx.ArgumentError, match="another structure"):
        traced.evaluate([zeros(1)])


def test_closed_over_arrays_are_copied():
    small = np.ones(3, F)
    traced = gx.trace(lambda x: x + small, zeros(3))
    small[:] = 7
    np.testing.assert_array_equal(traced.evaluate(zeros(3)), np.ones(3))
    assert traced.signature.hidden == ()


def test_large_arrays_become_hidden_inputs():
    large = np.ones((600, 600), F)
    with pytest.warns(gx.ConstantWarning, match=r"1\.4 MiB .* hidden input.*test_trace.py") as seen:
        traced = gx.trace(lambda x: (x @ large, gx.sum(large)), zeros(3, 600))
    assert len(seen) == 1
    large[:] = 7
    (hidden,) = traced.signature.hidden
    assert len(traced.graph.inputs) == 2 and (hidden == 1).all()
    product, total = traced.evaluate(np.ones((3, 600), F))
    assert (product == 600).all() and total == 360000


def test_arrays_of_other_libraries():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    traced = gx.trace(lambda x: 2 * x, torch.ones(3))
    assert str(traced.signature.arguments[0].type) == "float32[3]"
    np.testing.assert_array_equal(traced.evaluate(np.ones(3, F)), [2, 2, 2])
    closed = gx.trace(lambda x: x + gx.asarray(torch.ones(3)), zeros(3))
    np.testing.assert_array_equal(closed.evaluate(zeros(3)), [1, 1, 1])


def test_results_may_be_numbers_inputs_and_views():
    traced = gx.trace(lambda x: (x, x, x[0], 3, 2.5, np.arange(2), None), zeros(2))
    result = traced.evaluate(np.array([5, 6], F))
    assert result[0] is not result[1] and result[3] == 3 and result[6] is None
    assert result[4].dtype == F and result[2] == 5


def test_expression_by_expression():
    x, w = gx.input("x", (4, 3)), gx.input("w", (3,))
    y = gx.sum(gx.tanh(x @ w))
    graph = gx.Graph.from_outputs([y, gx.grad(y, w)])
    assert [v.node.op.label for v in graph.inputs] == ["x", "w"]
    arrays = {x: np.ones((4, 3), F), w: np.zeros(3, F)}
    value, gradient = gx.evaluate((y, gx.grad(y, w)), arrays)
    assert value == 0 and gradient.tolist() == [4, 4, 4]
    assert gx.evaluate({"a": [y]}, arrays)["a"][0] == 0


def test_an_exception_in_the_function_leaves_nothing_behind():
    import gc

    def fails(x):
        raise RuntimeError("the user's own")

    with pytest.raises(RuntimeError, match="the user's own"):
        gx.trace(fails, zeros(1))
    assert gc.isenabled()
    big = np.ones((600, 600), F)
    names = [n.op.name for n in gx.Graph.from_outputs([gx.sum(gx.asarray(big))]).nodes]
    assert names == ["constant", "sum"]
