"""`graphc inspect`, `graphc compile`, `graphc verify`: a step of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphc.commands.output import CompileTarget, JsonOption, ThreadsOption, print_json
from graphc.commands.target import TargetArgument, load_target
from graphc.commands.verification import verify as compare
from graphc.ir.formats import to_networkx
from graphc.ir.graph import Graph
from graphc.ir.printer import graph_text
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
    threads: ThreadsOption = None,
    compile_target: CompileTarget = "native",
    json: JsonOption = False,
) -> None:
    """Print the kernels of a step, or its graph after a stage of optimization."""
    lowered = load_target(target).lower(threads=threads, target=compile_target)
    graphs = {s.name: s.graph for s in lowered.stages}
    if stage != _KERNELS and stage not in graphs:
        known = ", ".join([_KERNELS, *graphs])
        raise typer.BadParameter(f"there is no stage {stage!r}; there are {known}")
    if stage == _KERNELS:
        if json:
            print_json(_kernels(lowered))
        else:
            typer.echo(lowered.as_text(), nl=False)
    elif json:
        print_json(_graph(graphs[stage]))
    else:
        typer.echo(graph_text(graphs[stage]))


def _kernels(lowered: Lowered[Any, Any]) -> dict[str, Any]:
    return {
        "step": lowered.signature.name,
        "threads": lowered.threads,
        "arena_bytes": lowered.memory.peak_bytes,
        "stages": {s.name: len(s.graph) for s in lowered.stages},
        "kernels": [
            {
                "name": kernel.name,
                "operators": [node.op.name for node in kernel.nodes],
                "lines": list(kernel.sources),
                "flops": kernel.flops,
                "bytes": kernel.bytes,
            }
            for kernel in lowered.kernels
        ],
    }


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
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The folder for the C file and its header.")
    ],
    threads: ThreadsOption = None,
    compile_target: CompileTarget = "native",
    json: JsonOption = False,
) -> None:
    """Write a step as C: one source file and its header. Needs no C compiler."""
    lowered = load_target(target).lower(threads=threads, target=compile_target)
    out.mkdir(parents=True, exist_ok=True)
    stem = _stem(target)
    files = {out / f"{stem}.c": lowered.c_source, out / f"{stem}.h": lowered.c_header}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    if json:
        print_json({"files": [str(path) for path in files], "kernels": len(lowered.kernels)})
    else:
        for path, text in files.items():
            typer.echo(f"{path}: {len(text.splitlines())} lines")


def _stem(target: str) -> str:
    """A file name of the target's NAME: Python's identifiers may hold more than file names do."""
    name = target.rpartition(":")[2]
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)


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
        for line in verdict.lines():
            typer.echo(line)
    if not verdict.ok:
        raise typer.Exit(1)
