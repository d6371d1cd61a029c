"""One step for every size of its batch, against steps of that size alone."""

from __future__ import annotations

import copy
import tempfile

import numpy as np
import pytest

import graphc as gx
from graphc import nn, reference, tree
from tests.bounded.models import LARGEST, MODELS, Perceptron, batch, specs, training
from tests.compiled.checking import assert_bits, assert_same

SIZES = (1, 2, 4, LARGEST - 1, LARGEST)


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: model.__name__)
def case(request):
    model = request.param()
    step, state = training(model)
    return model, step, state, gx.trace(step, state, *specs(model), donate_argnums=0)


def of_one_size(case, size):
    model, step, state, _ = case
    traced = gx.trace(step, state, *specs(model, size), donate_argnums=0)
    return traced.evaluate(state, *batch(model, size))


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_those_of_the_step_of_that_size(case, threads):
    model, _, state, traced = case
    compiled = traced.lower(threads=threads).compile()
    for size in (*SIZES, 2):
        own = copy.deepcopy(state)
        got = compiled(own, *batch(model, size))
        assert_same(got, of_one_size(case, size), 1e-4, f"{size} rows,")
        assert got[0][0] is not None
        assert all(a is b for a, b in zip(tree.leaves(got[0]), tree.leaves(own), strict=True))


def test_the_largest_size_gives_the_results_of_the_fixed_step(case):
    model, step, state, traced = case
    fixed = gx.trace(step, state, *specs(model, LARGEST), donate_argnums=0).lower(threads=2)
    lowered = traced.lower(threads=2)
    results = [
        low.compile()(copy.deepcopy(state), *batch(model, LARGEST)) for low in (fixed, lowered)
    ]
    assert_bits(results[1], results[0])


def test_what_stands_in_other_rows_reaches_nothing(case):
    """NaN and infinities there change no bit of the rows that count."""
    model, _, state, traced = case
    bound = traced.signature.bound
    for size in (1, LARGEST - 2):
        arrays = bound.fitted(
            [*tree.leaves(state), *batch(model, size)], traced.signature.arguments
        )
        want = bound.cut(_evaluated(traced, arrays), size)
        for k in bound.arguments:
            rest = arrays[k][size:]
            if rest.dtype.kind == "f":
                rest[...] = np.resize([np.nan, np.inf, -np.inf, 3e38], rest.shape)
            else:
                rest[...] = np.resize([6, 0, 3, 1, 5], rest.shape)
        got = bound.cut(_evaluated(traced, arrays), size)
        assert_bits(got, want)


def _evaluated(traced, arrays):
    given = dict(zip(traced.graph.inputs, arrays, strict=True))
    with np.errstate(all="ignore"):
        return reference.evaluate(traced.graph, given)


def test_a_bound_step_reads_its_arrays_anew():
    model = Perceptron()
    step, state = training(model)
    compiled = gx.compile(step, state, *specs(model), donate_argnums=0)
    for size in (3, LARGEST):
        x, y = batch(model, size)
        mine = copy.deepcopy(state)
        bound = compiled.bind(mine, x, y)
        other = copy.deepcopy(state)
        for k in range(3):
            x *= 0.5
            y[:] = k
            assert_bits(bound(), compiled(other, x, y))


def test_debugging_and_replay_take_the_same_arguments(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fn(x):
        return gx.log(x).sum()

    compiled = gx.trace(fn, gx.spec(("B", 2), max=4)).lower(threads=1).compile(debug=True)
    x = np.ones((3, 2), np.float32)
    assert compiled(x) == 0
    x[1, 1] = 0
    with pytest.raises(gx.NonFiniteError) as caught:
        compiled(x)
    with pytest.raises(gx.NonFiniteError):
        compiled.replay(caught.value.arguments)


def folds(x):
    """Every fold of rows, and what is at a place along other axes than theirs."""
    flat = x.reshape(-1, 2)
    return {
        "sum": gx.sum(x, axis=0),
        "all": gx.all(x > -2.0),
        "any": gx.any(x > 0.9),
        "prod": gx.prod(x, axis=(0, 1)),
        "max": gx.max(x),
        "min": gx.min(x, axis=0),
        "argmax": gx.argmax(x[:, 0], axis=0),
        "argmin": gx.argmin(x, axis=0),
        "mean": gx.mean(x),
        "var": gx.var(x, axis=0),
        "unbiased": gx.var(x, correction=1),
        "norm": gx.sqrt(gx.sum(gx.square(flat))),
        "count": gx.count_nonzero(x > 0, axis=0),
        "logsumexp": gx.logsumexp(x, axis=0),
        "softmax": nn.softmax(x, axis=0),
        "gram": x.T @ x,
        "pairs": x @ x.T,
        "sorted": gx.sort(x, axis=1),
        "sums": gx.cumulative_sum(x, axis=1),
        "turned": gx.flip(x, axis=1),
        "joined": gx.concat([x, 2 * x], axis=1)[:, 1:5],
        "column": gx.permute_dims(x[None], (2, 0, 1)),
        "scatter": gx.zeros((3,)).at[gx.argmax(x, axis=1) % 3].add(x[:, 0]),
        "numbers": gx.arange(x.shape[0]),
        "rows": x.shape[0] * gx.mean(x, axis=0),
    }


def test_folds_and_places():
    rng = np.random.default_rng(5)
    traced = gx.trace(folds, gx.spec(("B", 4), max=7))
    compiled = traced.lower(threads=2).compile()
    for size in (1, 2, 3, 6, 7):
        x = rng.uniform(-1, 1, (size, 4)).astype(np.float32)
        want = gx.trace(folds, x).evaluate(x) if size > 1 else traced.evaluate(x)
        assert_same(traced.evaluate(x), want, what=f"{size} rows, reference,")
        assert_same(compiled(x), want, what=f"{size} rows,")


def folds_inside(w, x):
    """Folds, products and means in the bodies of loops and choices, of rows and of derivatives."""

    def step(w, row):
        loss = gx.mean((x @ w) ** 2) + gx.max(row)
        return w - 0.1 * gx.grad(loss, w), gx.sum(row * x[:, 0])

    trained, sums = gx.scan(step, w, gx.permute_dims(x, (1, 0)))
    small = gx.while_loop(lambda v: gx.mean((x @ v) ** 2) > 0.01, lambda v: 0.5 * v, w, max_steps=9)
    total = gx.scan(lambda c, k: (c * gx.sum(gx.tanh(x * c)) / 5, None), gx.sum(w), length=3)[0]
    either = [
        gx.cond(gx.sum(w) > limit, lambda v: gx.mean(v, axis=0), lambda v: gx.min(v, axis=0), x)
        for limit in (-99.0, 99.0)
    ]
    nested = gx.scan(
        lambda c, k: (gx.cond(c > 0, lambda v: v - gx.mean(x), lambda v: v + gx.var(x), c), c),
        gx.sum(w[0]),
        length=4,
    )
    flat = gx.permute_dims(gx.stack([x, 2 * x]), (0, 1, 2)).reshape(-1, 4)
    apart = gx.max(flat, axis=0), gx.mean(flat), flat.T @ flat, gx.argmin(flat[:, 0] * 0 + 1)
    return trained, sums, small, total, gx.grad(total, w), either, nested, apart


def test_folds_inside_of_loops_and_choices():
    rng = np.random.default_rng(6)
    w = rng.uniform(-1, 1, (4, 2)).astype(np.float32)
    traced = gx.trace(folds_inside, w, gx.spec(("B", 4), max=7))
    compiled = traced.lower(threads=2).compile()
    for size in (1, 2, 4, 7):
        x = rng.uniform(-1, 1, (size, 4)).astype(np.float32)
        want = gx.trace(folds_inside, w, x).evaluate(w, x)
        assert_same(traced.evaluate(w, x), want, what=f"{size} rows, reference,")
        assert_same(compiled(w, x), want, what=f"{size} rows,")


def by_parts(x):
    return sum(x[k] for k in range(x.shape[0]))


REFUSED = {
    "slice": (lambda x: x[1:], "axis 0"),
    "flip": (lambda x: gx.flip(x, axis=0), "depends on the size"),
    "running sum": (lambda x: gx.cumulative_sum(x, axis=0), "depends on the size"),
    "sort": (lambda x: gx.sort(x, axis=0), "depends on the size"),
    "columns first": (lambda x: x.T.reshape(-1), "do not stand together"),
    "joined": (lambda x: gx.concat([x, x], axis=0), "depends on the size"),
    "last row": (lambda x: x[-1], "depends on the size"),
    "unrolled": (by_parts, "depends on the size"),
    "root": (lambda x: x / float(np.sqrt(x.shape[0])), "in a way that is not known"),
    "inverse": (lambda x: gx.linalg.inv(x @ x.T), "depends on the size"),
    "halves": (lambda x: x.reshape(2, -1, 3), r"for 9: reshape"),
    "square": (lambda x: gx.zeros((x.shape[0] ** 2,)), "no multiple of the size"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_depends_on_the_size_otherwise_is_refused(what):
    fn, why = REFUSED[what]
    with pytest.raises(gx.TraceError, match=why) as caught:
        gx.trace(fn, gx.spec(("B", 3), max=8))
    assert "test_bounded.py:" in str(caught.value) or what in ("unrolled", "halves")


def test_specs_say_one_size_and_its_limit():
    assert str(gx.spec(("B", 3), max=8)) == "float32[B<=8,3]"
    for shape, limit in ((("B", "C"), 8), (("B", 3), None), (("B", 3), 0), ((4, 3), 8)):
        with pytest.raises(gx.ShapeError, match="spec"):
            gx.spec(shape, max=limit)

    def fn(x, y):
        return x + y

    for other in (gx.spec(("C", 3), max=8), gx.spec(("B", 3), max=9)):
        with pytest.raises(gx.TraceError, match="one size"):
            gx.trace(fn, gx.spec(("B", 3), max=8), other)
    with pytest.raises(gx.TraceError, match="cannot be donated"):
        gx.trace(fn, *[gx.spec(("B", 3), max=8)] * 2, donate_argnums=0)


def test_calls_are_checked_before_anything_is_written():
    traced = gx.trace(
        lambda x, y: gx.sum(x[:, 0] * y),
        gx.spec(("B", 2), max=4),
        gx.spec(("B",), max=4),
    )
    compiled = traced.lower(threads=1).compile()
    for x, y, message in (
        ((3, 2), (2,), r"args\[1\]: B is 2, but 3 in args\[0\]"),
        ((5, 2), (5,), r"args\[0\]: expected float32\[B<=4,2\], got float32\[5, 2\]"),
        ((0, 2), (0,), r"args\[0\]: expected"),
        ((3, 3), (3,), r"args\[0\]: expected"),
        ((2,), (2,), r"args\[0\]: expected"),
    ):
        with pytest.raises(gx.ArgumentError, match=message):
            compiled(np.ones(x, np.float32), np.ones(y, np.float32))
    with pytest.raises(gx.ArgumentError, match=r"args\[1\]: expected float32\[4\], got float64"):
        compiled(np.ones((3, 2), np.float32), np.ones(3))
    with pytest.raises(gx.ArgumentError):
        compiled(np.ones((3, 2), np.float32))
    assert compiled(np.ones((3, 2), np.float32), np.ones(3, np.float32)) == 3
