"""TARGET, the step that a command is about: `FILE.py:NAME` or `module:NAME`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from graphc.errors import ArgumentError
from graphc.trace import Traced

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="FILE.py:NAME or module:NAME; NAME is what graphc.trace gave, or a function without"
        " arguments that returns it.",
        show_default=False,
    ),
]


def load_target(target: str) -> Traced[..., Any]:
    """Imports the module and gives the traced step.

    What is wrong with the text of the target is a usage error (status 2); what the module raises
    while it is imported is raised.
    """
    return _traced(_find(target)[1], target)


def load_family(target: str, parameter: str) -> Callable[[int], Traced[..., Any]]:
    """The steps that a target's function traces for each value of a parameter: one of its own, or
    an integer of its module, which is set before each call. Raises usage errors as `load_target`.
    """
    module, found = _find(target)
    if isinstance(found, Traced) or not callable(found):
        raise typer.BadParameter(f"{target} is a traced step; a function that traces is required")
    if parameter in inspect.signature(found).parameters:
        return lambda size: _traced(partial(found, **{parameter: size}), target)
    if type(getattr(module, parameter, None)) is not int:
        raise typer.BadParameter(
            f"{target} has no parameter {parameter!r}, and its module no integer of that name"
        )

    def trace(size: int) -> Traced[..., Any]:
        setattr(module, parameter, size)
        return _traced(found, target)

    return trace


def _find(target: str) -> tuple[ModuleType, Any]:
    """The module of a target, and what NAME is there."""
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise typer.BadParameter(f"FILE.py:NAME or module:NAME is required, got {target!r}")
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    if not hasattr(module, name):
        raise typer.BadParameter(f"{place} has no {name!r}")
    return module, getattr(module, name)


def _traced(found: Any, target: str) -> Traced[..., Any]:
    if not isinstance(found, Traced) and callable(found):
        found = found()
    if not isinstance(found, Traced):
        raise ArgumentError(
            f"{target} gave {type(found).__name__}; graphc.trace(function, *arguments) is required,"
            " or a function without arguments that returns it"
        )
    return found


def _file(path: Path) -> ModuleType:
    """Imports a file as Python runs a script: its folder comes first on the path."""
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"target {path.stem}", path.resolve())
    if spec is None or spec.loader is None:
        raise typer.BadParameter(f"{path} is not a Python file")
    sys.path.insert(0, str(path.resolve().parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _module(name: str) -> ModuleType:
    """Imports a module by name, from the current folder too."""
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that is there and misses another one is a failure of its own.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise typer.BadParameter(f"there is no module {name!r}") from None
        raise
