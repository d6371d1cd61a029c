"""A lowered step as plain data: what the report shows, and what `graphc inspect --json` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from graphc.inspect.formulas import formulas
from graphc.inspect.history import Nodes, history
from graphc.inspect.plan import buffers, kernel_phases, mates
from graphc.inspect.sources import Sources
from graphc.inspect.work import Work, everything, work
from graphc.ir.garbage import garbage_kept
from graphc.ir.graph import Graph
from graphc.ir.names import is_same, value_names
from graphc.ir.phases import Phase, phases
from graphc.kernel_info import KernelInfo
from graphc.memory import MemoryReport
from graphc.memory.ledger import CLASSES
from graphc.passes.pipeline import Stage
from graphc.profile import KernelTime, Profile
from graphc.schedule.program import Program

#: Raised when a field changes its meaning or goes.
VERSION = 1


@dataclass(frozen=True)
class Step:
    """What is known of a lowered step, its kernels in the order in which they run; `seconds` is the
    time from the traced to the lowered step.
    """

    name: str
    stages: Sequence[Stage]
    program: Program
    kernels: Sequence[KernelInfo]
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
    texts = {k.name: k.c_text for one in step.kernels for k in one.all()}
    functions = {name: k for k, name in enumerate(texts)}
    kernels = _kernels(step, nodes, sources, functions)
    return {
        "version": VERSION,
        "summary": _summary(step, kernels, texts.values()),
        "graph": graph,
        "files": sources.record(),
        "functions": [{"name": name, "c": text} for name, text in texts.items()],
        "kernels": kernels,
        "memory": _memory(step),
    }


def _kernels(
    step: Step, nodes: Nodes, sources: Sources, functions: dict[str, int]
) -> list[dict[str, Any]]:
    program = step.program
    name = value_names(program.graph).__getitem__
    phase, mate = kernel_phases(program), mates(program)
    phase_of = phases(program.graph)
    rows = []
    for k, (kernel, info) in enumerate(zip(program.kernels, step.kernels, strict=True)):
        space = program.workspaces.get(kernel)
        inside = list(everything(kernel))
        done = work(kernel, phase_of)
        rows.append(
            {
                "function": functions[info.name],
                "phase": phase[k].value,
                "mate": mate[k],
                "nodes": [nodes.number(n) for n in kernel.computed],
                "operators": [n.op.name for n in kernel.computed],
                "formulas": formulas(kernel, name),
                "reads": [[name(v), str(v.type)] for v in kernel.reads],
                "writes": [[name(v), str(v.type)] for v in kernel.writes],
                "flops": kernel.flops,
                "bytes": kernel.bytes,
                "workspace": 0 if space is None else space.nbytes,
                "threads": kernel.workers(program.threads),
                "lines": sources.own_places(inside),
                "calls": sources.places(inside),
                "time": None if step.profile is None else step.profile.rows[k].record(),
                "parts": _parts(info, None if step.profile is None else step.profile.rows[k]),
                "work": _work_by_line(done, sources) if kernel.programs else None,
            }
        )
    return rows


def _parts(info: KernelInfo, time: KernelTime | None) -> list[dict[str, Any]]:
    """The kernels that a loop or a choice runs; the shares of its time where they were measured."""
    shares = {p.part: p.share for p in time.parts} if time is not None else {}
    return [
        {
            "function": part.kernel.name,
            "calls": part.calls,
            "flops": part.flops,
            "operators": [n.op.name for n in part.kernel.nodes],
            "lines": list(part.sources),
            "share": shares.get(part),
        }
        for part in info.parts
    ]


def _work_by_line(done: Sequence[Work], sources: Sources) -> list[list[Any]]:
    """What a loop does for each of the user's lines: [file, line, phase, operator, how many nodes,
    floating-point operations].
    """
    sums: dict[tuple[int, int, str, str], list[int]] = {}
    for one in done:
        for file, line in sources.own_places([one.node]):
            key = (file, line, one.phase.value, one.node.op.name)
            many, flops = sums.get(key, (0, 0))
            sums[key] = [many + 1, flops + one.flops]
    return [[*key, *counted] for key, counted in sums.items()]


def _summary(step: Step, kernels: Sequence[dict[str, Any]], texts: Iterable[str]) -> dict[str, Any]:
    flops = {phase.value: 0 for phase in Phase}
    phase_of = phases(step.program.graph)
    for kernel in step.program.kernels:
        for one in work(kernel, phase_of):
            flops[one.phase.value] += one.flops
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
        "lines_of_c": sum(text.count("\n") for text in texts),
        "nodes": [len(stage.graph) for stage in step.stages],
        "seconds": step.seconds,
        "runs": None if step.profile is None else step.profile.runs,
        "limits": None if limits is None else asdict(limits),
    }


def parameters(graph: Graph) -> int:
    """Elements of the inputs by which the step takes a gradient: by themselves, or as the arguments
    of a function of its own.
    """
    wanted = {n.meta.gradient_of for n in graph.nodes}
    found = set()
    for node in graph.nodes:
        if node.meta in wanted:
            while is_same(node):
                (node,) = (v.node for v in node.inputs)
            found.add(node)
    return sum(v.type.size for v in graph.inputs if v.node in found)


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
