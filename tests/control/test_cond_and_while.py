"""`gx.cond` and `gx.while_loop` against JAX, the reference and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from graphc.errors import TraceError
from graphc.passes.pipeline import optimize
from tests.compiled.checking import assert_same, check


def normal(*shapes):
    rng = np.random.default_rng(3)
    return tuple(rng.normal(size=s) for s in shapes)


def leaves(results):
    return [np.asarray(leaf) for leaf in tree.leaves(results)]


def test_a_worked_example():
    """b = 2a; while ‖b‖ < 1000: b = 2b; c = b if Σb > 0 else 100·b; dc/da = c/a for a scalar a."""

    def f(a):
        b = gx.while_loop(lambda b: gx.sqrt(gx.sum(b * b)) < 1000.0, lambda b: 2.0 * b, 2.0 * a, 40)
        return gx.cond(gx.sum(b) > 0, lambda b: b, lambda b: 100.0 * b, b)

    traced = gx.trace(lambda a: (f(a), gx.grad(f)(a)), np.array(1.0))
    step = traced.lower(threads=1).compile()
    for a in (0.3, -1.7, 900.0, -2000.0, 1e-4):
        c, slope = step(np.array(a))
        assert slope == pytest.approx(c / a, rel=1e-14)
        b = 2 * a
        while abs(b) < 1000:
            b *= 2
        assert c == (b if b > 0 else 100 * b)


def choice(np_, cond):
    def loss(p, x, w):
        def yes(h):
            return {"a": np_.tanh(h @ w) @ w, "b": np_.sum(h)}

        def no(h):
            return {"a": np_.sin(h) * np_.exp(w[0] * 0.1), "b": np_.sum(np_.exp(h * h) * h)}

        r = cond(p > 0, yes, no, np_.cos(x))
        return np_.sum(r["a"] * r["a"]) + r["b"]

    return loss


def test_a_choice_has_the_derivatives_of_the_branch_that_is_taken(jax):
    mine, theirs = choice(gx, gx.cond), choice(jax.numpy, jax.lax.cond)
    x, w = normal((3, 3), (3, 3))

    def everything(f, grad, vmap, jvp):
        def step(p, x, w):
            first = grad(f, (1, 2))
            squares = lambda x, w: sum((g * g).sum() for g in first(p, x, w))  # noqa: E731
            ps = p * np.array([1.0, -1.0, 2.0])
            return (
                f(p, x, w),
                first(p, x, w),
                grad(squares, (0, 1))(x, w),
                jvp(lambda x: f(p, x, w), (x,), (x,))[1],
                vmap(first, (None, None, 0))(p, x, w.reshape((3, 1, 3)) + w),
                vmap(first, (0, None, None))(ps, x, w),
            )

        return step

    step = everything(mine, gx.grad, gx.vmap, gx.jvp)
    want = everything(theirs, jax.grad, jax.vmap, jax.jvp)
    traced = gx.trace(step, np.array(1.0), x, w)
    compiled = [traced.lower(threads=t).compile() for t in (1, 2)]
    for p in (np.array(1.0), np.array(-0.5)):
        expected = leaves(jax.jit(want)(p, x, w))
        assert_same(gx.tree.leaves(traced.evaluate(p, x, w)), expected)
        for run in compiled:
            assert_same(gx.tree.leaves(run(p, x, w)), expected)


def test_a_choice_is_one_if_and_computes_one_branch():
    x, w = normal((3, 3), (3, 3))
    step = gx.value_and_grad(choice(gx, gx.cond), (1, 2))
    lowered = gx.trace(step, np.array(1.0), x, w).lower(threads=1)
    choices = [k for k in lowered.kernels if "cond" in k.name]
    assert len(choices) == 2
    assert all(k.c_text.count("if (x") == 1 for k in choices)


def test_a_choice_that_is_known_is_made():
    x = np.ones(3)
    graph = gx.trace(lambda x: gx.cond(True, lambda x: x + 1, lambda x: x @ x * x, x), x).graph
    assert not any(n.op.bodies for n in optimize(graph)[-1].graph.nodes)


def growth(np_, loop):
    """How many steps there are depends on x and w, which is closed over."""

    def f(x, w):
        def body(c):
            x, n = c
            return np_.sin(x @ w) * 1.5, n + 1

        x, n = loop(lambda c: np_.sum(c[0] ** 2) > w[0, 0], body, (x, np_.asarray(0)))
        return np_.sum(x * x * x), n

    return f


def test_a_loop_runs_back_as_many_steps_as_it_took(jax):
    mine = growth(gx, lambda c, b, i: gx.while_loop(c, b, i, max_steps=40))
    theirs = growth(jax.numpy, jax.lax.while_loop)
    x, w = normal((2, 3), (3, 3))
    w[0, 0] = 0.5
    w *= 0.7

    def step(x, w):
        first = gx.grad(lambda *a: mine(*a)[0], (0, 1))
        second = gx.grad(lambda *a: sum(gx.sum(g * g) for g in first(*a)), (0, 1))
        moved = gx.jvp(lambda *a: mine(*a)[0], (x, w), (w[:2], w.T))[1]
        return mine(x, w), first(x, w), second(x, w), moved

    lowered = check(step, x, w, threads=(1, 2, 3))
    value, first, second, moved = lowered.compile()(x, w)
    n = int(theirs(x, w)[1])
    assert 0 < n < 40
    assert value[1] == n

    def written(x, w):
        for _ in range(n):
            x = jax.numpy.sin(x @ w) * 1.5
        return jax.numpy.sum(x * x * x)

    gradient = jax.grad(written, (0, 1))
    squares = jax.grad(lambda *a: sum(jax.numpy.sum(g * g) for g in gradient(*a)), (0, 1))
    assert_same(list(first), leaves(gradient(x, w)))
    assert_same(list(second), leaves(squares(x, w)))
    assert_same(moved, leaves(jax.jvp(written, (x, w), (w[:2], w.T))[1])[0])


def test_examples_of_a_batch_take_steps_of_their_own():
    f = growth(gx, lambda c, b, i: gx.while_loop(c, b, i, max_steps=9))
    x, w = normal((5, 2, 3), (3, 3))
    x *= np.array([0.1, 1, 2, 0.5, 0.3])[:, None, None]
    w[0, 0] = 0.2

    def both(x, w):
        return f(x, w), gx.grad(lambda x: f(x, w)[0])(x)

    def total(x, w):
        return gx.sum(gx.vmap(lambda x: f(x, w)[0])(x))

    def step(x, w):
        return gx.vmap(both, (0, None))(x, w), gx.grad(total)(x, w)

    lowered = check(step, x, w, threads=(1, 2))
    (found, slopes), again = lowered.compile()(x, w)
    counts = set()
    for k in range(5):
        value, slope = gx.trace(both, x[k], w).evaluate(x[k], w)
        counts.add(int(value[1]))
        assert_same((found[0][k], found[1][k]), value)
        assert_same(slopes[k], slope)
        assert_same(again[k], slope)
    assert len(counts) > 1


def test_the_number_of_steps_is_bounded():
    def step(x):
        return gx.while_loop(lambda x: x < 100.0, lambda x: x * 2.0, x, max_steps=3)

    x = np.array(1.0)
    assert check(step, x).compile()(x) == 8.0
    assert check(lambda x: gx.while_loop(lambda x: x < 9.0, lambda x: x * 2.0, x, 0), x)
    assert not gx.trace(step, x).lower().memory.saved


def test_loops_and_choices_inside_of_one_another():
    """A loop of steps that choose, under a derivative, in a loop."""

    def step(x, w):
        def descend(x, k):
            def loss(x):
                def body(c):
                    even = gx.remainder(c[1], 2) == 0
                    return gx.cond(even, lambda x: gx.sin(x * w), lambda x: x + w, c[0]), c[1] + 1

                return gx.sum(gx.while_loop(lambda c: c[1] < k, body, (x, 0), 6)[0] ** 2)

            value, g = gx.value_and_grad(loss)(x)
            return x - 0.1 * g, value

        return gx.scan(descend, x, np.arange(5))

    def written(x, w):
        values = []
        for k in range(5):

            def loss(x, k=k):
                for i in range(k):
                    x = gx.sin(x * w) if i % 2 == 0 else x + w
                return gx.sum(x**2)

            value, g = gx.value_and_grad(loss)(x)
            values.append(value)
            x = x - 0.1 * g
        return x, gx.stack(values)

    def of(run):
        return lambda x, w: (run(x, w), gx.grad(lambda w: gx.sum(run(x, w)[1]))(w))

    x, w = normal((4,), (4,))
    want = gx.trace(of(written), x, w).evaluate(x, w)
    got = check(of(step), x, w, threads=(1, 2)).compile()(x, w)
    assert_same(got, want)


def test_what_is_wrong_is_said_at_the_line():
    x = np.ones(3)
    refusals = [
        ("the branches give other types\n  result  true float64[3], false float64[]   <-",
         lambda: gx.cond(True, lambda x: x, lambda x: gx.sum(x), x)),
        ("the branches give other structures",
         lambda: gx.cond(True, lambda x: x, lambda x: (x, x), x)),
        ("cond: required a bool of no axes, got float64[3]",
         lambda: gx.cond(x, lambda x: x, lambda x: x, x)),
        ("cond gives a bool of no axes, got float64[]",
         lambda: gx.while_loop(lambda x: gx.sum(x), lambda x: x, x, 3)),
        ("carry  in float64[3], out float64[]   <-",
         lambda: gx.while_loop(lambda x: x[0] > 0, lambda x: gx.sum(x), x, 3)),
        ("max_steps is a number of steps, got None",
         lambda: gx.while_loop(lambda x: x[0] > 0, lambda x: x, x, None)),
    ]  # fmt: skip
    for message, call in refusals:
        with pytest.raises(TraceError) as caught:
            call()
        assert message in str(caught.value)
        assert "test_cond_and_while.py:" in str(caught.value)
