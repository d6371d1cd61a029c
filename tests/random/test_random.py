"""Distributions: moments and frequencies at fixed seeds, arrays against graphs, new keys."""

from __future__ import annotations

import math

import numpy as np
import pytest

import graphc as gx
from graphc import random
from graphc.errors import ArgumentError, DTypeError, ShapeError, TraceError

KEY = random.key(2024)
N = 100_000


def in_graph(fn, key=KEY):
    """The same draw with the key as a tensor."""
    k = gx.input("key", (2,), "uint32")
    return gx.evaluate(fn(k), {k: key})


def near(value: float, expected: float, variance: float, count: int = N) -> None:
    """Within five standard errors of a mean of `count` draws of that variance."""
    assert abs(value - expected) < 5 * math.sqrt(variance / count)


def frequencies(draws: np.ndarray, probabilities: np.ndarray) -> None:
    """Pearson's statistic, below its mean plus six standard deviations."""
    counts = np.bincount(draws.ravel(), minlength=len(probabilities))
    assert len(counts) == len(probabilities)
    expected = draws.size * probabilities
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = len(probabilities) - 1
    assert statistic < freedom + 6 * math.sqrt(2 * freedom)


def test_keys():
    assert random.key(0).tolist() == [0, 0] and random.key(0).dtype == np.uint32
    assert random.key(2**40 + 5).tolist() == [5, 256]
    assert random.key(-1).tolist() == [2**32 - 1, 2**32 - 1]
    with pytest.raises(TraceError, match="fold_in"):
        random.key(gx.input("seed", (), "int32"))


DRAWS = {
    "bits": lambda k: random.bits(k, (3, 5)),
    "split": lambda k: random.split(k, 3),
    "fold_in": lambda k: random.fold_in(k, 17),
    "uniform": lambda k: random.uniform(k, (3, 5)),
    "uniform float64": lambda k: random.uniform(k, (7,), "float64", -2.0, 5.0),
    "normal": lambda k: random.normal(k, (3, 5)),
    "normal float64": lambda k: random.normal(k, (), "float64"),
    "bernoulli": lambda k: random.bernoulli(k, 0.3, (20,)),
    "bernoulli of an array": lambda k: random.bernoulli(k, np.full(20, 0.5)),
    "randint": lambda k: random.randint(k, (9,), -5, 6),
    "permutation": lambda k: random.permutation(k, 12),
    "permutation of rows": lambda k: random.permutation(k, np.arange(12.0).reshape(4, 3)),
    "categorical": lambda k: random.categorical(k, np.arange(12.0).reshape(4, 3)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_an_array_key_gives_what_a_tensor_key_gives(name):
    outside = DRAWS[name](KEY)
    assert isinstance(outside, np.ndarray)
    inside = in_graph(DRAWS[name])
    assert inside.dtype == outside.dtype
    np.testing.assert_array_equal(inside, outside)


@pytest.mark.parametrize("name", DRAWS)
def test_another_key_gives_something_else(name):
    assert not np.array_equal(DRAWS[name](KEY), DRAWS[name](random.key(2026)))


def test_bits_are_uniform():
    bits = random.bits(KEY, (N,))
    near(bits.mean() / 2**32, 0.5, 1 / 12)
    for shift in range(32):
        near(((bits >> shift) & 1).mean(), 0.5, 0.25)
    # Neighbours are not correlated.
    x = bits / 2.0**32 - 0.5
    near((x[1:] * x[:-1]).mean(), 0, 1 / 144)


@pytest.mark.parametrize("dtype, step", [("float32", 2.0**-24), ("float64", 2.0**-53)])
def test_uniform(dtype, step):
    u = random.uniform(KEY, (N,), dtype)
    assert u.dtype == dtype and u.min() >= 0 and u.max() < 1
    assert (u / step == np.round(u / step)).all()
    near(u.mean(), 0.5, 1 / 12)
    near((u**2).mean(), 1 / 3, 4 / 45)
    frequencies((u * 64).astype(np.int64), np.full(64, 1 / 64))


def test_the_end_of_an_interval_is_open():
    """1 - 2^-24 of the way from 1 to 2 rounds to 2 in float32."""
    u = random.uniform(KEY, (4 * N,), minval=1.0, maxval=1.0 + 2.0**-20)
    assert u.min() == 1 and u.max() < 1 + 2.0**-20 and len(np.unique(u)) == 8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal(dtype):
    z = random.normal(KEY, (N,), dtype)
    assert z.dtype == dtype and np.isfinite(z).all()
    near(z.mean(), 0, 1)
    near((z**2).mean(), 1, 2)
    near((z**3).mean(), 0, 15)
    near((z**4).mean(), 3, 96)
    edges = np.array([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
    below = np.array([0.5 * (1 + math.erf(e / math.sqrt(2))) for e in edges])
    frequencies(np.searchsorted(edges, z), np.diff(below, prepend=0, append=1))
    near((z[1:] * z[:-1]).mean(), 0, 1)


def test_bernoulli():
    near(random.bernoulli(KEY, 0.3, (N,)).mean(), 0.3, 0.21)
    p = np.array([[0.0], [0.5], [1.0]])
    drawn = random.bernoulli(KEY, p, (3, 1000))
    assert drawn.dtype == bool and not drawn[0].any() and drawn[2].all()
    near(drawn[1].mean(), 0.5, 0.25, 1000)


def test_randint():
    drawn = random.randint(KEY, (N,), -3, 7)
    assert drawn.dtype == np.int64
    frequencies(drawn + 3, np.full(10, 0.1))
    large = random.randint(KEY, (N,), 0, 2**62)
    near(large.mean() / 2**62, 0.5, 1 / 12)
    assert random.randint(KEY, (5,), 0, 256, "uint8").dtype == np.uint8
    assert random.randint(KEY, (5,), -(2**31), 2**31, "int32").dtype == np.int32
    with pytest.raises(ArgumentError, match="minval < maxval within int32"):
        random.randint(KEY, (5,), 5, 5, "int32")
    with pytest.raises(ArgumentError, match="minval < maxval within uint8"):
        random.randint(KEY, (5,), 0, 257, "uint8")
    with pytest.raises(DTypeError, match="integer dtype"):
        random.randint(KEY, (5,), 0, 5, "float32")


def test_permutation():
    order = random.permutation(KEY, 1000)
    assert sorted(order.tolist()) == list(range(1000))
    # Every one of the 24 orders of four is equally likely.
    keys = random.split(KEY, 1200)
    orders = np.array([random.permutation(k, 4) for k in keys])
    place = {tuple(o): i for i, o in enumerate(np.unique(orders, axis=0))}
    frequencies(np.array([place[tuple(o)] for o in orders]), np.full(24, 1 / 24))


def test_permutation_along_an_axis():
    x = np.arange(12).reshape(3, 4)
    drawn = random.permutation(KEY, x, axis=1)
    assert np.array_equal(drawn[1] - drawn[0], np.full(4, 4))
    assert sorted(drawn[0].tolist()) == [0, 1, 2, 3]


def test_categorical():
    probabilities = np.array([0.1, 0.2, 0.3, 0.4])
    logits = np.log(probabilities) + 7
    frequencies(random.categorical(KEY, logits, shape=(N,)), probabilities)
    impossible = np.array([0.0, -np.inf, 0.0])
    drawn = random.categorical(KEY, impossible, shape=(1000,))
    assert set(drawn.tolist()) == {0, 2}
    both = np.stack([logits, logits[::-1]])
    drawn = random.categorical(KEY, both, shape=(N, 2))
    frequencies(drawn[:, 0], probabilities)
    frequencies(drawn[:, 1], probabilities[::-1])
    along_rows = random.categorical(KEY, both.T, axis=0)
    assert along_rows.shape == (2,)
    with pytest.raises(ShapeError, match="a shape that ends with"):
        random.categorical(KEY, both, shape=(3,))


def test_new_keys_do_not_meet():
    """Keys made in all the usual ways from neighbouring seeds, and the words that are drawn."""
    made = []
    for seed in range(20):
        key = random.key(seed)
        made += [key, *random.split(key, 10)]
        for data in range(20):
            folded = random.fold_in(key, data)
            made += [folded, random.fold_in(folded, 1), *random.split(folded)]
    made += list(random.bits(random.key(0), (500, 2)))
    words = np.array(made).astype(np.uint64) @ np.array([1, 2**32], np.uint64)
    assert len(np.unique(words)) == len(words)


def test_fold_in_takes_a_step_of_the_graph():
    step = gx.input("step", (), "int32")
    folded = gx.evaluate(random.fold_in(KEY, step), {step: 17})
    assert np.array_equal(folded, random.fold_in(KEY, 17))
    assert np.array_equal(random.fold_in(KEY, -1), random.fold_in(KEY, 2**32 - 1))
    with pytest.raises(DTypeError, match="0-d integer"):
        random.fold_in(KEY, gx.input("x", (2,), "int32"))


def test_split_keys_draw_independently():
    a, b = (random.normal(k, (N,)) for k in random.split(KEY))
    near((a * b).mean(), 0, 1)


def test_what_is_not_a_key():
    with pytest.raises(ArgumentError, match=r"uint32\[2\]"):
        random.bits(np.zeros(2, np.int64), (3,))
    with pytest.raises(ArgumentError, match=r"uint32\[2\]"):
        random.normal(np.zeros(3, np.uint32), (3,))
    with pytest.raises(ArgumentError, match="minval < maxval"):
        random.uniform(KEY, (3,), minval=1.0, maxval=0.5)
    with pytest.raises(DTypeError, match="float32 or float64"):
        random.normal(KEY, (3,), "int32")
