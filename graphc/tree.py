"""Pytrees: nested dicts, lists, tuples, namedtuples and dataclasses of leaves; None is empty.

Dict keys are taken in sorted order. A dataclass's fields are its children, except those declared
with `metadata={"static": True}` or `init=False`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import optree

from graphc.bounded.sizes import BoundedType
from graphc.dtypes import DType, TensorType
from graphc.ir.site import writable

NAMESPACE = "graphc"
TreeSpec: TypeAlias = optree.PyTreeSpec

#: Dataclasses that are values, not containers.
_LEAVES = (TensorType, BoundedType, DType)
_registered: set[type] = set()


def flatten(tree: Any) -> tuple[list[Any], TreeSpec]:
    """The leaves in order, and the structure."""
    return optree.tree_flatten(tree, is_leaf=_is_leaf, namespace=NAMESPACE)


def unflatten(treedef: TreeSpec, leaves: Sequence[Any]) -> Any:
    return optree.tree_unflatten(treedef, leaves)


def leaves(tree: Any) -> list[Any]:
    return flatten(tree)[0]


def structure(tree: Any) -> TreeSpec:
    return flatten(tree)[1]


def map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The tree of `function(leaf, …)`; `rest` have the same structure."""
    flat, treedef = flatten(tree)
    others = [treedef.flatten_up_to(t) for t in rest]
    return unflatten(treedef, [function(*group) for group in zip(flat, *others, strict=True)])


def paths(treedef: TreeSpec, root: str) -> list[str]:
    """Each leaf's place as Python would write it: `args[0]["params"]["w1"]`."""
    return [
        root + "".join(_step(entry) for entry in accessor)
        for accessor in optree.treespec_accessors(treedef)
    ]


def broadcast_prefix(prefix: Any, treedef: TreeSpec) -> list[Any]:
    """One entry per leaf of a structure from a tree that may end early: an entry stands for all
    the leaves below it. Entries may be None. Raises ValueError where the structures differ.
    """
    whole = unflatten(treedef, range(treedef.num_leaves))
    spread = [None] * treedef.num_leaves
    _spread(prefix, whole, spread)
    return spread


def _spread(prefix: Any, part: Any, spread: list[Any]) -> None:
    if prefix is None or not isinstance(prefix, (tuple, list, dict)):
        for position in leaves(part):
            spread[position] = prefix
        return
    same = type(prefix) is type(part) and len(prefix) == len(part)
    if not same or (isinstance(prefix, dict) and prefix.keys() != part.keys()):
        raise ValueError(f"{prefix!r} is not a prefix of the structure {structure(part)}")
    for key in prefix if isinstance(prefix, dict) else range(len(prefix)):
        _spread(prefix[key], part[key], spread)


def static_fields(kind: type) -> list[str]:
    """The fields of a dataclass that belong to the structure; none for other classes."""
    return [name for name, static in _fields(kind) if static]


def child_fields(kind: type) -> list[str]:
    """The fields of a dataclass that hold its children; none for other classes."""
    return [name for name, static in _fields(kind) if not static]


def _fields(kind: type) -> list[tuple[str, bool]]:
    if not dataclasses.is_dataclass(kind):
        return []
    return [(f.name, bool(f.metadata.get("static"))) for f in dataclasses.fields(kind) if f.init]


def _step(entry: Any) -> str:
    if isinstance(entry, (optree.NamedTupleEntry, optree.DataclassEntry)):
        return f".{entry.field}"
    if isinstance(entry.entry, str):
        return f"[{writable(json.dumps(entry.entry, ensure_ascii=False))}]"
    return f"[{entry.entry!r}]"


def _is_leaf(node: Any) -> bool:
    kind = type(node)
    if kind in _LEAVES:
        return True
    if kind not in _registered and dataclasses.is_dataclass(kind):
        _register(kind)
    return False


def _register(kind: type) -> None:
    """Makes optree look into a dataclass, at its first appearance."""
    static, children = static_fields(kind), child_fields(kind)

    def take(instance: Any) -> tuple[tuple, tuple, tuple]:
        fixed = tuple(getattr(instance, name) for name in static)
        return tuple(getattr(instance, name) for name in children), fixed, tuple(children)

    def make(fixed: Any, values: Any) -> Any:
        return kind(
            **dict(zip(static, fixed, strict=True)), **dict(zip(children, values, strict=True))
        )

    optree.register_pytree_node(
        kind, take, make, path_entry_type=optree.DataclassEntry, namespace=NAMESPACE
    )
    _registered.add(kind)
