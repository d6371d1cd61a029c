"""Flattening and unflattening written out as Python for one structure.

A general library walks a structure that it does not know; for twelve arrays that takes longer than
a small step. Where the structure is known it is a handful of subscripts:

    def flatten(t, seen):
        if type(t) is not k0 or len(t) != 2: return None
        t0 = t[k1]
        t1 = t[k2]
        changed = []
        if seen[0]() is not t0: changed.append(0)
        if seen[1]() is not t1: changed.append(1)
        return (t0, t1, ), changed

Keys, classes and static values are names bound when the code is made, never text in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from graphc import tree

#: What each part of a container is in Python, and the part itself.
_Parts = Iterator[tuple[str, Any]]


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
    tests = [f"if seen[{i}]() is not {leaf}: changed.append({i})" for i, leaf in enumerate(leaves)]
    result = f"return ({''.join(leaf + ', ' for leaf in leaves)}), changed"
    body = "\n        ".join([*code.lines, "changed = []", *tests, result])
    return code.function(
        f"def flatten(t, seen):\n    try:\n        {body}\n"
        "    except (KeyError, AttributeError):\n        return None\n"
    )


def unflattener(
    treedef: tree.TreeSpec, sources: Sequence[tuple[int, int]]
) -> Callable[[Sequence[Any], Sequence[Any]], Any]:
    """`unflatten(first, second)` gives the tree whose leaves come from two lists: each source says
    from which of them (0 or 1) and at which position.
    """
    code = _Code()
    try:
        made = code.make(_example(treedef), [f"{'ab'[k]}[{i}]" for k, i in sources])
    except _Unknown:
        return lambda a, b: tree.unflatten(treedef, [(a, b)[k][i] for k, i in sources])
    return code.function(f"def unflatten(a, b):\n    return {made}\n")


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
        for access, child in self.parts(part):
            name = f"t{self.locals}"
            self.locals += 1
            self.lines.append(f"{name} = {at}{access}")
            self.take(child, name, leaves)

    def parts(self, part: Any) -> _Parts:
        """How each part of a container is reached."""
        if type(part) is dict:
            return ((f"[{self.bind(key)}]", child) for key, child in part.items())
        if _is_sequence(part):
            return ((f"[{i}]", child) for i, child in enumerate(part))
        if dataclasses.is_dataclass(part):
            return ((f".{name}", getattr(part, name)) for name in tree.child_fields(type(part)))
        raise _Unknown

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
            made = "".join(self.make(child, leaves) + ", " for child in part)
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
