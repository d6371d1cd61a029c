"""Limits on the size of updates."""

from __future__ import annotations

from functools import reduce

from graphc import functions as F
from graphc import tree
from graphc.errors import ArgumentError
from graphc.ir.site import located
from graphc.optim.base import GradientTransformation, PyTree, stateless
from graphc.tensor import Tensor


def global_norm(updates: PyTree) -> Tensor:
    """The 2-norm of all leaves together, a scalar."""
    leaves = tree.leaves(updates)
    if not leaves:
        raise ArgumentError(located("global_norm of a tree without leaves"))
    return F.sqrt(reduce(F.add, [F.sum(F.square(g)) for g in leaves]))


def clip(max_delta: float) -> GradientTransformation:
    """Each element limited to [-max_delta, max_delta]."""
    return stateless(
        lambda updates, params: tree.map(lambda g: F.clip(g, -max_delta, max_delta), updates)
    )


def clip_by_global_norm(max_norm: float) -> GradientTransformation:
    """Scales all updates together so that their global norm is at most `max_norm`.

    The factor is max_norm / max(norm, max_norm): exactly 1 below the limit, NaN where the norm
    is. Source: Pascanu, Mikolov and Bengio, arXiv:1211.5063.
    """

    def limit(updates: PyTree, params: PyTree) -> PyTree:
        factor = max_norm / F.maximum(global_norm(updates), max_norm)
        return tree.map(lambda g: factor.astype(g.dtype) * g, updates)

    return stateless(limit)
