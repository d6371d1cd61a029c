"""Plants every fault of the catalogue and tells which test catches it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.faults import ROOT, Fault, catalogue

CAUGHT = Path(__file__).with_name("CAUGHT.md")
_HEAD = (
    "# Which test catches which planted fault",
    "",
    "Written by `python -m tests.faults --write`.",
    "",
    "| class | fault | caught by |",
    "|---|---|---|",
)
_COPIED = ("graphc", "runtime", "tests", "benchmarks", "pyproject.toml", "README.md", "LICENSE")


def main(
    only: Annotated[str, typer.Option(help="Faults whose class or name has this in it.")] = "",
    jobs: Annotated[int, typer.Option(help="Test processes at a time.")] = 2,
    seconds: Annotated[int, typer.Option(help="At most so long for one fault.")] = 600,
    write: Annotated[
        bool, typer.Option(help="Renew these rows of tests/faults/CAUGHT.md.")
    ] = False,
) -> None:
    """Exit status 1 where a fault was not caught."""
    faults = [f for f in catalogue() if only in f.kind or only in f.name]
    table = Table("class", "fault", "caught by")
    console, progress = Console(), Console(stderr=True)
    missed, found = 0, {}
    with tempfile.TemporaryDirectory(prefix="graphc-faults-") as folder:
        for fault in track(faults, "planting", console=progress):
            caught = _caught(fault, Path(folder), jobs, seconds)
            missed += caught is None
            found[fault.kind, fault.name] = caught or "nobody"
            row = fault.kind, fault.name, caught or "[bold red]nobody[/]"
            table.add_row(*row)
            progress.print(*row, sep=" | ")
    console.print(table)
    if write:
        write_table(found)
    console.print(f"{len(faults) - missed} of {len(faults)} caught")
    if missed:
        raise typer.Exit(1)


def write_table(found: Mapping[tuple[str, str], str], path: Path = CAUGHT) -> None:
    """The table of which test catches which fault, with new rows in the place of old ones."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    rows = dict(re.findall(r"^(\| .* \| .* )\| `(.*)` \|$", old, re.MULTILINE))
    rows |= {f"| {kind} | {name} ": test for (kind, name), test in found.items()}
    lines = [f"| {f.kind} | {f.name} " for f in catalogue()]
    body = [f"{line}| `{rows[line]}` |" for line in lines if line in rows]
    path.write_text("\n".join([*_HEAD, *body, ""]), encoding="utf-8")


def _caught(fault: Fault, folder: Path, jobs: int, seconds: int) -> str | None:
    """The first test that fails with the fault planted; None where all pass."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)
    target = copy / fault.file
    target.write_text(fault.planted(target.read_text(encoding="utf-8")), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-n", str(jobs), "-p", "no:cacheprovider"]
    environment = {**os.environ, "GRAPHC_CACHE_DIR": str(folder / "cache")}
    try:
        done = subprocess.run(
            [*command, *fault.tests], cwd=copy, env=environment, capture_output=True, text=True,
            timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no end within {seconds} s"
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if failed is None:
        return f"pytest's status {done.returncode}"
    return failed[1]


if __name__ == "__main__":
    typer.run(main)
