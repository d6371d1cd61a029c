"""Marks on parts of a program that are to be recomputed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from graphc.functions.required import function
from graphc.ir.graph import checkpointed

P = ParamSpec("P")
R = TypeVar("R")


def checkpoint(fn: Callable[P, R]) -> Callable[P, R]:
    """fn, with what it computes inside recomputed for the backward pass instead of kept: of each
    call only the inputs and the result may be. Values and derivatives are those of fn.
    """
    function(fn, "checkpoint")

    @wraps(fn)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with checkpointed():
            return fn(*args, **kwargs)

    return inside
