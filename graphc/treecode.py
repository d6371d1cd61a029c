"""Flattening and unflattening written out as Python for one structure.

A general library walks a structure that it does not know; for twelve arrays that takes longer than
a small step. Where the structure is known it is a handful of lines, for a dict these:

    def flatten(t, seen):
        if type(t) is not k0 or len(t) != 2: return None
        t0, t1, = k1(t)                                   # operator.itemgetter(*keys)
        s0, s1, = seen
        changed = []
        if s0() is not t0: changed.append(0)
        if s1() is not t1: changed.append(1)
        return (t0, t1, ), changed

Keys, classes and static values are names bound when the code is made, never text in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from graphc import tree

#: Gives an object that was seen before, or something else when it is gone.
Seen = Callable[[], Any]
Flatten = Callable[[Any, Sequence[Seen]], tuple[Sequence[Any], list[int]] | None]


def flattener(treedef: tree.TreeSpec) -> Flatten:
    """`flatten(t, seen)` gives the leaves of a tree of this very structure and the positions of
    those that are not the objects seen before; or None for another structure.
    """
    code = _Code()
    leaves = [""] * treedef.num_leaves
    try:
        code.take(_example(treedef), "t", leaves)
    except _Unknown:
        return lambda t, seen: _general(treedef, t, seen)
    known = [f"s{i}" for i in range(len(leaves))]
    tests = [
        f"if {old}() is not {leaf}: changed.append({i})"
        for i, (old, leaf) in enumerate(zip(known, leaves, strict=True))
    ]
    names = [f"{_listed(known)} = seen"] if known else []
    result = f"return ({_listed(leaves)}), changed"
    body = "\n        ".join([*code.lines, *names, "changed = []", *tests, result])
    return code.function(
        f"def flatten(t, seen):\n    try:\n        {body}\n"
        "    except (KeyError, AttributeError):\n        return None\n"
    )


def unflattener(
    treedef: tree.TreeSpec, parameters: Sequence[str], leaves: Sequence[str]
) -> Callable[..., Any]:
    """A function of so many parameters that gives the tree of which the leaves are written so."""
    code = _Code()
    try:
        made = code.make(_example(treedef), leaves)
    except _Unknown:
        made = f"{code.bind(tree.unflatten)}({code.bind(treedef)}, [{_listed(leaves)}])"
    return code.function(f"def unflatten({_listed(parameters)}):\n    return {made}\n")


@dataclasses.dataclass(frozen=True)
class _Leaf:
    index: int


class _Unknown(Exception):
    """A container that only the general library takes apart."""


def _example(treedef: tree.TreeSpec) -> Any:
    return tree.unflatten(treedef, [_Leaf(i) for i in range(treedef.num_leaves)])


def _general(
    treedef: tree.TreeSpec, t: Any, seen: Sequence[Seen]
) -> tuple[Sequence[Any], list[int]] | None:
    leaves, found = tree.flatten(t)
    if found != treedef:
        return None
    return leaves, [i for i, known in enumerate(seen) if known() is not leaves[i]]


def _is_sequence(part: Any) -> bool:
    """Whether it is a list, a tuple or a namedtuple."""
    return type(part) in (list, tuple) or (isinstance(part, tuple) and hasattr(part, "_fields"))


def _listed(names: Sequence[str]) -> str:
    """A tuple's items, or the names that take them."""
    return "".join(name + ", " for name in names)


class _Code:
    """The lines of a function, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}
        self.locals = 0

    def take(self, part: Any, at: str, leaves: list[str]) -> None:
        """Takes the object named `at` apart as `part` is built; names each of its leaves."""
        if isinstance(part, _Leaf):
            leaves[part.index] = at
            return
        if part is None:
            self.lines.append(f"if {at} is not None: return None")
            return
        sized = "" if dataclasses.is_dataclass(part) else f" or len({at}) != {len(part)}"
        self.lines.append(f"if type({at}) is not {self.bind(type(part))}{sized}: return None")
        for name in tree.static_fields(type(part)):
            value = self.bind(getattr(part, name))
            self.lines.append(f"if {at}.{name} != {value}: return None")
        children = self.children(part)
        names = [f"t{self.locals + k}" for k in range(len(children))]
        self.locals += len(children)
        if names:
            self.lines.append(f"{_listed(names)} = {self.parts(part, at)}")
        for name, child in zip(names, children, strict=True):
            self.take(child, name, leaves)

    def children(self, part: Any) -> list[Any]:
        if type(part) is dict:
            return list(part.values())
        if _is_sequence(part):
            return list(part)
        if dataclasses.is_dataclass(part):
            return [getattr(part, name) for name in tree.child_fields(type(part))]
        raise _Unknown

    def parts(self, part: Any, at: str) -> str:
        """The parts of a container that is built as `part`, as a sequence."""
        if type(part) is dict and len(part) > 1:
            return f"{self.bind(itemgetter(*part))}({at})"
        if type(part) is dict:
            return f"{at}[{self.bind(next(iter(part)))}],"
        if type(part) in (list, tuple):
            return at
        fields = getattr(part, "_fields", None) or tree.child_fields(type(part))
        return _listed([f"{at}.{name}" for name in fields])

    def make(self, part: Any, leaves: Sequence[str]) -> str:
        """The expression that builds a tree as `part` is built, from those of its leaves."""
        if isinstance(part, _Leaf):
            return leaves[part.index]
        if part is None:
            return "None"
        if type(part) is dict:
            items = [f"{self.bind(k)}: {self.make(v, leaves)}" for k, v in part.items()]
            return f"{{{', '.join(items)}}}"
        if _is_sequence(part):
            made = _listed([self.make(child, leaves) for child in part])
            if type(part) is list:
                return f"[{made}]"
            return f"({made})" if type(part) is tuple else f"{self.bind(type(part))}({made})"
        raise _Unknown

    def bind(self, value: Any) -> str:
        name = f"k{len(self.scope)}"
        self.scope[name] = value
        return name

    def function(self, text: str) -> Callable[..., Any]:
        before = set(self.scope)
        exec(text, self.scope)
        (name,) = (n for n in self.scope if n not in before and n != "__builtins__")
        return self.scope[name]
