"""`graphc memory`: why a step is as large as it is, what a budget costs, and what fits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphc.commands.output import CompileTarget, JsonOption, ThreadsOption, print_json, show
from graphc.commands.target import TargetArgument, load_family, load_target
from graphc.memory.explain import explain
from graphc.memory.fitting import largest
from graphc.memory.sizes import byte_count, megabytes
from graphc.schedule.budget import Plan
from graphc.schedule.cost import typical
from graphc.schedule.traffic import predicted
from graphc.stages import Lowered


def register(app: typer.Typer) -> None:
    app.command()(memory)


def memory(
    target: TargetArgument,
    budget: Annotated[
        str | None,
        typer.Option(help="A limit on the arena, as 64MB or 1GiB: what has to be computed again?"),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(help="With --vary: the largest size at which the whole step fits into this."),
    ] = None,
    vary: Annotated[
        str | None,
        typer.Option(
            help="What --fit varies: a parameter of TARGET's function, or an integer of its module"
            " that the function reads."
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write the arena's buffers as a planning instance: id,lower,upper,size."),
    ] = None,
    threads: ThreadsOption = None,
    compile_target: CompileTarget = "native",
    json: JsonOption = False,
) -> None:
    """Say where a step's memory goes, which lines keep it, and what to change first."""
    options: dict[str, Any] = {"threads": threads, "target": compile_target}
    if budget is not None:
        options["memory_budget"] = budget
    if (fit is None) != (vary is None):
        raise typer.BadParameter("--fit and --vary belong together")
    if fit is not None and vary is not None:
        _fit(target, fit, vary, options, json)
        return
    lowered = load_target(target).lower(**options)
    if csv is not None:
        lowered.memory.to_dsa_csv(csv)
    if json:
        print_json(lowered.memory.to_dict())
        return
    lines = explain(lowered.memory, lowered.search, lowered.signature.name, _flops(lowered))
    show("\n".join(lines))
    if budget is not None:
        share = 100 * lowered.memory.recompute_flops / _flops(lowered)
        longer = 100 * (_time(lowered.plan) / _time(lowered.search.plan(lowered.search.base)) - 1)
        typer.echo(
            f"within {budget}, {share:.1f} % of the arithmetic is work done again;"
            f" by the cost model a step takes {max(0.0, longer):.1f} % longer"
        )


def _flops(lowered: Lowered[Any, Any]) -> float:
    return max(1.0, float(sum(kernel.flops for kernel in lowered.program.kernels)))


def _time(plan: Plan) -> float:
    """Nanoseconds of a plan's kernels on a typical machine, by the cost model."""
    return sum(predicted(plan.program, typical(plan.program.threads)))


def _fit(target: str, fit: str, vary: str, options: dict[str, Any], json: bool) -> None:
    """The largest size that fits, found by planning alone."""
    found = largest(load_family(target, vary), byte_count(fit), options)
    if json:
        print_json({"vary": vary, "largest": found.size, "total_bytes": found.total_bytes})
    else:
        typer.echo(
            f"{vary} = {found.size}: {megabytes(found.total_bytes).strip()} of {fit}"
            f" with everything that the step reads and writes; {found.tried} sizes were planned"
        )
