"""Where the time of a step goes: kernel by kernel."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphc.build.machine import Limits, model
from graphc.kernel_info import KernelInfo
from graphc.schedule.program import Program
from graphc.schedule.traffic import bounds, predicted
from graphc.text import html_table, text_table


@dataclass(frozen=True)
class KernelTime:
    """One kernel's time in nanoseconds, over the runs: the least and the median.

    `limit` is the least time that the machine's measured limits allow: that of its floating-point
    operations, or of its bytes from the caches or the memory whence they come in a step that
    follows others. `predicted` is what the cost model (`schedule/cost.py`) says.
    """

    kernel: KernelInfo
    least: int
    median: int
    limit: float
    predicted: float

    @property
    def gflops(self) -> float:
        """10⁹ floating-point operations per second, at the least time."""
        return self.kernel.flops / self.least if self.least else 0.0

    @property
    def gbytes(self) -> float:
        """10⁹ bytes per second that it has to move at least, at the least time."""
        return self.kernel.bytes / self.least if self.least else 0.0

    @property
    def of_limit(self) -> float:
        """The share of the limit that is reached."""
        return self.limit / self.least if self.least else 0.0

    @property
    def error(self) -> float:
        """How far the prediction is from the least time, as a part of that."""
        return abs(self.predicted / max(1, self.least) - 1)

    def record(self) -> dict[str, float]:
        return {
            "least": self.least,
            "median": self.median,
            "gflops": self.gflops,
            "gbytes": self.gbytes,
            "of_limit": self.of_limit,
            "predicted": self.predicted,
        }


@dataclass(frozen=True)
class Line:
    """All calls of one function: equal kernels share it."""

    kernel: str
    calls: int
    nanoseconds: int
    predicted: float
    share: float
    gflops: float
    gbytes_per_s: float
    of_limit: float
    sources: tuple[str, ...]


HEAD = ("kernel", "calls", "us", "model us", "share", "GFLOP/s", "GB/s", "of limit", "lines")


@dataclass(frozen=True)
class Profile:
    """The kernels of a step in the order in which they ran; `live` is the memory's timeline, the
    arena's live bytes by class while each kernel runs.
    """

    rows: tuple[KernelTime, ...]
    runs: int
    limits: Limits
    live: Sequence[Mapping[str, int]]

    @property
    def total(self) -> int:
        """Nanoseconds of all kernels, each at its least."""
        return sum(row.least for row in self.rows)

    @property
    def predicted(self) -> float:
        """Nanoseconds of all kernels as the cost model has them."""
        return sum(row.predicted for row in self.rows)

    @property
    def error(self) -> float:
        """The median, over the kernels, of how far predictions are off, as a part of the time."""
        return statistics.median([row.error for row in self.rows]) if self.rows else 0.0

    def by_kernel(self) -> list[Line]:
        """Equal kernels together, the longest first."""
        found: dict[str, list[KernelTime]] = {}
        for row in self.rows:
            found.setdefault(row.kernel.name, []).append(row)
        lines = []
        for name, rows in found.items():
            time = max(1, sum(r.least for r in rows))
            lines.append(
                Line(
                    name,
                    len(rows),
                    sum(r.least for r in rows),
                    sum(r.predicted for r in rows),
                    sum(r.least for r in rows) / max(1, self.total),
                    sum(r.kernel.flops for r in rows) / time,
                    sum(r.kernel.bytes for r in rows) / time,
                    sum(r.limit for r in rows) / time,
                    tuple(dict.fromkeys(s for r in rows for s in r.kernel.sources)),
                )
            )
        return sorted(lines, key=lambda line: -line.nanoseconds)

    def table(self) -> list[tuple[str, ...]]:
        """`by_kernel` as text, with the sum at the end."""
        rows = [
            (
                line.kernel,
                str(line.calls),
                f"{line.nanoseconds / 1e3:.1f}",
                f"{line.predicted / 1e3:.1f}",
                f"{line.share:.1%}",
                f"{line.gflops:.1f}",
                f"{line.gbytes_per_s:.1f}",
                f"{line.of_limit:.0%}",
                ", ".join(line.sources[:3]) + (", …" if len(line.sources) > 3 else ""),
            )
            for line in self.by_kernel()
        ]
        sums = (f"{self.total / 1e3:.1f}", f"{self.predicted / 1e3:.1f}")
        return [*rows, ("all", str(len(self.rows)), *sums, *[""] * 5)]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain data; times are in nanoseconds."""
        return {
            "runs": self.runs,
            "limits": asdict(self.limits),
            "nanoseconds": self.total,
            "predicted": self.predicted,
            "median_error": self.error,
            "kernels": [
                {"name": r.kernel.name, **r.record(), "lines": list(r.kernel.sources)}
                for r in self.rows
            ],
        }

    def to_csv(self) -> str:
        """A row for each function, under the names of `Line`."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Line.__dataclass_fields__)
        for line in self.by_kernel():
            writer.writerow((asdict(line) | {"sources": " ".join(line.sources)}).values())
        return text.getvalue()

    def to_chrome_trace(self, path: str | Path) -> None:
        """Writes the kernels one after another in Chrome's trace format, which Perfetto opens, with
        the arena's live bytes as a counter.
        """
        events: list[dict[str, Any]] = []
        begin = 0
        classes = sorted({kind for step in self.live for kind in step})
        for row, live in zip(self.rows, self.live, strict=False):
            held = {kind: live.get(kind, 0) for kind in classes}
            counter = {"name": "arena bytes", "ph": "C", "pid": 0, "ts": begin / 1e3}
            events.append({**counter, "args": held})
            events.append(
                {
                    "name": row.kernel.name,
                    "cat": "kernel",
                    "ph": "X",
                    "pid": 0,
                    "tid": 0,
                    "ts": begin / 1e3,
                    "dur": row.least / 1e3,
                    "args": {
                        **row.record(),
                        "operators": ", ".join(n.op.name for n in row.kernel.nodes),
                        "lines": ", ".join(row.kernel.sources),
                    },
                }
            )
            begin += row.least
        trace = {"traceEvents": events, "displayTimeUnit": "ns"}
        Path(path).write_text(json.dumps(trace), encoding="utf-8")

    def _repr_html_(self) -> str:
        return html_table(HEAD, self.table())

    def __str__(self) -> str:
        return text_table(HEAD, self.table(), right=range(1, 8))


def summarize(
    kernels: Sequence[KernelInfo],
    times: Sequence[Sequence[int]],
    limits: Limits,
    program: Program,
    live: Sequence[Mapping[str, int]],
) -> Profile:
    """A profile from the times of a program's kernels in each run, what the machine can do at most,
    and the memory's timeline.
    """
    machine = model(limits, program.threads)
    least, expected = bounds(program, machine, limits.gflops), predicted(program, machine)
    rows = [
        KernelTime(
            kernel,
            min(of_kernel),
            int(statistics.median(of_kernel)),
            bound,
            nanoseconds,
        )
        for kernel, of_kernel, bound, nanoseconds in zip(
            kernels, zip(*times, strict=True), least, expected, strict=True
        )
    ]
    return Profile(tuple(rows), len(times), limits, live)
