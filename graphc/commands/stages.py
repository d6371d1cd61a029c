"""`graphc inspect`, `graphc compile`, `graphc verify`: a step of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from graphc.commands.output import CompileTarget, JsonOption, ThreadsOption, print_json, show
from graphc.commands.target import TargetArgument, load_target
from graphc.commands.verification import verify as compare
from graphc.export.names import artifact_name
from graphc.ir.formats import to_networkx
from graphc.ir.graph import Graph
from graphc.ir.printer import graph_text
from graphc.memory import pareto as find_plans
from graphc.stages import Lowered

_KERNELS = "kernels"


def register(app: typer.Typer) -> None:
    app.command()(inspect)
    app.command("compile")(compile_)
    app.command()(verify)


def inspect(
    target: TargetArgument,
    stage: Annotated[
        str,
        typer.Option(help="kernels, or a stage of the graph: written, merge, simplify, …"),
    ] = _KERNELS,
    kernel: Annotated[
        str | None, typer.Option(help="One kernel, by name or number: formulas and C.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write everything to one HTML file instead.")
    ] = None,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="With --html: also plan for smaller arenas.")
    ] = False,
    threads: ThreadsOption = None,
    compile_target: CompileTarget = "native",
    json: JsonOption = False,
) -> None:
    """Print the kernels of a step, one of them, or its graph after a stage of optimization.

    With --json and neither --stage nor --kernel: everything that the HTML shows.
    """
    traced = load_target(target)
    lowered = traced.lower(threads=threads, target=compile_target)
    if html is not None:
        plans = find_plans(traced, threads=threads, target=compile_target) if pareto else []
        lowered.report(html, pareto=plans)
        typer.echo(f"{html}: {html.stat().st_size / 1e6:.1f} MB")
        return
    if kernel is not None:
        _print_kernels(lowered, kernel, json)
        return
    graphs = {s.name: s.graph for s in lowered.stages}
    if stage != _KERNELS and stage not in graphs:
        known = ", ".join([_KERNELS, *graphs])
        raise typer.BadParameter(f"there is no stage {stage!r}; there are {known}")
    if stage == _KERNELS:
        if json:
            print_json(lowered.record())
        else:
            show(lowered.as_text())
    elif json:
        print_json(_graph(graphs[stage]))
    else:
        show(graph_text(graphs[stage]))


def _print_kernels(lowered: Lowered[Any, Any], asked: str, json: bool) -> None:
    """The kernel of a number, or the first one with the name (all with equal C share it)."""
    names = [kernel.name for kernel in lowered.kernels]
    if asked not in names and not (asked.isdigit() and int(asked) < len(names)):
        known = ", ".join(dict.fromkeys(names))
        raise typer.BadParameter(f"there is no kernel {asked!r}; there are {known}")
    number = names.index(asked) if asked in names else int(asked)
    record = lowered.record()
    row = record["kernels"][number]
    c_text = record["functions"][row["function"]]["c"]
    if json:
        print_json({"name": names[number], **row, "c": c_text})
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{names[number]}[/], kernel {number}, {row['phase']}")
    for formula in row["formulas"]:
        console.print(Text(f"  {formula}"))
    for what in ("reads", "writes"):
        for name, type in row[what]:
            console.print(Text(f"  {what:6} {name}: {type}"))
    console.print(f"  {row['flops']:,} flops, {row['bytes']:,} bytes at least")
    console.print(Text(f"  from {', '.join(lowered.kernels[number].sources)}"))
    console.print(Syntax(c_text, "c", theme="ansi_dark", background_color="default"))


def _graph(graph: Graph) -> dict[str, Any]:
    """Nodes by number; an operand is [node, which of its results]."""
    number = {node: k for k, node in enumerate(graph.nodes)}
    described = to_networkx(graph)
    return {
        "nodes": [
            described.nodes[k] | {"operands": [[number[v.node], v.index] for v in node.inputs]}
            for node, k in number.items()
        ],
        "inputs": described.graph["inputs"],
        "outputs": [[number[v.node], v.index] for v in graph.outputs],
    }


def compile_(
    target: TargetArgument,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write.")],
    name: Annotated[
        str | None,
        typer.Option(
            help="What all names in the C begin with; by default NAME.", show_default=False
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of a step; with more than one it takes a pool.")
    ] = 1,
    form: Annotated[
        str, typer.Option(help="c, cffi (also a Python package) or web (a page that trains).")
    ] = "c",
    compile_target: CompileTarget = "native",
    levels: Annotated[
        str,
        typer.Option(
            help="Levels in one file, chosen at run time: x86-64-v2,x86-64-v3,x86-64-v4, or some.",
            show_default=False,
        ),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Write a step as C with self-test, example and build files. Needs no C compiler.

    With --form web: one page of HTML instead, compiled by the ziglang package.
    """
    lowered = load_target(target).lower(threads=threads, target=compile_target)
    called = name or artifact_name(target.rpartition(":")[2])
    paths = lowered.export(
        out, called, form=form, threads=threads > 1, levels=levels.split(",") if levels else ()
    )
    if json:
        print_json({"files": [str(path) for path in paths], "kernels": len(lowered.kernels)})
    else:
        for path in paths:
            typer.echo(f"{path}: {path.stat().st_size} bytes")


def verify(
    target: TargetArgument,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the arguments.")] = 0,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Compare the compiled step with the NumPy reference; status 1 where they differ."""
    verdict = compare(load_target(target), seed, threads)
    if json:
        print_json(verdict.record())
    else:
        show("\n".join(verdict.lines()))
    if not verdict.ok:
        raise typer.Exit(1)
