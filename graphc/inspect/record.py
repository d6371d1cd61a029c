"""A lowered step as plain data: what the report shows, and what `graphc inspect --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from graphc.inspect.formulas import formulas
from graphc.inspect.history import Nodes, history
from graphc.inspect.plan import buffers, kernel_phases, mates
from graphc.inspect.sources import Sources
from graphc.ir.garbage import garbage_kept
from graphc.ir.graph import Graph, Input
from graphc.ir.names import value_names
from graphc.ir.phases import Phase, phases
from graphc.memory import MemoryReport
from graphc.memory.ledger import CLASSES
from graphc.passes.pipeline import Stage
from graphc.profile import Profile
from graphc.schedule.program import Program

#: Raised when a field changes its meaning or goes.
VERSION = 1


@dataclass(frozen=True)
class Step:
    """What is known of a lowered step. `texts` are the kernels' functions: name and C text, in the
    order in which they run; `seconds` is the time from the traced to the lowered step.
    """

    name: str
    stages: Sequence[Stage]
    program: Program
    texts: Sequence[tuple[str, str]]
    memory: MemoryReport
    target: str
    seconds: float
    profile: Profile | None = None
    pareto: Sequence[tuple[int, int]] = ()


@garbage_kept()
def record(step: Step) -> dict[str, Any]:
    """Everything, as JSON can hold it; `schema.json` beside this file declares it. Nodes, kernels,
    files and stages are referred to by their places in the lists.
    """
    nodes, sources = Nodes(), Sources()
    graph = history(step.stages, nodes)
    graph["nodes"]["lines"] = [sources.own_places([n]) for n in nodes.nodes]
    functions = {name: k for k, name in enumerate(dict.fromkeys(n for n, _ in step.texts))}
    kernels = _kernels(step, nodes, sources, functions)
    texts = dict(step.texts)
    return {
        "version": VERSION,
        "summary": _summary(step, kernels),
        "graph": graph,
        "files": sources.record(),
        "functions": [{"name": name, "c": texts[name]} for name in functions],
        "kernels": kernels,
        "memory": _memory(step),
    }


def _kernels(
    step: Step, nodes: Nodes, sources: Sources, functions: dict[str, int]
) -> list[dict[str, Any]]:
    program = step.program
    name = value_names(program.graph).__getitem__
    phase, mate = kernel_phases(program), mates(program)
    rows = []
    for k, kernel in enumerate(program.kernels):
        work = program.workspaces.get(kernel)
        rows.append(
            {
                "function": functions[step.texts[k][0]],
                "phase": phase[k].value,
                "mate": mate[k],
                "nodes": [nodes.number(n) for n in kernel.computed],
                "operators": [n.op.name for n in kernel.computed],
                "formulas": formulas(kernel, name),
                "reads": [[name(v), str(v.type)] for v in kernel.reads],
                "writes": [[name(v), str(v.type)] for v in kernel.writes],
                "flops": kernel.flops,
                "bytes": kernel.bytes,
                "workspace": 0 if work is None else work.nbytes,
                "threads": kernel.workers(program.threads),
                "lines": sources.own_places(kernel.computed),
                "calls": sources.places(kernel.computed),
                "time": None if step.profile is None else step.profile.rows[k].record(),
            }
        )
    return rows


def _summary(step: Step, kernels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    flops = {phase.value: 0 for phase in Phase}
    phase_of = phases(step.program.graph)
    for kernel in step.program.kernels:
        for node in kernel.computed:
            flops[phase_of[node].value] += node.op.flops(*[v.type for v in node.inputs])
    limits = None if step.profile is None else step.profile.limits
    return {
        "step": step.name,
        "target": step.target,
        "threads": step.program.threads,
        "parameters": parameters(step.stages[0].graph),
        "flops": flops,
        "bytes": sum(k["bytes"] for k in kernels),
        "kernels": len(kernels),
        "functions": len({k["function"] for k in kernels}),
        "lines_of_c": sum(text.count("\n") for text in dict(step.texts).values()),
        "nodes": [len(stage.graph) for stage in step.stages],
        "seconds": step.seconds,
        "runs": None if step.profile is None else step.profile.runs,
        "limits": None if limits is None else asdict(limits),
    }


def parameters(graph: Graph) -> int:
    """Elements of the inputs by which the step takes a gradient."""
    wanted = {n.meta.gradient_of for n in graph.nodes}
    return sum(
        v.type.size for v in graph.inputs if isinstance(v.node.op, Input) and v.node.meta in wanted
    )


def _memory(step: Step) -> dict[str, Any]:
    report = step.memory.to_dict()
    names = value_names(step.program.graph)
    # The last stage is this one with what is computed again.
    optimized = step.stages[-2].graph
    called = value_names(optimized)

    def named(node: int, result: int) -> str:
        return called[optimized.nodes[node].outputs[result]]

    figures = {name: value for name, value in report.items() if isinstance(value, int)}
    return {
        "figures": figures,
        "classes": list(CLASSES),
        "buffers": buffers(step.program, names.__getitem__),
        "ledger": [row.to_dict() | {"name": named(*row.place)} for row in step.memory.saved],
        "pareto": [list(point) for point in step.pareto],
    }
