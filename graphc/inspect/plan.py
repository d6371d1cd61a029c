"""The memory plan as rows: what lies where in the arena, from when to when, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc.inspect.work import work
from graphc.ir.graph import Meta, Value
from graphc.ir.phases import Phase, phases
from graphc.memory.ledger import classes
from graphc.schedule.program import ALIGNMENT, Buffer, Program


def kernel_phases(program: Program) -> list[Phase]:
    """The phase of a kernel is that of most of its work, the latest of those that are equal."""
    phase = phases(program.graph)
    found = []
    for kernel in program.kernels:
        most = dict.fromkeys(reversed(Phase), 0)
        for one in work(kernel, phase):
            most[one.phase] += 1 + one.flops
        found.append(max(most, key=lambda p: most[p]))
    return found


def buffers(program: Program, name: Callable[[Value], str]) -> list[dict[str, Any]]:
    """The arena's buffers, with the kernels (by number) that write and read them."""
    kind = classes(program)
    writers: dict[Buffer, list[int]] = {}
    readers: dict[Buffer, list[int]] = {}
    for step, kernel in enumerate(program.kernels):
        for value in kernel.writes:
            writers.setdefault(program.buffers[value], []).append(step)
        for value in kernel.reads:
            readers.setdefault(program.buffers[value], []).append(step)
    why = _reasons(program)
    rows = []
    for buffer in program.arena_buffers:
        made, used = writers.get(buffer, []), readers.get(buffer, [])
        rows.append(
            {
                "name": ", ".join(name(v) for v in buffer.values) or "workspace",
                "type": str(buffer.values[-1].type) if buffer.values else "",
                "class": kind[buffer],
                "offset": buffer.offset,
                "bytes": buffer.nbytes,
                "room": -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT,
                "first": buffer.first,
                "last": buffer.last,
                "writers": made if buffer.values else [buffer.index],
                "readers": used,
                "why": ", ".join(dict.fromkeys(w for v in buffer.values for w in why.get(v, ()))),
            }
        )
    return sorted(rows, key=lambda r: (r["offset"], r["first"]))


def _reasons(program: Program) -> dict[Value, dict[str, None]]:
    """For every value in memory the operators whose derivatives read it, with the user's lines."""
    asked: dict[Value, dict[str, None]] = {}
    for kernel in program.kernels:
        for node in kernel.nodes:
            rule = node.meta.rule
            if rule is None:
                continue
            where = f" ({rule.meta.site})" if rule.meta.site else ""
            for value in node.inputs:
                place = kernel.place(value)
                if place is not None:
                    asked.setdefault(place.root, {})[f"{rule.op.name}{where}"] = None
    return asked


def mates(program: Program) -> list[int]:
    """For every kernel the forward kernel beside which it is drawn: itself, or for a derivative the
    last one that computes an operator of which it is one, else the last one whose result it reads;
    the neighbour's where there is none.
    """
    phase = kernel_phases(program)
    step_of: dict[Meta, int] = {}
    for step, kernel in enumerate(program.kernels):
        if phase[step] is Phase.FORWARD:
            step_of.update((m, step) for n in kernel.nodes for m in n.meta.family())
    found: list[int] = []
    for step, kernel in enumerate(program.kernels):
        if phase[step] is Phase.FORWARD:
            found.append(step)
            continue
        rules = [n.meta.rule.meta for n in kernel.nodes if n.meta.rule is not None]
        read = [v.node.meta for v in kernel.reads]
        steps = [step_of[m] for m in rules if m in step_of]
        steps = steps or [step_of[m] for m in read if m in step_of]
        found.append(max(steps, default=found[-1] if found else step))
    return found
