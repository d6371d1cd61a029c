"""The memory of a step as a picture: live bytes by class, and the arena as a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from graphc.errors import ArgumentError

if TYPE_CHECKING:
    from graphc.memory.report import MemoryReport

#: Classes of live bytes from the bottom up, and their colours.
_COLOURS = {
    "saved": "#4477aa",
    "recomputed": "#66ccee",
    "forward": "#228833",
    "backward": "#ee6677",
    "update": "#ccbb44",
    "workspace": "#bbbbbb",
}


def plot(report: MemoryReport, path: str | Path) -> None:
    """Writes a picture (PNG, SVG, PDF, by the suffix): above the live bytes while each kernel runs,
    below the arena, time across and address up. Raises ArgumentError where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ImportError:
        raise ArgumentError("plot: matplotlib is required: pip install 'graphc[plot]'") from None

    figure = Figure(figsize=(9, 8), layout="constrained")
    live, arena = figure.subplots(2, sharex=True)
    steps = range(len(report.timeline))
    heights = [[step.get(kind, 0) / 1e6 for step in report.timeline] for kind in _COLOURS]
    live.stackplot(
        steps, heights, labels=list(_COLOURS), colors=list(_COLOURS.values()), step="post"
    )
    live.axhline(report.peak_bytes / 1e6, color="black", linewidth=0.8, label="arena")
    live.axhline(
        report.order_lower_bound_bytes / 1e6, color="black", linewidth=0.8, linestyle=":",
        label="any order",
    )  # fmt: skip
    live.set_ylabel("live, MB")
    live.legend(loc="upper right", fontsize="small")
    for a in report.allocations:
        corner = (a.first, a.offset / 1e6)
        arena.add_patch(
            Rectangle(
                corner, a.last - a.first, a.bytes / 1e6,
                facecolor=_COLOURS[a.kind], edgecolor="white", linewidth=0.3,
            )
        )  # fmt: skip
    arena.set(xlim=(0, len(steps)), ylim=(0, report.peak_bytes / 1e6 or 1))
    arena.set(xlabel="kernel", ylabel="address, MB")
    figure.savefig(Path(path))
