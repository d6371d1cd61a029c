"""`graphc doctor`, `graphc cache`, `graphc bench`."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphc.build.cache import Cache, CacheContents
from graphc.build.doctor import report
from graphc.commands.output import JsonOption, print_json

_ROOT = Path(__file__).resolve().parents[2]

cache_app = typer.Typer(help="The cache of compiled libraries.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command()(doctor)
    app.add_typer(cache_app, name="cache")
    # What follows is for the benchmarks, their own --help too.
    app.command(
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(bench)


def doctor(json: JsonOption = False) -> None:
    """Look at compiler, processor, cache and threads; say what to install."""
    checks = report()
    healthy = all(check.ok for check in checks if check.required)
    if json:
        print_json({"ok": healthy, "checks": [asdict(check) for check in checks]})
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        table.add_column("what", style="bold")
        table.add_column("found", overflow="fold")
        for check in checks:
            mark = "[green]ok[/]" if check.ok else "[red]missing[/]"
            if not check.ok and not check.required:
                mark = "[yellow]absent[/]"
            lines = [check.found, *([f"to do: {check.remedy}"] if check.remedy else [])]
            table.add_row(mark, check.name, Text("\n".join(lines)))
        Console().print(table)
    if not healthy:
        raise typer.Exit(1)


@cache_app.command("show")
def cache_show(json: JsonOption = False) -> None:
    """Show where the cache is and what it holds."""
    _print_contents(Cache.default().show(), json, "")


@cache_app.command("clear")
def cache_clear(json: JsonOption = False) -> None:
    """Remove everything that the cache holds."""
    _print_contents(Cache.default().clear(), json, "removed: ")


def _print_contents(contents: CacheContents, json: bool, prefix: str) -> None:
    if json:
        print_json(asdict(contents) | {"directory": str(contents.directory)})
    else:
        typer.echo(f"{prefix}{contents}")


def bench(
    context: typer.Context,
    workloads: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORKLOAD …] [OPTIONS]", help="As `python -m benchmarks --help`."),
    ] = None,
) -> None:
    """Time whole training steps against other systems (in a checkout of graphc)."""
    if not (_ROOT / "benchmarks" / "__main__.py").is_file():
        typer.echo(
            "graphc: the benchmarks are not part of the installed package; run this from a checkout"
            " of graphc that was installed with `pip install -e .[oracles]`",
            err=True,
        )
        raise typer.Exit(1)
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "benchmarks", *(workloads or []), *context.args]
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
