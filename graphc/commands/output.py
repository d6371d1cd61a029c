"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="Threads of a step; by default one for each core.")
]
CompileTarget = Annotated[
    str,
    typer.Option("--target", help="native, generic, x86-64-v2, x86-64-v3, x86-64-v4 or aarch64."),
]


def print_json(value: Any) -> None:
    """Numbers that JSON lacks (NaN, infinities) appear as Python's json writes them."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
