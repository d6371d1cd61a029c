"""`graphc profile`: where the time of a step goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from graphc.commands.output import JsonOption, ThreadsOption, print_json
from graphc.commands.target import TargetArgument, load_target
from graphc.profile import HEAD
from graphc.sample_arguments import as_arguments, random_leaves


def register(app: typer.Typer) -> None:
    app.command()(profile)


def profile(
    target: TargetArgument,
    runs: Annotated[int, typer.Option(min=1, help="How often the step runs.")] = 20,
    html: Annotated[
        Path | None, typer.Option(help="Also write the report, with times, to a file.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Also write a Chrome trace, which Perfetto opens.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the table as CSV.")] = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Time every kernel of a step on random arguments, against what the machine can do."""
    lowered = load_target(target).lower(threads=threads)
    leaves = random_leaves(lowered.signature, [0], positive=True)
    found = lowered.compile().profile(*as_arguments(lowered.signature, leaves), runs=runs)
    if html is not None:
        lowered.report(html, found)
    if trace is not None:
        found.to_chrome_trace(trace)
    if csv is not None:
        csv.write_text(found.to_csv(), encoding="utf-8")
    if json:
        print_json(found.to_dict())
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, title in enumerate(HEAD):
        table.add_column(title, justify="right" if 0 < k < 8 else "left", overflow="fold")
    for row in found.table():
        table.add_row(*row, style="bold" if row[0] == "all" else None)
    console = Console(highlight=False)
    console.print(table)
    limits = found.limits
    console.print(
        f"limits of {limits.threads} threads: {limits.gflops:.0f} GFLOP/s,"
        f" {limits.gbytes_per_s:.1f} GB/s from memory, more from caches;"
        f" half of the kernels are within {found.error:.0%} of the model"
    )
