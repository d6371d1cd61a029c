"""A small GPT, forward, backward and AdamW in one step, against PyTorch over several steps."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import nn, optim

LAYERS, HEADS, WIDTH, TIME, VOCABULARY, BATCH = 2, 2, 8, 6, 11, 3


def initial() -> dict:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape) / np.sqrt(shape[0])

    def norm() -> dict:
        return {"scale": np.ones(WIDTH), "bias": np.zeros(WIDTH)}

    def block() -> dict:
        return {
            "norm1": norm(),
            "qkv": {"w": draw(WIDTH, 3 * WIDTH), "b": np.zeros(3 * WIDTH)},
            "out": {"w": draw(WIDTH, WIDTH), "b": np.zeros(WIDTH)},
            "norm2": norm(),
            "up": {"w": draw(WIDTH, 4 * WIDTH), "b": np.zeros(4 * WIDTH)},
            "down": {"w": draw(4 * WIDTH, WIDTH), "b": np.zeros(WIDTH)},
        }

    return {
        "tokens": draw(VOCABULARY, WIDTH),
        "positions": draw(TIME, WIDTH),
        "blocks": [block() for _ in range(LAYERS)],
        "norm": norm(),
    }


def batches(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    text = [rng.integers(0, VOCABULARY, (BATCH, TIME + 1)) for _ in range(count)]
    return [(t[:, :-1], t[:, 1:]) for t in text]


def loss_of(params, x, y):
    def heads(t):
        return t.reshape(BATCH, TIME, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)

    h = nn.embedding(params["tokens"], x) + params["positions"]
    for p in params["blocks"]:
        q, k, v = gx.split(nn.linear(nn.layer_norm(h, **p["norm1"]), **p["qkv"]), 3, axis=-1)
        mixed = nn.attention(heads(q), heads(k), heads(v), causal=True)
        h = h + nn.linear(mixed.transpose(0, 2, 1, 3).reshape(BATCH, TIME, WIDTH), **p["out"])
        inner = nn.gelu(nn.linear(nn.layer_norm(h, **p["norm2"]), **p["up"]), approximate=True)
        h = h + nn.linear(inner, **p["down"])
    logits = nn.layer_norm(h, **params["norm"]) @ params["tokens"].T
    return gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, y))


def torch_loss(torch, params, x, y):
    f = torch.nn.functional

    def heads(t):
        return t.reshape(BATCH, TIME, HEADS, WIDTH // HEADS).transpose(1, 2)

    def norm(t, p):
        return f.layer_norm(t, (WIDTH,), p["scale"], p["bias"])

    h = params["tokens"][x] + params["positions"]
    for p in params["blocks"]:
        q, k, v = (norm(h, p["norm1"]) @ p["qkv"]["w"] + p["qkv"]["b"]).chunk(3, -1)
        mixed = f.scaled_dot_product_attention(heads(q), heads(k), heads(v), is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(BATCH, TIME, WIDTH)
        h = h + mixed @ p["out"]["w"] + p["out"]["b"]
        inner = f.gelu(norm(h, p["norm2"]) @ p["up"]["w"] + p["up"]["b"], approximate="tanh")
        h = h + inner @ p["down"]["w"] + p["down"]["b"]
    logits = norm(h, params["norm"]) @ params["tokens"].T
    return f.cross_entropy(logits.reshape(-1, VOCABULARY), y.reshape(-1))


def test_five_steps_against_torch():
    torch = pytest.importorskip("torch")
    opt = optim.adamw(1e-2, weight_decay=0.1)
    params = initial()
    state = opt.init(params)

    def step(params, state, x, y):
        loss = loss_of(params, x, y)
        updates, state = opt.update(gx.grad(loss, params), state, params)
        return optim.apply_updates(params, updates), state, loss

    data = batches(5)
    traced = gx.trace(step, params, state, *data[0], donate_argnums=(0, 1))

    own = gx.tree.map(lambda a: torch.tensor(a, requires_grad=True), initial())
    theirs = torch.optim.AdamW(gx.tree.leaves(own), lr=1e-2, weight_decay=0.1)
    for x, y in data:
        params, state, loss = traced.evaluate(params, state, x, y)
        want = torch_loss(torch, own, torch.tensor(x), torch.tensor(y))
        theirs.zero_grad()
        want.backward()
        theirs.step()
        np.testing.assert_allclose(loss, want.item(), rtol=1e-10)
    for ours, reference in zip(gx.tree.leaves(params), gx.tree.leaves(own), strict=True):
        np.testing.assert_allclose(ours, reference.detach().numpy(), rtol=1e-8, atol=1e-9)
