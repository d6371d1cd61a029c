"""The command line: `graphc --help`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import graphc
from graphc.commands import advice, derivation, memory, profiling, stages, tools, train
from graphc.errors import GraphcError

app = typer.Typer(
    name="graphc",
    help="Write a training step in Python, get C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"graphc {graphc.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


train.register(app)
stages.register(app)
memory.register(app)
derivation.register(app)
advice.register(app)
profiling.register(app)
tools.register(app)


def main() -> None:
    """Runs a command. Exit status: 0, 1 for what failed, 2 for a command that makes no sense."""
    try:
        app()
    except (GraphcError, OSError) as error:
        print(f"graphc: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
