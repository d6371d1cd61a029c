"""Random arguments for steps that are run to be looked at: timed, verified, explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import tree
from graphc.dtypes import TensorType
from graphc.trace import Signature


def random_leaves(signature: Signature, seed: Sequence[int], positive: bool) -> list[np.ndarray]:
    """An array for each argument. Floats are normal, or positive and at most 1; integers are 0 or
    1, which are indices of almost any axis. A size is the largest.
    """
    rng = np.random.default_rng(seed)
    leaves = [_array(leaf.type, rng, positive) for leaf in signature.arguments]
    if signature.bound is not None:
        leaves[-1] = np.array(signature.bound.largest)
    return leaves


def as_arguments(signature: Signature, leaves: Sequence[np.ndarray]) -> list[Any]:
    """Copies of the arrays as the arguments of a call."""
    given = [
        leaf.item() if place.python else leaf.copy()
        for leaf, place in zip(leaves, signature.arguments, strict=True)
    ]
    if signature.bound is not None:
        given = signature.bound.given(given)
    dynamic = iter(tree.unflatten(signature.in_tree, given))
    static = dict(signature.static)
    return [static[k] if k in static else next(dynamic) for k in range(signature.arity)]


def _array(kind: TensorType, rng: np.random.Generator, positive: bool) -> np.ndarray:
    dtype = kind.dtype.numpy
    if not kind.dtype.is_float:
        return rng.integers(0, 2, kind.shape).astype(dtype)
    values = rng.uniform(0.05, 1.0, kind.shape) if positive else rng.standard_normal(kind.shape)
    return np.asarray(values, dtype)
