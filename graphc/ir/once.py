"""What follows from a graph alone is computed once for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from graphc.ir.graph import Graph

T = TypeVar("T")


def once(function: Callable[[Graph], T]) -> Callable[[Graph], T]:
    """The function, computed at the first call for a graph and remembered while the graph lives.
    Several stages get the same result: none of them may change it.
    """
    known: WeakKeyDictionary[Graph, T] = WeakKeyDictionary()

    @wraps(function)
    def remembered(graph: Graph) -> T:
        if graph not in known:
            known[graph] = function(graph)
        return known[graph]

    return remembered
