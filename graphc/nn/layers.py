"""Linear maps, embeddings, dropout."""

from __future__ import annotations

from typing import Any

from graphc import functions as F
from graphc import random
from graphc.errors import ArgumentError
from graphc.functions.promotion import as_tensor
from graphc.functions.required import number
from graphc.ir.site import located
from graphc.tensor import Tensor


def linear(x: Any, w: Any, b: Any = None) -> Tensor:
    """x @ w + b: x is [… , in], w is [in, out], b is [out] or None."""
    y = F.matmul(x, w)
    return y if b is None else y + b


def embedding(table: Any, indices: Any) -> Tensor:
    """The rows of `table` [entries, width] that `indices` name: [*indices.shape, width]. For a
    tied head write `h @ table.T`.
    """
    return F.take(table, indices, axis=0)


def dropout(x: Any, rate: float, key: Any, *, training: bool = True) -> Tensor:
    """Sets each element to 0 with probability `rate` and divides the others by 1 - rate.

    The mask is `random.bernoulli(key, 1 - rate, x.shape)`, a pure function of the key, so the
    backward pass draws it again and nothing is kept. When not training, x itself.
    """
    x = as_tensor(x)
    if not 0 <= number(rate, "dropout", "rate") <= 1:
        raise ArgumentError(located(f"dropout: a rate in [0, 1] required, got {rate}"))
    if not training or rate == 0:
        return x
    if rate == 1:
        return F.zeros_like(x)
    kept = random.bernoulli(as_tensor(key), 1 - rate, x.shape)
    return F.where(kept, x * (1 / (1 - rate)), 0.0)
