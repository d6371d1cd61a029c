"""Transformations of a part of the tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from graphc import tree
from graphc.errors import ArgumentError
from graphc.ir.site import located
from graphc.optim.base import GradientTransformation, PyTree, stateful


class MaskedState(NamedTuple):
    inner_state: PyTree


def masked(
    inner: GradientTransformation, mask: PyTree | Callable[[PyTree], PyTree]
) -> GradientTransformation:
    """Transforms the leaves whose mask is True and passes the others through.

    `mask` is a tree of bools with the structure of the parameters, or one that ends early (a bool
    then counts for everything below it), or a function that makes such a tree of the parameters.
    The inner state has leaves only for what is transformed.
    """

    def chosen(like: PyTree) -> list[bool]:
        choice = mask(like) if callable(mask) else mask
        try:
            flags = tree.broadcast_prefix(choice, tree.structure(like))
        except ValueError as error:
            raise ArgumentError(located(f"masked: the mask does not fit: {error}")) from None
        for flag in flags:
            if not isinstance(flag, bool):
                raise ArgumentError(located(f"masked: a mask holds bools, got {flag!r}"))
        return flags

    def part(whole: PyTree, flags: list[bool]) -> PyTree:
        leaves, structure = tree.flatten(whole)
        kept = [x if flag else None for x, flag in zip(leaves, flags, strict=True)]
        return tree.unflatten(structure, kept)

    def init(params: PyTree) -> MaskedState:
        return MaskedState(inner.init(part(params, chosen(params))))

    def update(updates: PyTree, state: MaskedState, params: PyTree = None):
        flags = chosen(updates)
        inside = None if params is None else part(params, flags)
        changed, inner_state = inner.update(part(updates, flags), state.inner_state, inside)
        new = iter(tree.leaves(changed))
        leaves, structure = tree.flatten(updates)
        merged = [next(new) if flag else x for x, flag in zip(leaves, flags, strict=True)]
        return tree.unflatten(structure, merged), MaskedState(inner_state)

    return stateful(MaskedState, init, update)
