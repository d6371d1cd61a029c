"""Attention against PyTorch and rotary positions against complex rotation."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.errors import DTypeError, ShapeError

RNG = np.random.default_rng(9)


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def qkv(heads=4, kv_heads=4, time=5, keys=5, width=6, value_width=6):
    return (
        draw(2, heads, time, width),
        draw(2, kv_heads, keys, width),
        draw(2, kv_heads, keys, value_width),
    )


#: name: shapes, options of ours, options of PyTorch's.
CASES = {
    "plain": ({}, {}, {}),
    "causal": ({}, {"causal": True}, {"is_causal": True}),
    "scale": ({}, {"scale": 0.3}, {"scale": 0.3}),
    "causal, more keys": ({"keys": 8}, {"causal": True}, {"is_causal": True}),
    "causal, fewer keys": ({"keys": 3}, {"causal": True}, {"is_causal": True}),
    "grouped": ({"kv_heads": 2}, {}, {"enable_gqa": True}),
    "one key head, causal": (
        {"kv_heads": 1},
        {"causal": True},
        {"enable_gqa": True, "is_causal": True},
    ),
    "another value width": ({"value_width": 3}, {}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_against_torch(name, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    shapes, options, torch_options = CASES[name]
    arrays = qkv(**shapes)
    attend = torch.nn.functional.scaled_dot_product_attention
    want = torch_gradients(lambda *a: attend(*a, **torch_options), *arrays)
    agree(with_gradients(lambda *a: nn.attention(*a, **options), *arrays), want)


@pytest.mark.parametrize("shape", [(5, 5), (2, 1, 1, 5), (2, 4, 5, 5)])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_masks(shape, kind, with_gradients, torch_gradients, agree):
    torch = pytest.importorskip("torch")
    arrays = qkv()
    mask = draw(*shape)
    if kind == "bool":
        mask = mask > -0.5
        mask[..., 0] = True
    attend = torch.nn.functional.scaled_dot_product_attention
    want = torch_gradients(lambda *a: attend(*a, attn_mask=torch.tensor(mask)), *arrays)
    agree(with_gradients(lambda *a: nn.attention(*a, mask=mask), *arrays), want)


def test_a_mask_and_causal_together(run):
    q, k, v = qkv()
    mask = np.ones((5, 5), bool)
    mask[:, 1] = False
    both = run(lambda *a: nn.attention(*a, mask=mask, causal=True), q, k, v)
    one = run(lambda *a: nn.attention(*a, mask=mask & np.tri(5, dtype=bool)), q, k, v)
    np.testing.assert_array_equal(both, one)


@pytest.mark.parametrize("mask", [np.zeros((5, 5), bool), np.full((5, 5), -np.inf)])
def test_a_query_that_sees_nothing(mask, with_gradients):
    mask = mask.copy()
    mask[1:] = True if mask.dtype == bool else 0.0
    arrays = qkv()
    y, *gradients = with_gradients(lambda *a: nn.attention(*a, mask=mask), *arrays)
    assert (y[:, :, 0] == 0).all() and (y[:, :, 1:] != 0).all()
    assert (gradients[0][:, :, 0] == 0).all()
    assert all(np.isfinite(g).all() for g in gradients)


def test_no_keys_at_all(run):
    q, k, v = qkv(keys=0)
    assert (run(nn.attention, q, k, v) == np.zeros((2, 4, 5, 6))).all()


def test_large_scores(run):
    q, k, v = (a.astype(np.float32) for a in qkv())
    y = run(lambda *a: nn.attention(*a, scale=1e6, causal=True), q, k, v)
    assert np.isfinite(y).all()


def test_refusals():
    def tensor(*shape, dtype="float32"):
        return gx.input("x", shape, dtype)

    q = tensor(2, 4, 5, 6)
    with pytest.raises(ShapeError, match="batch, heads, time, width"):
        nn.attention(tensor(4, 5, 6), q, q)
    with pytest.raises(ShapeError, match="3 key heads do not divide 4 heads"):
        nn.attention(q, tensor(2, 3, 5, 6), tensor(2, 3, 5, 6))
    with pytest.raises(ShapeError, match="width or number of keys differ"):
        nn.attention(q, tensor(2, 4, 5, 7), q)
    with pytest.raises(ShapeError, match="width or number of keys differ"):
        nn.attention(q, q, tensor(2, 4, 4, 6))
    with pytest.raises(DTypeError, match="bool or float mask"):
        nn.attention(q, q, q, mask=tensor(5, 5, dtype="int32"))
    with pytest.raises(ShapeError, match="shapes do not broadcast"):
        nn.attention(q, q, q, mask=tensor(3, 2, 4, 5, 5, dtype="bool"))
    with pytest.raises(ShapeError, match="even width"):
        nn.rope(tensor(2, 4, 5, 7))


def rotated(x: np.ndarray, positions: np.ndarray, base: float, interleaved: bool) -> np.ndarray:
    """Each pair as a complex number, times exp(i·position·base^(-2j/width))."""
    width = x.shape[-1]
    angle = positions[:, None] * base ** (-2.0 * np.arange(width // 2) / width)
    if interleaved:
        pairs = x[..., ::2] + 1j * x[..., 1::2]
    else:
        pairs = x[..., : width // 2] + 1j * x[..., width // 2 :]
    turned = pairs * np.exp(1j * angle)
    if not interleaved:
        return np.concatenate([turned.real, turned.imag], -1)
    return np.stack([turned.real, turned.imag], -1).reshape(x.shape)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rope(interleaved, run):
    x = draw(2, 3, 5, 8)
    positions = np.arange(5)
    got = run(lambda t: nn.rope(t, interleaved=interleaved), x)
    np.testing.assert_allclose(got, rotated(x, positions, 1e4, interleaved), atol=1e-14)
    positions = np.array([3, 1, 0, 7, 2])
    got = run(lambda t, p: nn.rope(t, p, base=500.0, interleaved=interleaved), x, positions)
    np.testing.assert_allclose(got, rotated(x, positions, 500.0, interleaved), atol=1e-14)


def test_rope_makes_scores_depend_on_distance_alone(run):
    q, k = draw(1, 1, 1, 8), draw(1, 1, 1, 8)

    def score(i: int, j: int) -> float:
        a, b = np.array([i]), np.array([j])
        return float(run(lambda q, k: gx.sum(nn.rope(q, a) * nn.rope(k, b)), q, k))

    np.testing.assert_allclose(score(9, 4), score(6, 1), rtol=1e-12)
    assert abs(score(9, 4) - score(9, 5)) > 1e-6


def step(q: gx.Tensor, k: gx.Tensor, v: gx.Tensor, weights: gx.Tensor, **options):
    loss = gx.sum(nn.attention(q, k, v, **options) * weights)
    return gx.grad(loss, (q, k, v))


@pytest.mark.parametrize(
    ("time", "keys", "kv_heads", "width", "value_width"),
    [
        (130, 70, 2, 33, 20),
        (70, 130, 4, 33, 20),
        (64, 64, 1, 33, 20),
        (64, 64, 4, 32, 32),
        (128, 128, 2, 64, 32),
        (64, 136, 4, 32, 64),
    ],
)
def test_tiles_against_one_product_after_the_other(time, keys, kv_heads, width, value_width):
    """Several tiles, or one, the last of them not whole, widths that are whole register tiles and
    others: the kernel against its decomposition's formula, and the same bits for any number of
    threads.
    """
    arrays = qkv(4, kv_heads, time, keys, width, value_width)
    mask = draw(time, keys)
    arrays = [a.astype(np.float32) for a in (*arrays, draw(2, 4, time, value_width))]
    for options in ({"causal": True}, {"mask": mask > -1.0}, {"mask": mask.astype(np.float32)}):
        traced = gx.trace(lambda *a, options=options: step(*a, **options), *arrays)
        want = traced.evaluate(*arrays)
        one = traced.lower(threads=1).compile()(*arrays)
        for found, expected in zip(one, want, strict=True):
            np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)
        three = traced.lower(threads=3).compile()(*arrays)
        for found, expected in zip(three, one, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_scores_are_not_kept():
    """Attention over long sequences holds no array as large as its scores."""
    arrays = [a.astype(np.float32) for a in qkv(time=512, keys=512, width=8, value_width=8)]
    traced = gx.trace(lambda *a: step(*a, causal=True), *arrays, draw(2, 4, 512, 8).astype("f"))
    assert traced.lower(threads=2).memory.peak_bytes < 2 * 4 * 512 * 512
