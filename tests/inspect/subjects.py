"""Steps to look at."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc import nn, optim

#: A name that is a program where text is taken for HTML.
HOSTILE = "</script><img src=x onerror=\"document.title='run'\">&amp;<!--DATA-->"


def block(p: Any, x: Any) -> Any:
    h = nn.gelu(x @ p["up"])
    return x + h @ p["down"]


def train(state: Any, x: Any, y: Any) -> Any:
    params, opt = state
    h = gx.name(x @ params["in"], HOSTILE)
    for p in params["blocks"]:
        h = block(p, h)
    logits = nn.layer_norm(h) @ params["out"]
    loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, y))
    updates, opt = OPTIMIZER.update(gx.grad(loss, params), opt, params)
    return (optim.apply_updates(params, updates), opt), loss


OPTIMIZER = optim.adamw(learning_rate=0.01)


def arguments(width: int = 16, blocks: int = 3, batch: int = 8, classes: int = 5) -> tuple:
    rng = np.random.default_rng(0)

    def weight(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) / rows**0.5).astype(np.float32)

    params = {
        "in": weight(12, width),
        "blocks": [
            {"up": weight(width, 4 * width), "down": weight(4 * width, width)}
            for _ in range(blocks)
        ],
        "out": weight(width, classes),
    }
    x = rng.standard_normal((batch, 12)).astype(np.float32)
    return (params, OPTIMIZER.init(params)), x, rng.integers(0, classes, batch, np.int32)


def traced() -> Any:
    return gx.trace(train, *arguments(), donate_argnums=0)
