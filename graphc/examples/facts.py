"""What is known of a compiled step, for the summary of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from graphc.build.machine import Limits
from graphc.stages import Lowered


@dataclass(frozen=True)
class Facts:
    """A step in numbers: sizes in bytes, `flops` of one step (a multiply-add is two)."""

    nodes: int
    kernels: int
    functions: int
    arena_bytes: int
    naive_bytes: int
    flops: int
    step_seconds: float
    limit_gflops: float
    threads: int

    @property
    def gflops(self) -> float:
        return self.flops / self.step_seconds / 1e9 if self.step_seconds else 0.0

    def lines(self) -> list[str]:
        share = self.gflops / self.limit_gflops
        return [
            f"{self.nodes} nodes became {self.kernels} kernels ({self.functions} functions of C)",
            f"the arena holds {_mb(self.arena_bytes)}; without reuse it would hold"
            f" {_mb(self.naive_bytes)}",
            f"a step takes {self.step_seconds * 1e3:.3g} ms: {self.gflops:.3g} GFLOP/s,"
            f" {share:.0%} of the measured limit of {self.limit_gflops:.3g}"
            f" ({self.threads} {'thread' if self.threads == 1 else 'threads'})",
        ]


def facts(lowered: Lowered[Any, Any], step_seconds: Sequence[float], limit: Limits) -> Facts:
    """`step_seconds` are the times of single steps, of which the median counts."""
    return Facts(
        nodes=len(lowered.traced.graph),
        kernels=len(lowered.kernels),
        functions=len(lowered.unit.functions),
        arena_bytes=lowered.memory.peak_bytes,
        naive_bytes=lowered.memory.naive_bytes,
        flops=sum(kernel.flops for kernel in lowered.kernels),
        step_seconds=median(step_seconds) if step_seconds else 0.0,
        limit_gflops=limit.gflops,
        threads=lowered.threads,
    )


def _mb(count: int) -> str:
    return f"{count / 1e6:.3g} MB"
