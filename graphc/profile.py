"""Where the time of a step goes: kernel by kernel."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.stages import KernelInfo


@dataclass(frozen=True)
class KernelTime:
    """One kernel's time in nanoseconds, over the runs: the least and the median."""

    kernel: KernelInfo
    least: int
    median: int

    @property
    def gflops(self) -> float:
        """10⁹ floating-point operations per second, at the least time."""
        return self.kernel.flops / self.least if self.least else 0.0

    @property
    def gbytes(self) -> float:
        """10⁹ bytes per second that it has to move at least, at the least time."""
        return self.kernel.bytes / self.least if self.least else 0.0


@dataclass(frozen=True)
class Profile:
    """The kernels of a step in the order in which they ran."""

    rows: tuple[KernelTime, ...]
    runs: int

    @property
    def total(self) -> int:
        """Nanoseconds of all kernels, each at its least."""
        return sum(row.least for row in self.rows)

    def by_kernel(self) -> list[tuple[str, int, int, int, int]]:
        """(function, calls, nanoseconds, flops, bytes) of equal kernels, the longest first."""
        found: dict[str, list[int]] = {}
        for row in self.rows:
            sums = found.setdefault(row.kernel.name, [0, 0, 0, 0])
            parts = (1, row.least, row.kernel.flops, row.kernel.bytes)
            found[row.kernel.name] = [a + b for a, b in zip(sums, parts, strict=True)]
        ordered = sorted(found.items(), key=lambda item: -item[1][1])
        return [(name, sums[0], sums[1], sums[2], sums[3]) for name, sums in ordered]

    def __str__(self) -> str:
        lines = [f"{'kernel':32} {'calls':>5} {'us':>9} {'share':>6} {'GFLOP/s':>8} {'GB/s':>7}"]
        total = max(1, self.total)
        for name, calls, time, flops, moved in self.by_kernel():
            lines.append(
                f"{name:32} {calls:5} {time / 1e3:9.1f} {time / total:6.1%}"
                f" {flops / max(1, time):8.1f} {moved / max(1, time):7.1f}"
            )
        lines.append(f"{'all':32} {len(self.rows):5} {self.total / 1e3:9.1f}")
        return "\n".join(lines)


def summarize(kernels: Sequence[KernelInfo], times: Sequence[Sequence[int]]) -> Profile:
    """A profile from the kernels' times in each run."""
    rows = [
        KernelTime(kernel, min(of_kernel), int(statistics.median(of_kernel)))
        for kernel, of_kernel in zip(kernels, zip(*times, strict=True), strict=True)
    ]
    return Profile(tuple(rows), len(times))
