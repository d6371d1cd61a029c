"""Linear maps, embeddings, dropout."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn, random
from graphc.errors import ArgumentError

RNG = np.random.default_rng(2)


def test_linear(with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    arrays = [RNG.standard_normal(s) for s in ((2, 5, 3), (3, 4), (4,))]
    want = torch_gradients(lambda x, w, b: torch.nn.functional.linear(x, w.T, b), *arrays)
    agree(with_gradients(nn.linear, *arrays), want)
    agree(with_gradients(nn.linear, *arrays[:2])[1:], [want[1], want[2]])


def test_embedding(with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    table, indices = RNG.standard_normal((7, 3)), np.array([[0, 6, 2], [2, 2, 5]])
    want = torch_gradients(lambda t, i: torch.nn.functional.embedding(i, t), table, indices)
    agree(with_gradients(nn.embedding, table, indices), want)


def test_a_tied_embedding(with_gradients, torch_gradients, agree):
    table, indices = RNG.standard_normal((7, 3)), np.array([0, 6, 2, 2])
    want = torch_gradients(lambda t, i: t[i] @ t.T, table, indices)
    agree(with_gradients(lambda t, i: nn.embedding(t, i) @ t.T, table, indices), want)


def test_dropout(with_gradients):
    x = RNG.standard_normal((400, 50)) + 3
    key = random.key(1)
    y, gradient = with_gradients(lambda t: nn.dropout(t, 0.25, key), x)
    kept = random.bernoulli(key, 0.75, x.shape)
    np.testing.assert_allclose(y, np.where(kept, x / 0.75, 0), rtol=1e-15)
    np.testing.assert_allclose(
        gradient.ravel(), np.where(kept.ravel(), np.cos(np.arange(x.size) + 1) / 0.75, 0)
    )
    # Five standard errors of 20 000 draws.
    assert abs(kept.mean() - 0.75) < 5 * (0.75 * 0.25 / x.size) ** 0.5


def test_the_mask_of_dropout_is_drawn_in_the_graph():
    """A key that is an array does not become a mask that is a constant."""
    x = gx.input("x", (64, 64))
    graph = gx.Graph.from_outputs([nn.dropout(x, 0.5, random.key(1))])
    assert [n for n in graph.nodes if n.op.name == "random_bits"]
    assert (
        max(
            v.type.size
            for n in graph.nodes
            if not n.inputs
            for v in n.outputs
            if n.op.name == "constant"
        )
        == 2
    )


def test_dropout_with_a_key_from_outside(run):
    x = np.ones((8, 8))
    one = run(lambda t, k: nn.dropout(t, 0.5, k), x, random.key(1))
    assert np.array_equal(one, run(lambda t: nn.dropout(t, 0.5, random.key(1)), x))
    assert not np.array_equal(one, run(lambda t, k: nn.dropout(t, 0.5, k), x, random.key(2)))


def test_dropout_that_does_nothing_or_everything(run):
    x = gx.input("x", (3,))
    assert nn.dropout(x, 0.5, random.key(0), training=False) is x
    assert nn.dropout(x, 0.0, random.key(0)) is x
    assert run(lambda t: nn.dropout(t, 1, random.key(0)), np.ones(3)).tolist() == [0, 0, 0]
    with pytest.raises(ArgumentError, match="rate in"):
        nn.dropout(x, 1.5, random.key(0))
