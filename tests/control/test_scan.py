"""`gx.scan` against JAX, the reference, and itself written out step by step."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from graphc.errors import ShapeError, TraceError
from graphc.ir.graph import Graph, Node
from graphc.passes.pipeline import optimize
from tests.compiled.checking import assert_same, check, check_plan

ALL = tuple(range(6))


def normal(*shapes, dtype=np.float64):
    rng = np.random.default_rng(7)
    return tuple(rng.normal(size=s).astype(dtype) / 2 for s in shapes)


def lstm(np_, scan):
    """A loss of an LSTM's results and of both last carries; everything is used."""

    def sigmoid(x):
        return 1 / (1 + np_.exp(-x))

    def loss(x, h, c, w_ih, w_hh, b):
        n = h.shape[1]

        def cell(carry, x_t):
            h, c = carry["h"], carry["c"]
            gates = x_t @ w_ih + h @ w_hh + b
            i, f, g, o = [gates[:, k * n : (k + 1) * n] for k in range(4)]
            c = sigmoid(f) * c + sigmoid(i) * np_.tanh(g)
            h = sigmoid(o) * np_.tanh(c)
            return {"h": h, "c": c}, (h, np_.sum(h, axis=-1))

        last, (ys, sums) = scan(cell, {"h": h, "c": c}, x)
        return np_.sum(ys**2) + np_.sum(last["h"] * last["c"]) + np_.sum(np_.sin(sums))

    return loss


def lstm_arguments(steps=5, batch=3, size=2, n=4, dtype=np.float64):
    shapes = ((steps, batch, size), (batch, n), (batch, n), (size, 4 * n), (n, 4 * n), (4 * n,))
    return normal(*shapes, dtype=dtype)


def squares(gradient):
    return lambda *a: sum((g * g).sum() for g in tree.leaves(gradient(*a)))


def loops(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.op.bodies]


def test_values_and_derivatives_are_jax_s(jax):
    mine, theirs = lstm(gx, gx.scan), lstm(jax.numpy, jax.lax.scan)
    args = lstm_arguments()
    pairs = {
        "value": (mine, theirs),
        "gradient": (gx.grad(mine, ALL), jax.grad(theirs, ALL)),
        "second": (
            gx.grad(squares(gx.grad(mine, ALL)), (0, 1, 4, 5)),
            jax.grad(squares(jax.grad(theirs, ALL)), (0, 1, 4, 5)),
        ),
        "jvp": (lambda *a: gx.jvp(mine, a, a)[1], lambda *a: jax.jvp(theirs, a, a)[1]),
        "hessian": (
            lambda *a: gx.hessian(lambda b: mine(*a[:5], b))(a[5]),
            lambda *a: jax.hessian(lambda b: theirs(*a[:5], b))(a[5]),
        ),
        "vmap": (
            gx.vmap(gx.grad(mine, (0, 4)), in_axes=(1, None, None, None, None, None)),
            jax.vmap(jax.grad(theirs, (0, 4)), in_axes=(1, None, None, None, None, None)),
        ),
    }
    x = np.stack([args[0]] * 2, 1)
    for name, (got, want) in pairs.items():
        given = (x, *args[1:]) if name == "vmap" else args
        expected = [np.asarray(leaf) for leaf in tree.leaves(want(*given))]
        traced = gx.trace(got, *given)
        assert_same(gx.tree.leaves(traced.evaluate(*given)), expected, what=name)
        stages = optimize(traced.graph, verify=True)
        arrays = dict(zip(traced.graph.inputs, given, strict=True))
        assert_same(gx.reference.evaluate(stages[-1].graph, arrays), expected, what=name)


def test_a_gradient_is_one_loop_forward_and_one_back():
    args = lstm_arguments(5, 3, 16, 16)
    graph = optimize(gx.trace(gx.value_and_grad(lstm(gx, gx.scan), ALL), *args).graph)[-1].graph
    forward, backward = loops(graph)
    products = [
        [n.op.name for n in loop.op.bodies[0].nodes].count("matmul") for loop in loops(graph)
    ]
    # Forward x·W and h·W; backward those by x and h. Both weights' gradients wait for the end.
    assert products == [2, 2]
    assert [n.op.name for n in graph.nodes].count("matmul") == 2
    assert forward.op.length == backward.op.length == 5


def test_compiled_for_any_number_of_threads():
    value = gx.value_and_grad(lstm(gx, gx.scan), ALL)
    second = gx.grad(squares(gx.grad(lstm(gx, gx.scan), ALL)), (0, 4))
    args = lstm_arguments()
    check(lambda *a: (value(*a), second(*a)), *args, threads=(1, 2, 3))
    wide = lstm_arguments(4, 32, 17, 64, np.float32)
    lowered = check(value, *wide, threads=(1, 2, 3), tolerance=1e-4)
    assert any(k.program.threads > 1 for k in lowered.program.kernels if k.programs)


@pytest.mark.parametrize("reverse", [False, True])
def test_against_the_loop_written_out(reverse):
    """Carries that swap, that do not change and that nobody reads; views; integers."""

    def cell(carry, x):
        a, b, n, still = carry["a"], carry["b"], carry["n"], carry["still"]
        new = gx.sin(a.T @ x["m"]) + still
        return (
            {"a": b, "b": new, "n": n + x["k"], "still": still, "unread": n * 2},
            {"a": a, "b": new.T[::-1], "n": n, "x": x["m"]},
        )

    def looped(init, xs):
        return gx.scan(cell, init, xs, reverse=reverse)

    def written(init, xs):
        carry, rows = init, []
        order = range(4)[::-1] if reverse else range(4)
        for k in order:
            carry, row = cell(carry, gx.tree.map(lambda leaf, k=k: leaf[k], xs))
            rows.append(row)
        rows = rows[::-1] if reverse else rows
        return carry, gx.tree.map(lambda *leaves: gx.stack(list(leaves)), *rows)

    def step(run):
        def loss(init, xs):
            carry, ys = run({**init, "n": gx.sum(init["n"])}, {**xs, "m": xs["m"].mT})
            return gx.sum(carry["b"] * carry["a"]) + gx.sum(ys["a"] * ys["b"]), (carry, ys)

        def both(init, xs):
            moving = {"a": init["a"], "b": init["b"], "m": xs["m"], "still": init["still"]}

            def of(moving):
                inner = {**init, **{k: moving[k] for k in ("a", "b", "still")}}
                return loss(inner, {**xs, "m": moving["m"]})

            return gx.value_and_grad(of, has_aux=True)(moving)

        return both

    a, b, m, still = normal((3, 3), (3, 3), (4, 3, 3), (3, 3))
    count = np.arange(4)
    init = {"a": a, "b": b, "n": count, "still": still, "unread": np.array(0)}
    xs = {"m": m, "k": count}
    want = gx.trace(step(written), init, xs).evaluate(init, xs)
    traced = gx.trace(step(looped), init, xs)
    assert_same(traced.evaluate(init, xs), want)
    for threads in (1, 2):
        assert_same(traced.lower(threads=threads).compile()(init, xs), want)


def test_short_loops():
    def step(init, xs):
        return gx.value_and_grad(
            lambda h, x: (lambda last, ys: gx.sum(last) + gx.sum(ys))(
                *gx.scan(lambda h, x: (h * x + 1.0, h * h), h, x)
            ),
            (0, 1),
        )(init, xs), gx.scan(lambda h, _: (h + h, None), init, length=3)

    for steps in (0, 1):
        check(step, *normal((3,), (steps, 3)))


def test_c_does_not_grow_with_the_length():
    """Numbers have more digits, and what lies outside of the loop is cut for its size."""

    def source(steps):
        args = lstm_arguments(steps)
        return gx.trace(gx.grad(lstm(gx, gx.scan), (4,)), *args).lower(threads=2).c_source

    assert len(source(1000)) < 1.05 * len(source(10))


def test_loops_in_loops(jax):
    """The derivative of a loop inside a loop, and a loop inside the derivative of a derivative."""

    def step(np_, scan, grad):
        def inner(h, w):
            last, ys = scan(lambda h, _: (np_.sin(h * w), h), h, None, length=3)
            return np_.sum(last * ys[1])

        def outer(h, w):
            def descend(h, x):
                return h - 0.1 * grad(inner)(h * x, w), np_.sum(h)

            last, ys = scan(descend, h, np_.stack([w, w + 1]))
            return np_.sum(last**2) + np_.sum(ys)

        return lambda h, w: (outer(h, w), grad(outer, 1)(h, w))

    args = normal((4,), (4,))
    mine = step(gx, gx.scan, gx.grad)
    want = [np.asarray(v) for v in tree.leaves(step(jax.numpy, jax.lax.scan, jax.grad)(*args))]
    lowered = check(mine, *args, threads=(1, 2))
    assert_same(list(lowered.compile()(*args)), want)
    check_plan(lowered)


def test_a_step_in_the_arrays_of_its_state():
    """Donated carries are updated where they lie; the loop is a training of several steps."""

    def train(w, xs):
        def update(w, x):
            loss, g = gx.value_and_grad(lambda w: gx.sum((w @ x) ** 2))(w)
            return w - 0.01 * g, loss

        return gx.scan(update, w, xs)

    w, xs = normal((5, 4), (6, 4, 3))
    traced = gx.trace(train, w, xs, donate_argnums=0)
    want = traced.evaluate(w.copy(), xs)
    got = traced.lower(threads=1).compile()(w, xs)
    assert got[0] is w
    assert_same(got, want)


def test_what_is_wrong_is_said_at_the_line():
    x = np.ones((4, 2), np.float32)
    refusals = [
        (TraceError, 'carry["n"]  in float32[3], out float64[3]   <-',
         lambda: gx.scan(lambda c, x: ({"h": c["h"], "n": c["n"].astype("float64")}, None),
                         {"h": np.ones(2, np.float32), "n": np.ones(3, np.float32)}, x)),
        (TraceError, "the carry changes its structure",
         lambda: gx.scan(lambda c, x: ((c, c), None), 0.0, x)),
        (ShapeError, 'the lengths differ: xs["a"] 4, xs["b"] 3',
         lambda: gx.scan(lambda c, x: (c, None), 0.0, {"a": x, "b": x[:3]})),
        (ShapeError, "the lengths differ: length 3, xs 4",
         lambda: gx.scan(lambda c, x: (c, None), 0.0, x, length=3)),
        (ShapeError, "as length", lambda: gx.scan(lambda c, x: (c, None), 0.0)),
        (ShapeError, "no first axis", lambda: gx.scan(lambda c, x: (c, None), 0.0, 1.0)),
        (TraceError, "f returns (carry, y), got Tensor",
         lambda: gx.scan(lambda c, x: c, 0.0, x)),
    ]  # fmt: skip
    for error, message, call in refusals:
        with pytest.raises(error) as caught:
            call()
        assert message in str(caught.value)
        assert "test_scan.py:" in str(caught.value)


def test_printed_with_its_body():
    text = str(
        gx.trace(lambda h, x: gx.scan(lambda h, x: (h * x, h), h, x), *normal((2,), (3, 2))).graph
    )
    assert "scan(h, x; length=3, consts=0, carries=1)" in text
    assert "\n    carry: float64[2] = input carry" in text
    assert "multiply(carry, x)" in text
