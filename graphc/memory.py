"""The memory of a step: what its arena holds when, what is kept for the backward pass and why."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from graphc.errors import ArgumentError
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.spec import View
from graphc.schedule.kernel import Kernel
from graphc.schedule.phases import Phase, phases
from graphc.schedule.program import Buffer, Memory, Program

#: Bytes to which sizes in the arena are rounded.
_ALIGNMENT = 64


@dataclass(frozen=True)
class Saved:
    """A row of the activation ledger: a value that lives from the forward to the backward pass.

    `rule` says which operators' derivatives asked for it, and as what; `recompute_flops` is the
    work of computing it again from the other kept values and the arguments.
    """

    value: str
    bytes: int
    producer: str
    consumers: tuple[str, ...]
    rule: str
    recompute_flops: int


@dataclass(frozen=True)
class Allocation:
    """A buffer of the arena, live in the kernels `first` to `last - 1`."""

    value: str
    offset: int
    bytes: int
    first: int
    last: int


class MemoryReport:
    """Figures in bytes; MB is 10⁶ bytes. All are known before anything is compiled."""

    def __init__(self, program: Program, donated: frozenset[int], arguments: int):
        self._program = program
        graph = program.graph
        self.peak_bytes = program.plan.peak
        self.max_live_bytes = program.plan.max_live
        self.naive_bytes = sum(
            _rounded(v.type.nbytes) for k in program.kernels for v in k.writes
        ) + sum(_rounded(b.nbytes) for b in program.workspaces.values())
        sizes = [v.type.nbytes for v in graph.inputs]
        self.state_bytes = sum(n for i, n in enumerate(sizes) if i in donated)
        self.input_bytes = sum(n for i, n in enumerate(sizes[:arguments]) if i not in donated)
        tables = [b.nbytes for b in program.buffers.values() if b.memory is Memory.TABLE]
        self.const_bytes = sum(sizes[arguments:]) + sum(tables)
        written = set(graph.donated.values())
        self.output_bytes = sum(
            v.type.nbytes for j, v in enumerate(graph.outputs) if j not in written
        )

    @property
    def total_bytes(self) -> int:
        """The arena, and everything outside it that the step reads or writes."""
        return (
            self.peak_bytes
            + self.state_bytes
            + self.input_bytes
            + self.output_bytes
            + self.const_bytes
        )

    @cached_property
    def allocations(self) -> tuple[Allocation, ...]:
        """The arena's buffers, by offset and time."""
        found = [
            Allocation(_buffer_name(b), b.offset, b.nbytes, b.first, b.last)
            for b in self._program.arena_buffers
        ]
        return tuple(sorted(found, key=lambda a: (a.offset, a.first)))

    @cached_property
    def timeline(self) -> tuple[dict[str, int], ...]:
        """Live bytes of the arena while each kernel runs, by class: "saved" (from the forward
        pass, for the backward pass), "workspace", and what the forward, backward and update
        kernels hand on to one another.
        """
        program = self._program
        phase = phases(program.graph)
        kept = {self._program.buffers[v] for v, _ in self._kept}
        steps: list[dict[str, int]] = [{} for _ in range(len(program.kernels) + 1)]
        for buffer in program.arena_buffers:
            if buffer.memory is Memory.WORKSPACE:
                kind = "workspace"
            elif buffer in kept:
                kind = "saved"
            else:
                kind = phase[buffer.values[0].node].value
            for step in range(buffer.first, min(buffer.last, len(steps))):
                steps[step][kind] = steps[step].get(kind, 0) + _rounded(buffer.nbytes)
        return tuple(steps)

    @cached_property
    def _kept(self) -> list[tuple[Value, list[Node]]]:
        """Values in the arena that forward kernels compute and backward ones read, with readers."""
        program = self._program
        phase = phases(program.graph)
        readers: dict[Value, list[Node]] = {}
        for kernel in program.kernels:
            for node in kernel.nodes:
                if phase[node] is Phase.FORWARD:
                    continue
                for root in _roots(kernel, node):
                    if phase[root.node] is Phase.FORWARD and root.node not in kernel.group.level:
                        readers.setdefault(root, []).append(node)
        return [
            (value, nodes)
            for value, nodes in readers.items()
            if program.buffers[value].memory is Memory.ARENA
        ]

    @property
    def kept_bytes(self) -> int:
        """What crosses from the forward to the backward pass."""
        return sum(row.bytes for row in self.saved)

    @cached_property
    def saved(self) -> tuple[Saved, ...]:
        """The activation ledger, largest first."""
        kept = {value for value, _ in self._kept}
        rows = [
            Saved(
                _name(value),
                value.type.nbytes,
                _describe(value.node),
                tuple(dict.fromkeys(_describe(n) for n in nodes)),
                "; ".join(dict.fromkeys(_rules(value, nodes, self._program.graph))),
                _recompute_flops(value, kept),
            )
            for value, nodes in self._kept
        ]
        return tuple(sorted(rows, key=lambda r: (-r.bytes, r.value)))

    def to_dict(self) -> dict[str, Any]:
        """Every figure, as plain data."""
        names = (
            "peak_bytes", "max_live_bytes", "naive_bytes", "kept_bytes", "state_bytes",
            "input_bytes", "output_bytes", "const_bytes", "total_bytes",
        )  # fmt: skip
        return {
            **{name: getattr(self, name) for name in names},
            "saved": [asdict(row) for row in self.saved],
            "allocations": [asdict(a) for a in self.allocations],
            "timeline": list(self.timeline),
        }

    def to_json(self, path: str | Path) -> None:
        """Writes `to_dict` to a file."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")

    def to_dsa_csv(self, path: str | Path) -> None:
        """Writes the buffers as a planning instance: `id,lower,upper,size`, half-open lifetimes."""
        lines = ["id,lower,upper,size"]
        for k, a in enumerate(self.allocations):
            lines.append(f"{k},{a.first},{a.last},{_rounded(a.bytes)}")
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def diff(self, other: MemoryReport) -> str:
        """What `other` has more or less of, figure by figure."""
        mine, theirs = self.to_dict(), other.to_dict()
        lines = []
        for name, value in mine.items():
            if isinstance(value, int) and value != theirs[name]:
                lines.append(f"{name:16} {value:>14,} -> {theirs[name]:>14,}")
        return "\n".join(lines)

    def __str__(self) -> str:
        ratio = self.peak_bytes / self.max_live_bytes if self.max_live_bytes else 1.0
        lines = [
            f"arena        {_mb(self.peak_bytes)}   {ratio:.3f} of the largest live sum;"
            f" without reuse {_mb(self.naive_bytes).strip()}",
            f"state        {_mb(self.state_bytes)}   updated in place",
            f"arguments    {_mb(self.input_bytes)}",
            f"results      {_mb(self.output_bytes)}",
            f"constants    {_mb(self.const_bytes)}",
            f"kept for the backward pass {_mb(self.kept_bytes).strip()},"
            f" in {len(self.saved)} values:",
        ]
        for row in self.saved[:12]:
            lines.append(f"{_mb(row.bytes)}  {row.value:12} {row.producer}: {row.rule}")
        if len(self.saved) > 12:
            rest = sum(r.bytes for r in self.saved[12:])
            lines.append(f"{_mb(rest)}  in {len(self.saved) - 12} more")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Memory peak {self.peak_bytes}, kept {self.kept_bytes}, total {self.total_bytes}>"


_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}


def byte_count(size: int | str) -> int:
    """Bytes from a number or from text: "64MB" are 64·10⁶, "1GiB" is 2³⁰. Raises ArgumentError."""
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(size))
    if match is None or match.group(2).upper() not in _UNITS:
        raise ArgumentError(
            f"bytes: a number or text such as '64MB' or '1GiB' required, got {size!r}"
        )
    return int(float(match.group(1)) * _UNITS[match.group(2).upper()])


def _rounded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _mb(size: int) -> str:
    return f"{size / 1e6:9.3f} MB"


def _roots(kernel: Kernel, node: Node) -> Iterator[Value]:
    for value in node.inputs:
        place = kernel.place(value)
        if place is not None:
            yield place.root


def _buffer_name(buffer: Buffer) -> str:
    return _name(buffer.values[-1]) if buffer.values else "workspace"


def _name(value: Value) -> str:
    """The user's name of a value where there is one, else its operator; and its type."""
    meta = value.node.meta
    return f"{meta.name or value.node.op.name} {value.type}"


def _describe(node: Node) -> str:
    where = f" ({node.meta.site})" if node.meta.site is not None else ""
    return f"{node.op.name}{where}"


def _rules(value: Value, readers: list[Node], graph: Graph) -> Iterator[str]:
    """Which derivatives asked for a value. A reader that computes something again asks on behalf
    of its own readers.
    """
    stack, seen = list(readers), set(readers)
    while stack:
        node = stack.pop(0)
        if node.meta.clone:
            again = [n for v in node.outputs for n in graph.uses.get(v, ())]
            stack.extend(n for n in again if n not in seen)
            seen.update(again)
            continue
        rule = node.meta.rule
        if rule is None:
            yield f"read by {_describe(node)}"
            continue
        yield f"{_role(rule, value)} of {_describe(rule)}"


def _role(rule: Node, value: Value) -> str:
    meta = value.node.meta
    for k, operand in enumerate(rule.inputs):
        if any(node.meta is meta for node in _behind_views(operand)):
            return f"input {k}"
    if rule.meta is meta:
        return "output"
    if value.dtype.kind == "b":
        return "mask"
    return "for the derivative"


def _behind_views(value: Value) -> Iterator[Node]:
    """The node of a value, and where that is a view those of what it is a view of."""
    node = value.node
    yield node
    while node.inputs and isinstance(node.op.spec(*[v.type for v in node.inputs]), View):
        node = node.inputs[0].node
        yield node


def _recompute_flops(value: Value, kept: set[Value]) -> int:
    """Flops of the nodes between a value and the arguments and other kept values."""
    total, stack, seen = 0, [value.node], {value.node}
    while stack:
        node = stack.pop()
        total += node.op.flops(*[v.type for v in node.inputs])
        for source in node.inputs:
            fresh = source.node not in seen and source not in kept
            if fresh and not isinstance(source.node.op, Input):
                seen.add(source.node)
                stack.append(source.node)
    return total
