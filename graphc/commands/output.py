"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.text import Text
from rich.theme import Theme

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


class _Marks(RegexHighlighter):
    """What is told apart in lines about graphs, kernels and memory."""

    base_style = "graphc."
    highlights = (
        r"(?m)(?P<head>^ *#  .*$|^[\w ]+:(?= |$))",
        r"(?P<kernel>\bk\d\d+_\w+)",
        r"(?P<type>\b(?:float|int|uint)\d+\[[\d,]*\]|\bbool\[[\d,]*\])",
        r"(?m)(?P<name>^\S+(?=: .* = ))",
        r"(?m)(?P<size>(?<= )[\d.]+ [kMG]?i?B\b)",
        r"(?P<line>[\w./-]+\.py:\d+)",
    )


_STYLES = Theme(
    {
        "graphc.head": "bold",
        "graphc.kernel": "cyan",
        "graphc.type": "magenta",
        "graphc.name": "bold",
        "graphc.size": "yellow",
        "graphc.line": "green",
    }
)


def show(text: str) -> None:
    """Prints lines as they are, in colours where the terminal has them: not in a file or a pipe,
    and not where NO_COLOR is set; everywhere where FORCE_COLOR is.
    """
    styled = Text(text.rstrip("\n"))
    console = Console(theme=_STYLES, highlight=False, soft_wrap=True)
    _Marks().highlight(styled)
    console.print(styled)
