"""Where the time of a step goes: kernel by kernel."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphc.build.machine import Limits, model
from graphc.kernel_info import KernelInfo, Part
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
    parts: tuple[PartTime, ...] = ()

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

    def spans(self) -> Iterator[tuple[Part, float, float]]:
        """The kernels that a loop runs, all turns together: one after the other in its time, where
        each begins and how long it takes, in nanoseconds.
        """
        begin = 0.0
        for one in self.parts:
            length = self.least * one.share
            yield one.part, begin, length
            begin += length

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
class PartTime:
    """Equal kernels that a loop runs: their part of its time, as its first thread measured it."""

    part: Part
    share: float

    def record(self) -> dict[str, Any]:
        part = self.part
        return {
            "name": part.kernel.name,
            "calls": part.calls,
            "share": self.share,
            "flops": part.flops,
            "lines": list(part.sources),
        }


@dataclass(frozen=True)
class Line:
    """All calls of one function: equal kernels share it. `parts` are those that a loop runs, whose
    times are parts of its own.
    """

    kernel: str
    calls: int
    nanoseconds: int
    predicted: float
    share: float
    gflops: float
    gbytes_per_s: float
    of_limit: float
    sources: tuple[str, ...]
    parts: tuple[PartLine, ...]


@dataclass(frozen=True)
class PartLine:
    """All calls of one function by loops; no limit is known of a part, nor a prediction."""

    kernel: str
    calls: int
    nanoseconds: float
    share: float
    gflops: float
    sources: tuple[str, ...]


#: Kernels of a loop that take less of a step have no row in a table.
_SMALL = 0.005

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
                    tuple(self._part_lines(rows)),
                )
            )
        return sorted(lines, key=lambda line: -line.nanoseconds)

    def _part_lines(self, rows: Sequence[KernelTime]) -> list[PartLine]:
        """What equal loops run, the longest first."""
        lines = []
        for same in zip(*[row.parts for row in rows], strict=True):
            time = sum(row.least * p.share for row, p in zip(rows, same, strict=True))
            part = same[0].part
            lines.append(
                PartLine(
                    part.kernel.name,
                    part.calls * len(rows),
                    time,
                    time / max(1, self.total),
                    part.flops * len(rows) / max(1.0, time),
                    tuple(dict.fromkeys(s for p in same for s in p.part.sources)),
                )
            )
        return sorted(lines, key=lambda line: -line.nanoseconds)

    def table(self) -> list[tuple[str, ...]]:
        """`by_kernel` as text, with the sum at the end; of the kernels that a loop runs those that
        take a two-hundredth of the step.
        """
        rows: list[tuple[str, ...]] = []
        for line in self.by_kernel():
            rows.append(
                (
                    line.kernel,
                    str(line.calls),
                    f"{line.nanoseconds / 1e3:.1f}",
                    f"{line.predicted / 1e3:.1f}",
                    f"{line.share:.1%}",
                    f"{line.gflops:.1f}",
                    f"{line.gbytes_per_s:.1f}",
                    f"{line.of_limit:.0%}",
                    _first_of(line.sources),
                )
            )
            rows.extend(_part_row(part) for part in line.parts if part.share >= _SMALL)
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
                {
                    "name": r.kernel.name,
                    **r.record(),
                    "lines": list(r.kernel.sources),
                    "parts": [part.record() for part in r.parts],
                }
                for r in self.rows
            ],
        }

    def to_csv(self) -> str:
        """A row for each function, under the names of `Line`; those that a loop runs behind it,
        under its name and theirs, with nothing where nothing is known of them.
        """
        text = io.StringIO()
        names = [name for name in Line.__dataclass_fields__ if name != "parts"]
        writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for line in self.by_kernel():
            writer.writerow(asdict(line) | {"sources": " ".join(line.sources)})
            for part in line.parts:
                own = {"kernel": f"{line.kernel}/{part.kernel}", "sources": " ".join(part.sources)}
                writer.writerow(asdict(part) | own)
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
            for part, start, length in row.spans():
                span = {"name": part.kernel.name, "cat": "part", "ph": "X", "pid": 0, "tid": 0}
                times = {"ts": (begin + start) / 1e3, "dur": length / 1e3}
                events.append({**span, **times, "args": {"lines": ", ".join(part.sources)}})
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
    laps: Sequence[Sequence[int]],
    limits: Limits,
    program: Program,
    live: Sequence[Mapping[str, int]],
) -> Profile:
    """A profile from the times of a program's kernels in each run, for each of them those of the
    kernels that it runs itself, what the machine can do at most, and the memory's timeline.
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
            tuple(_part_times(kernel, inner)),
        )
        for kernel, inner, of_kernel, bound, nanoseconds in zip(
            kernels,
            laps,
            list(zip(*times, strict=True))[: len(kernels)],
            least,
            expected,
            strict=True,
        )
    ]
    return Profile(tuple(rows), len(times), limits, live)


def _part_times(kernel: KernelInfo, laps: Sequence[int]) -> Iterator[PartTime]:
    """The laps of a kernel as parts of their sum; none of one that measures none."""
    total = sum(laps)
    for part in kernel.parts if total else ():
        yield PartTime(part, sum(laps[k] for k in part.numbers) / total)


def _part_row(part: PartLine) -> tuple[str, ...]:
    time, rate = f"{part.nanoseconds / 1e3:.1f}", f"{part.gflops:.1f}"
    head = (f"  {part.kernel}", str(part.calls), time, "", f"{part.share:.1%}", rate)
    return (*head, "", "", _first_of(part.sources))


def _first_of(lines: Sequence[str]) -> str:
    return ", ".join(lines[:3]) + (", …" if len(lines) > 3 else "")
