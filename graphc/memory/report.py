"""`lowered.memory`: the figures of a step's memory, all known before anything is compiled."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from graphc.ir.graph import Graph, Value
from graphc.ir.site import required
from graphc.memory import ledger
from graphc.memory.bounds import order_lower_bound
from graphc.memory.frozen import Frozen
from graphc.memory.sizes import megabytes
from graphc.schedule.program import ALIGNMENT, Buffer, Memory, Program
from graphc.schedule.remat import least_kept_bytes, recomputed
from graphc.text import html_table

#: Figures in bytes, in the order in which they are printed, compared and written.
FIGURES = (
    "peak_bytes", "max_live_bytes", "order_lower_bound_bytes", "naive_bytes", "kept_bytes",
    "min_cut_bytes", "state_bytes", "input_bytes", "output_bytes", "const_bytes", "stack_bytes",
    "total_bytes",
)  # fmt: skip


@dataclass(frozen=True)
class Allocation:
    """A buffer of the arena, live in the kernels `first` to `last - 1`; `kind` is its class in the
    timeline.
    """

    value: str
    kind: str
    offset: int
    bytes: int
    first: int
    last: int


class MemoryReport:
    """Figures in bytes; MB is 10⁶ bytes.

    `optimized` is the graph before anything is computed again; `drop(value)` plans the step with a
    value computed again; `stack` tells the largest local arrays of a kernel, `frozen` what
    `stop_gradient` saves.
    """

    def __init__(
        self,
        program: Program,
        arguments: int,
        optimized: Graph,
        drop: Callable[[Value], int],
        stack: Callable[[], int],
        frozen: Callable[[], Frozen | None] = lambda: None,
    ):
        self._program = program
        self._optimized = optimized
        self._drop = drop
        self._stack = stack
        self._frozen = frozen
        graph = program.graph
        self.peak_bytes = program.plan.peak
        self.max_live_bytes = program.plan.max_live
        self.naive_bytes = sum(
            _rounded(k.storage.nbytes(v)) for k in program.kernels for v in k.writes
        ) + sum(_rounded(b.nbytes) for b in program.workspaces.values())
        sizes = [v.type.nbytes for v in graph.inputs]
        self.state_bytes = sum(n for i, n in enumerate(sizes) if i in graph.donated)
        self.input_bytes = sum(n for i, n in enumerate(sizes[:arguments]) if i not in graph.donated)
        tables = [b.nbytes for b in program.buffers.values() if b.memory is Memory.TABLE]
        large = [array.nbytes for array in program.constants]
        self.const_bytes = sum(sizes[arguments:]) + sum(tables) + sum(large)
        written = set(graph.donated.values())
        self.output_bytes = sum(
            v.type.nbytes for j, v in enumerate(graph.outputs) if j not in written
        )

    @cached_property
    def order_lower_bound_bytes(self) -> int:
        """No order of the same kernels can need less."""
        return order_lower_bound(self._program)

    @cached_property
    def min_cut_bytes(self) -> int:
        """The least that could cross from the forward to the backward pass where no product and no
        reduction is repeated; fusion at the turn may do with less, which then counts.
        """
        return min(least_kept_bytes(self._optimized), self.kept_bytes)

    @cached_property
    def stack_bytes(self) -> int:
        """The largest local arrays of a kernel, on the stack of each thread."""
        return self._stack()

    @cached_property
    def frozen(self) -> Frozen | None:
        """What the user's `stop_gradient` saves; None where there is none. The step is traced and
        planned without it for this.
        """
        return self._frozen()

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
    def recompute_flops(self) -> int:
        """Floating-point operations of what is computed again."""
        nodes = recomputed(self._program.graph)
        return sum(n.op.flops(*[v.type for v in n.inputs]) for n in nodes)

    @cached_property
    def allocations(self) -> tuple[Allocation, ...]:
        """The arena's buffers, by offset and time."""
        found = [
            Allocation(_buffer_name(b), kind, b.offset, b.nbytes, b.first, b.last)
            for b, kind in self._class.items()
        ]
        return tuple(sorted(found, key=lambda a: (a.offset, a.first)))

    @cached_property
    def timeline(self) -> tuple[dict[str, int], ...]:
        """Live bytes of the arena while each kernel runs, and at the end, by class: "saved" (from
        the forward pass, for the backward pass), "recomputed", "workspace", and what the forward,
        backward and update kernels hand on to one another. Sizes are rounded to 64.
        """
        steps: list[dict[str, int]] = [{} for _ in self._program.live_bytes]
        for buffer, kind in self._class.items():
            for step in range(buffer.first, buffer.last):
                steps[step][kind] = steps[step].get(kind, 0) + _rounded(buffer.nbytes)
        return tuple(steps)

    @cached_property
    def _class(self) -> dict[Buffer, str]:
        return ledger.classes(self._program)

    @cached_property
    def at_peak(self) -> dict[str, int]:
        """The arena when the most is live: bytes by class, "padding" to multiples of 64, and "gaps"
        that no buffer could use. They add up to `peak_bytes`.
        """
        step = self._program.peak_step
        live = dict.fromkeys(self.timeline[step], 0)
        for buffer, kind in self._class.items():
            if buffer.first <= step < buffer.last:
                live[kind] += buffer.nbytes
        total = self._program.live_bytes[step]
        return live | {
            "padding": total - sum(live.values()),
            "gaps": self.peak_bytes - total,
        }

    @cached_property
    def peak_line(self) -> str:
        """What runs when the most is live: the operators, and the user's first line."""
        step = self._program.peak_step
        kernels = self._program.kernels
        if step == len(kernels):
            return "the end of the step, where results are copied over their arguments"
        nodes = kernels[step].nodes
        operators = ", ".join(list(dict.fromkeys(n.op.name for n in nodes))[:4])
        where = next((f" ({n.meta.site})" for n in nodes if n.meta.site), "")
        return f"kernel {step} of {len(kernels)}: {operators}{where}"

    @property
    def kept_bytes(self) -> int:
        """What crosses from the forward to the backward pass."""
        return sum(row.bytes for row in self.saved)

    @cached_property
    def saved(self) -> tuple[ledger.Saved, ...]:
        """The activation ledger, largest first."""
        return ledger.rows(
            self._program, self._optimized, lambda v: self.peak_bytes - self._drop(v)
        )

    def to_dict(self) -> dict[str, Any]:
        """Every figure, as plain data."""
        return {
            **{name: getattr(self, name) for name in FIGURES},
            "recompute_flops": self.recompute_flops,
            "frozen": None if self.frozen is None else asdict(self.frozen),
            "at_peak": self.at_peak,
            "saved": [row.to_dict() for row in self.saved],
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

    def plot(self, path: str | Path) -> None:
        """Draws live bytes and the arena into a file; needs matplotlib (`graphc[plot]`)."""
        from graphc.memory.plot import plot

        plot(self, path)

    def diff(self, other: MemoryReport) -> str:
        """What `other` has more or less of: figures, and rows of the ledger, larger ones first."""
        required(other, MemoryReport, "diff")
        lines = []
        for name in (*FIGURES, "recompute_flops"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                lines.append(f"{name:24} {mine:>16,} -> {theirs:>16,}  {theirs - mine:+,}")
        for sign, rows, others in (("-", self, other), ("+", other, self)):
            known = {(row.value, row.producer) for row in others.saved}
            for row in rows.saved:
                if (row.value, row.producer) not in known:
                    lines.append(f"{sign} {megabytes(row.bytes)}  {row.value}  {row.producer}")
        return "\n".join(lines)

    def __str__(self) -> str:
        ratio = self.peak_bytes / self.max_live_bytes if self.max_live_bytes else 1.0
        lines = [
            f"arena        {megabytes(self.peak_bytes)}   {ratio:.3f} of the largest live sum;"
            f" without reuse {megabytes(self.naive_bytes).strip()}",
            f"state        {megabytes(self.state_bytes)}   updated in place",
            f"arguments    {megabytes(self.input_bytes)}",
            f"results      {megabytes(self.output_bytes)}",
            f"constants    {megabytes(self.const_bytes)}",
            f"kept for the backward pass {megabytes(self.kept_bytes).strip()},"
            f" in {len(self.saved)} values:",
        ]
        for row in self.saved[:12]:
            lines.append(f"{megabytes(row.bytes)}  {row.value:12} {row.producer}: {row.rule}")
        if len(self.saved) > 12:
            rest = sum(r.bytes for r in self.saved[12:])
            lines.append(f"{megabytes(rest)}  in {len(self.saved) - 12} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        figures = [(name, f"{getattr(self, name):,}") for name in FIGURES]
        rows = [(r.value, f"{r.bytes:,}", r.producer, r.rule) for r in self.saved]
        head = ("kept", "bytes", "made by", "asked for as")
        return html_table(("figure", "bytes"), figures) + html_table(head, rows)

    def __repr__(self) -> str:
        return f"<Memory peak {self.peak_bytes}, kept {self.kept_bytes}, total {self.total_bytes}>"


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _buffer_name(buffer: Buffer) -> str:
    return ledger.name(buffer.values[-1]) if buffer.values else "workspace"
