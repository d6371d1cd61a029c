"""Training steps whose batch has any size up to LARGEST."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import graphc as gx
from graphc import nn, optim, random

LARGEST = 6
TIME, WIDTH, WORDS, HEADS = 5, 8, 11, 2


def uniform(rng, *shape):
    return rng.uniform(-0.5, 0.5, shape).astype(np.float32)


def linear(p, x):
    return nn.linear(x, p[0], p[1])


def cross_entropy(logits, targets):
    return gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, targets))


class Perceptron:
    """With weight decay, clipping by the norm, and accuracy."""

    shapes = (((12,), "float32"), ((), "int32"))
    optimizer = optim.chain(optim.clip_by_global_norm(0.5), optim.adamw(1e-2))

    def params(self, rng):
        widths = (12, 16, 9, 7)
        return [(uniform(rng, a, b), uniform(rng, b)) for a, b in pairwise(widths)]

    def loss(self, params, x, y):
        for p in params[:-1]:
            x = nn.relu(linear(p, x))
        logits = linear(params[-1], x)
        right = gx.argmax(logits, axis=-1) == y
        return cross_entropy(logits, y), (gx.mean(right.astype("float32")), gx.max(logits), logits)


class Convolutional:
    """With batch norm, whose statistics are results, pooling, and dropout."""

    shapes = (((3, 8, 8), "float32"), ((), "int32"))
    optimizer = optim.sgd(1e-1, momentum=0.9)

    def params(self, rng):
        return {
            "first": uniform(rng, 4, 3, 3, 3),
            "second": uniform(rng, 6, 4, 3, 3),
            "scale": [uniform(rng, c) + 1 for c in (4, 6)],
            "bias": [uniform(rng, c) for c in (4, 6)],
            "head": (uniform(rng, 6, 5), uniform(rng, 5)),
        }

    def loss(self, params, x, y):
        statistics = []
        for k, name in enumerate(("first", "second")):
            x = nn.conv2d(x, params[name], padding="SAME", stride=1 + k)
            c = x.shape[1]
            start = np.zeros(c, np.float32), np.ones(c, np.float32)
            x, *both = nn.batch_norm(
                x, params["scale"][k], params["bias"][k], *start, training=True
            )
            statistics.append(both)
            x = nn.relu(x)
            x = nn.max_pool2d(x, 2) if k == 0 else nn.avg_pool2d(x, 2)
        x = nn.dropout(gx.mean(x, axis=(2, 3)), 0.3, random.key(3))
        return cross_entropy(linear(params["head"], x), y % 5), statistics


class Transformer:
    """A pre-norm block with causal attention and a tied head."""

    shapes = (((TIME,), "int32"), ((TIME,), "int32"))
    optimizer = optim.sgd(1e-2, momentum=0.9)

    def params(self, rng):
        return {
            "tokens": uniform(rng, WORDS, WIDTH),
            "positions": uniform(rng, TIME, WIDTH),
            "qkv": (uniform(rng, WIDTH, 3 * WIDTH), uniform(rng, 3 * WIDTH)),
            "out": (uniform(rng, WIDTH, WIDTH), uniform(rng, WIDTH)),
            "up": (uniform(rng, WIDTH, 2 * WIDTH), uniform(rng, 2 * WIDTH)),
            "down": (uniform(rng, 2 * WIDTH, WIDTH), uniform(rng, WIDTH)),
            "norm": [(uniform(rng, WIDTH) + 1, uniform(rng, WIDTH)) for _ in range(3)],
        }

    def loss(self, params, tokens, targets):
        norm = params["norm"]
        x = nn.embedding(params["tokens"], tokens) + params["positions"]
        batch = x.shape[0]
        qkv = linear(params["qkv"], nn.layer_norm(x, *norm[0]))
        qkv = qkv.reshape(batch, TIME, 3, HEADS, WIDTH // HEADS)
        q, k, v = gx.permute_dims(qkv, (2, 0, 3, 1, 4))
        mixed = gx.permute_dims(nn.attention(q, k, v, causal=True), (0, 2, 1, 3))
        x = x + linear(params["out"], mixed.reshape(batch, TIME, WIDTH))
        hidden = nn.gelu(linear(params["up"], nn.layer_norm(x, *norm[1])))
        x = x + linear(params["down"], hidden)
        logits = nn.layer_norm(x, *norm[2]) @ params["tokens"].T
        return cross_entropy(logits, targets), gx.sum(logits, axis=(0, 1))


class Recurrent:
    """Time in front of the batch: rows that count do not stand together where both are joined."""

    shapes = (((TIME,), "int32"), ((), "int32"))
    optimizer = optim.adam(1e-2)

    def params(self, rng):
        return {
            "words": uniform(rng, WORDS, WIDTH),
            "lstm": (uniform(rng, WIDTH, 4 * WIDTH), uniform(rng, WIDTH, 4 * WIDTH)),
            "bias": uniform(rng, 4 * WIDTH),
            "gru": (uniform(rng, WIDTH, 3 * WIDTH), uniform(rng, WIDTH, 3 * WIDTH)),
            "head": (uniform(rng, WIDTH, 7), uniform(rng, 7)),
        }

    def loss(self, params, tokens, y):
        x = gx.permute_dims(nn.embedding(params["words"], tokens), (1, 0, 2))
        start = gx.zeros((x.shape[1], WIDTH))
        ys, (h, c) = nn.lstm(x, (start, start), *params["lstm"], params["bias"])
        zs, last = nn.gru(ys, h, *params["gru"])
        logits = linear(params["head"], gx.mean(zs, axis=0) + last)
        return cross_entropy(logits, y), (gx.mean(c), gx.max(ys, axis=(0, 1)))


MODELS = (Perceptron, Convolutional, Transformer, Recurrent)


def training(model):
    """A step, and its state."""

    def step(state, x, y):
        params, opt = state
        loss, others = model.loss(params, x, y)
        updates, opt = model.optimizer.update(gx.grad(loss, params), opt, params)
        return (optim.apply_updates(params, updates), opt), (loss, others)

    params = model.params(np.random.default_rng(0))
    return step, (params, model.optimizer.init(params))


def specs(model, size=None):
    """Specs of the batch, for all sizes or for one."""
    if size is None:
        return [gx.spec(("B", *shape), dtype, max=LARGEST) for shape, dtype in model.shapes]
    return [gx.spec((size, *shape), dtype) for shape, dtype in model.shapes]


def batch(model, size):
    rng = np.random.default_rng(size)
    return [
        uniform(rng, size, *shape) if dtype == "float32"
        else rng.integers(7, size=(size, *shape)).astype(dtype)
        for shape, dtype in model.shapes
    ]  # fmt: skip
