"""Deep networks: what every layer repeats stands in the text once."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn, optim
from graphc.codegen.turns import Turns, as_comment, as_loops, folded
from tests.compiled.checking import check

WIDTH, HEADS, TIME, WORDS = 16, 2, 8, 11


def uniform(rng, *shape):
    return rng.uniform(-0.3, 0.3, shape).astype(np.float32)


def dense(rng, rows, columns):
    return {"weight": uniform(rng, rows, columns), "bias": uniform(rng, columns)}


def linear(p, x):
    return nn.linear(x, p["weight"], p["bias"])


def normalized(p, x):
    return nn.layer_norm(x, p["weight"][0], p["bias"])


def perceptron(depth):
    rng = np.random.default_rng(0)
    layers = [dense(rng, WIDTH, WIDTH) for _ in range(depth)]

    def loss(params, x, y):
        for p in params:
            x = nn.relu(linear(p, x))
        return gx.mean(nn.softmax_cross_entropy_with_integer_labels(x, y))

    return loss, layers, (uniform(rng, 5, WIDTH), rng.integers(WIDTH, size=5))


def transformer(depth):
    rng = np.random.default_rng(0)
    blocks = [
        {
            "norm": dense(rng, 1, WIDTH),
            "qkv": dense(rng, WIDTH, 3 * WIDTH),
            "out": dense(rng, WIDTH, WIDTH),
            "norm2": dense(rng, 1, WIDTH),
            "up": dense(rng, WIDTH, 4 * WIDTH),
            "down": dense(rng, 4 * WIDTH, WIDTH),
        }
        for _ in range(depth)
    ]
    params = {"blocks": blocks, "tokens": uniform(rng, WORDS, WIDTH)}

    def loss(params, tokens, targets):
        x = nn.embedding(params["tokens"], tokens)
        for p in params["blocks"]:
            qkv = linear(p["qkv"], normalized(p["norm"], x))
            parts = qkv.reshape(2, TIME, 3, HEADS, WIDTH // HEADS)
            q, k, v = gx.permute_dims(parts, (2, 0, 3, 1, 4))
            mixed = gx.permute_dims(nn.attention(q, k, v, causal=True), (0, 2, 1, 3))
            x = x + linear(p["out"], mixed.reshape(2, TIME, WIDTH))
            x = x + linear(p["down"], nn.gelu(linear(p["up"], normalized(p["norm2"], x))))
        logits = x @ params["tokens"].T
        return gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, targets))

    return loss, params, tuple(rng.integers(WORDS, size=(2, TIME)) for _ in range(2))


def training(model, depth):
    """A step with an optimizer that has a state, and its arguments."""
    loss, params, batch = model(depth)
    optimizer = optim.sgd(1e-2, momentum=0.9)

    def step(state, *batch):
        params, opt = state
        value = loss(params, *batch)
        updates, opt = optimizer.update(gx.grad(value, params), opt, params)
        return (optim.apply_updates(params, updates), opt), value

    return step, ((params, optimizer.init(params)), *batch)


@pytest.mark.parametrize(("model", "depths"), [(perceptron, (12, 48)), (transformer, (12,))])
def test_the_text_hardly_grows_with_depth(model, depths):
    def length(depth):
        step, args = training(model, depth)
        return len(gx.trace(step, *args, donate_argnums=0).lower(threads=2).c_source)

    shallow = length(2)
    for depth in depths:
        assert length(depth) < 1.3 * shallow, depth


@pytest.mark.parametrize(("model", "threads"), [(perceptron, (1, 3)), (transformer, (2,))])
def test_calls_in_loops_are_the_calls(model, threads):
    step, args = training(model, 5)
    lowered = check(step, *args, threads=threads)
    assert "at[i]" in lowered.unit.entry
    assert " * i" in lowered.unit.entry


def test_kernels_of_loops_are_timed_one_by_one():
    step, args = training(perceptron, 10)
    compiled = gx.compile(step, *args, threads=2)
    calls = compiled.lowered.unit.entry.count(", t);")
    assert len(compiled.profile(*args, runs=1).rows) == len(compiled.lowered.kernels) > calls


def unfolded(parts):
    for part in parts:
        if isinstance(part, str):
            yield part
            continue
        for turn in range(part.count):
            for around, columns in part.lines:
                pairs = zip(columns, around[1:], strict=True)
                yield around[0] + "".join(f"{c[turn]}{behind}" for c, behind in pairs)


def test_runs_are_found_and_nothing_is_lost():
    rng = np.random.default_rng(1)
    for case in range(300):
        body = [f"k{rng.integers(3)}_f(a[{n}], 7);" for n in range(int(rng.integers(1, 6)))]
        lines = ["k9_g(a + 3);"] * int(rng.integers(3))
        for _ in range(int(rng.integers(2, 12))):
            lines += [line.replace("[", f"[{rng.integers(1, 9)}") for line in body]
        lines += body[: int(rng.integers(len(body) + 1))]
        for straight in (False, True):
            parts = folded(lines, straight)
            assert list(unfolded(parts)) == lines, case
            for part in parts:
                if isinstance(part, Turns) and straight:
                    columns = [c for _, columns in part.lines for c in columns]
                    assert all(len(set(np.diff(c))) == 1 for c in columns), case


def test_the_run_that_saves_most_is_taken():
    layer = ["f(a + 0);", "f(a + 0);", "f(a + 0);", "g(a + 0);"]
    (run,) = folded(layer * 9)
    assert isinstance(run, Turns)
    assert (run.count, len(run.lines)) == (9, 4)


def test_even_numbers_are_formulas_and_others_stand_in_a_table():
    lines = [f"f(a + {100 - 8 * i}, in[{i}], b + {n});" for i, n in enumerate([5, 7, 4] * 4)]
    (loop,) = as_loops(lines)
    assert [line.strip() for line in loop] == [
        "{",
        "static const int64_t at[12][1] = {",
        "{0}, {2}, {-1}, {0}, {2}, {-1}, {0}, {2}, {-1}, {0}, {2}, {-1}",
        "};",
        "for (int64_t i = 0; i < 12; i++) {",
        "f(a + 100 - 8 * i, in[i], b + 5 + at[i][0]);",
        "}",
        "}",
    ]


def test_comments_have_formulas():
    lines = [f'in[{3 + 2 * i}] float32[16] params["layer{i}"]["w1"]' for i in range(20)]
    assert list(as_comment(lines)) == [
        "  for i = 0 … 19:",
        '  in[3 + 2 i] float32[16] params["layer{i}"]["w1"]',
    ]
    irregular = [line.replace("[3]", "[4]") for line in lines[:9]]
    assert list(as_comment(irregular)) == irregular
