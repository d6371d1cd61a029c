"""Choices that depend on how large arrays are, made once for a function that is traced at several
sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar, cast

T = TypeVar("T")


@dataclass
class Choices:
    """What was chosen while a function was traced, in order, each with what it was chosen for.
    `repeated` counts those that a further trace has taken over, None in the first one.
    """

    made: list[tuple[Hashable, object]] = field(default_factory=list)
    repeated: int | None = None


_choices: ContextVar[Choices | None] = ContextVar("choices", default=None)


@contextmanager
def choosing(like: Choices | None = None) -> Iterator[Choices]:
    """Remembers what is chosen inside, or repeats what was chosen before."""
    choices = Choices() if like is None else Choices(like.made, 0)
    token = _choices.set(choices)
    try:
        yield choices
    finally:
        _choices.reset(token)


def chosen(what: Hashable, decide: Callable[[], T]) -> T:
    """What `decide` says, or what it said here when the function was traced first. `what` is equal
    in both traces if they do the same.
    """
    choices = _choices.get()
    if choices is None:
        return decide()
    if choices.repeated is not None and choices.repeated < len(choices.made):
        before, found = choices.made[choices.repeated]
        choices.repeated += 1
        if before == what:
            return cast(T, found)
    found = decide()
    if choices.repeated is None:
        choices.made.append((what, found))
    return found
