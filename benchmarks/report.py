"""What a run found: ranks, tables, a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.driver import Result
from benchmarks.workloads import Workload

if TYPE_CHECKING:
    from graphc.build.machine import Limits

OURS = "graphc"
QUIET = 0.05
"""Processors that others may keep busy. One is enough to make a barrier wait for milliseconds."""


@dataclass(frozen=True)
class Comparison:
    """The results of one workload; only those with status `ok` have a rank.

    `foreign` is the number of processors that other processes kept busy during the timing;
    `limits` are those of this machine, measured in the same run, or None without graphc.
    """

    workload: Workload
    results: Sequence[Result]
    foreign: float
    limits: Limits | None

    @property
    def best_peer(self) -> float | None:
        """Minimum seconds a step of the fastest system that is not ours."""
        peers = [r.minimum for r in self.results if r.status == "ok" and not is_ours(r)]
        return min(peers, default=None)

    def ratio(self, result: Result) -> float | None:
        """How many times as fast as the best peer; None without a rank."""
        best = self.best_peer
        return best / result.minimum if best and result.status == "ok" else None

    @property
    def speedup(self) -> float | None:
        """The ratio of our fastest system."""
        ratios = [self.ratio(r) for r in self.results if is_ours(r)]
        return max((ratio for ratio in ratios if ratio is not None), default=None)

    @property
    def quiet(self) -> bool:
        return self.foreign <= QUIET

    def share(self, result: Result) -> float | None:
        """The least that a step can take here, its arithmetic and traffic, by what it took."""
        if self.limits is None:
            return None
        least = self.workload.flops / self.limits.gflops
        least += self.workload.traffic / self.limits.gbytes_per_s
        return least / 1e9 / result.minimum

    def ranked_share(self, result: Result) -> float | None:
        """The share of what has a rank."""
        return self.share(result) if result.status == "ok" else None

    def table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
        table.title, table.title_justify = self.workload.name, "left"
        table.add_column("system", no_wrap=True)
        headings = ["min ms", "median", "× peer"]
        headings += ["% limit"] if self.limits else []
        headings += ["cold s", "warm s", "RSS MB", "Δ loss"]
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=True, min_width=6)
        for r in self.results:
            timed = r.status in ("ok", "disagrees")
            table.add_row(r.system, *(self._figures(r) if timed else [r.status]))
        return table

    def notes(self) -> list[str]:
        """Why a system has no rank, and whether the machine was quiet; one line each."""
        lines = [f"{r.system} {r.status}: {r.detail}" for r in self.results if r.detail]
        if not self.quiet:
            lines.append(f"not quiet: other processes kept {self.foreign:.2f} processors busy")
        return lines

    def _figures(self, r: Result) -> list[str]:
        ratio, share = self.ratio(r), self.share(r)
        figures = [f"{r.minimum * 1e3:.4g}", f"{r.median * 1e3:.4g}"]
        figures.append("" if ratio is None else f"{ratio:.2f}")
        figures += [] if share is None else [f"{100 * share:.1f}"]
        figures += [f"{r.compile_cold:.2f}", f"{r.compile_warm:.2f}", f"{r.peak_rss / 1e6:.0f}"]
        figures.append("" if r.loss_difference is None else f"{r.loss_difference:.0e}")
        return figures

    def record(self) -> dict[str, Any]:
        return {
            "workload": self.workload.name,
            "flops": self.workload.flops,
            "traffic": self.workload.traffic,
            "speedup": self.speedup,
            "foreign": self.foreign,
            "results": [self._record(result) for result in self.results],
        }

    def _record(self, r: Result) -> dict[str, Any]:
        fields = asdict(r)
        fields["samples"] = len(r.samples)
        if r.samples:
            fields |= {
                "minimum": r.minimum,
                "median": r.median,
                "compile_cold": r.compile_cold,
                "compile_warm": r.compile_warm,
                "ratio_to_best_peer": self.ratio(r),
                "share_of_limit": self.share(r),
            }
        return fields


def is_ours(result: Result) -> bool:
    return result.system.partition(".")[0] == OURS


def print_summary(console: Console, comparisons: Sequence[Comparison]) -> None:
    """Our ratio to the best peer on each workload, and the geometric mean."""
    speedups = {c.workload.name: c.speedup for c in comparisons if c.speedup is not None}
    if speedups:
        each = ", ".join(f"{name} {speedup:.2f}" for name, speedup in speedups.items())
        mean = geometric_mean(speedups.values())
        doubt = "" if all(c.quiet for c in comparisons) else " (not quiet: indicative only)"
        console.print(f"{OURS} against the best peer: {each}; geometric mean {mean:.2f}{doubt}")


def plot(comparisons: Sequence[Comparison], path: Path) -> None:
    """Two charts of bars, a group for each workload: speed relative to the best peer, and the part
    of the machine's limit that is reached, where that was measured.
    """
    from matplotlib.figure import Figure

    systems = list(dict.fromkeys(r.system for c in comparisons for r in c.results))
    measures = {"speed, best peer = 1": Comparison.ratio}
    if any(c.limits for c in comparisons):
        measures["part of the limit"] = Comparison.ranked_share
    size = 2 + 1.4 * len(comparisons), 3.5 * len(measures)
    figure = Figure(figsize=size, layout="constrained")
    charts = figure.subplots(len(measures), sharex=True, squeeze=False)[:, 0]
    width = 0.8 / len(systems)
    for axes, (label, measure) in zip(charts, measures.items(), strict=True):
        for i, system in enumerate(systems):
            bars = [
                (place + (i + 0.5) * width - 0.4, measure(c, r) or 0.0)
                for place, c in enumerate(comparisons)
                for r in c.results
                if r.system == system
            ]
            axes.bar([x for x, _ in bars], [y for _, y in bars], width, color=f"C{i}", label=system)
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_ylabel(label)
    charts[-1].set_xticks(range(len(comparisons)), [c.workload.name for c in comparisons])
    figure.legend(*charts[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    figure.savefig(path)
