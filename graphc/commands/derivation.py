"""`graphc derive`: the step as a person would write it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.syntax import Syntax

from graphc.commands.output import JsonOption, print_json
from graphc.commands.target import TargetArgument, load_target
from graphc.passes.pipeline import optimize


class Library(Enum):
    NUMPY = "numpy"
    TORCH = "torch"


def register(app: typer.Typer) -> None:
    app.command()(derive)


def derive(
    target: TargetArgument,
    to: Annotated[Library, typer.Option(help="The array library.")] = Library.NUMPY,
    json: JsonOption = False,
) -> None:
    """Write forward, backward and update as standalone Python, one formula a line."""
    text = optimize(load_target(target).graph)[-1].graph.to_python(to.value)
    console = Console(soft_wrap=True, highlight=False)
    if json:
        print_json({"to": to.value, "python": text})
    elif console.is_terminal:
        console.print(Syntax(text, "python", theme="ansi_dark", background_color="default"))
    else:
        typer.echo(text, nl=False)
