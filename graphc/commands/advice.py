"""`graphc lint` and `graphc explain`: about the user's lines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from graphc.commands.output import JsonOption, print_json, show
from graphc.commands.target import TargetArgument, load_target
from graphc.inspect.explanation import explain as explain_line
from graphc.inspect.plan import kernel_phases
from graphc.lint import lint as find_mistakes
from graphc.sample_arguments import as_arguments, random_leaves


def register(app: typer.Typer) -> None:
    app.command()(lint)
    app.command()(explain)


def lint(target: TargetArgument, json: JsonOption = False) -> None:
    """Look for numerical and structural mistakes; status 1 where there are some."""
    findings = find_mistakes(load_target(target))
    if json:
        print_json({"findings": [asdict(f) for f in findings]})
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            text = Text(f"{finding.line}: ", style="bold")
            text.append(finding.cause, style="not bold")
            text.append(f"  [{finding.rule}]", style="not bold dim")
            console.print(text)
            console.print(Text(f"    {finding.remedy}", style="green"))
        if not findings:
            console.print("no finding")
    if findings:
        raise typer.Exit(1)


def explain(
    line: Annotated[str, typer.Argument(metavar="FILE.py:LINE", show_default=False)],
    target: TargetArgument,
    measure: Annotated[
        bool, typer.Option("--time", help="Also run the step, on random arguments, and time it.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """What one line of yours became: kernels, backward nodes, bytes kept, share of the work."""
    file, colon, number = line.rpartition(":")
    if not colon or not number.isdigit():
        raise typer.BadParameter(f"FILE.py:LINE is required, got {line!r}")
    lowered = load_target(target).lower()
    times = None
    if measure:
        leaves = random_leaves(lowered.signature, [0], positive=True)
        profile = lowered.compile().profile(*as_arguments(lowered.signature, leaves))
        times = [row.least for row in profile.rows]
    explanation = explain_line(
        lowered.traced.graph,
        lowered.program,
        [kernel.name for kernel in lowered.kernels],
        [phase.value for phase in kernel_phases(lowered.program)],
        times,
        file,
        int(number),
    )
    if json:
        print_json(explanation.to_dict())
    else:
        show(str(explanation))
