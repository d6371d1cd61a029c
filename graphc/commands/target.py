"""TARGET, the step that a command is about: `FILE.py:NAME` or `module:NAME`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
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
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise typer.BadParameter(f"FILE.py:NAME or module:NAME is required, got {target!r}")
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    if not hasattr(module, name):
        raise typer.BadParameter(f"{place} has no {name!r}")
    found = getattr(module, name)
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
