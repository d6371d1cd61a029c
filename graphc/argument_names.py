"""What arguments are called: their parameters' names, and short names of the leaves of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any


def parameter_names(fn: Callable[..., Any], count: int) -> tuple[str, ...]:
    """The names of a function's positional parameters, `arg1` for one that has none."""
    try:
        kinds = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        kinds = {}.values()
    names = [p.name for p in kinds if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (*names[:count], *[f"arg{k}" for k in range(len(names), count)])


def short_names(parameters: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Names for printing: the shortest end of each leaf's place that no other leaf shares, as
    `w1`, or `mu_w1` beside `nu_w1`; whole arguments have their parameter's name.
    """
    places = [steps(path, parameters) for path in paths]
    names = ["_".join(s) for s in places]
    for length in range(max(map(len, places), default=0), 0, -1):
        short = ["_".join(s[-length:]) for s in places]
        names = [
            new if short.count(new) == 1 else old for new, old in zip(short, names, strict=True)
        ]
    return names


def steps(path: str, parameters: Sequence[str]) -> list[str]:
    """`args[0]["layers"][2].w` as ["state", "layers2", "w"], `state` being the parameter's name."""
    first, *rest = re.findall(r"\w+", path)[1:]
    found = [parameters[int(first)]]
    for word in rest:
        if word.isdigit():
            found[-1] += word
        else:
            found.append(word)
    return found
