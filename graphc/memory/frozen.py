"""What frozen parameters save: a receipt for `stop_gradient`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.ir.site import Site
from graphc.memory import ledger
from graphc.schedule.program import Program


@dataclass(frozen=True)
class Frozen:
    """How much less the step needs than if gradients passed where `lines` of the user's stop them:
    bytes of the arena, bytes kept for the backward pass, and floating-point operations. The plan
    that it is compared with has no budget.
    """

    lines: tuple[str, ...]
    peak_bytes: int
    kept_bytes: int
    flops: int

    @classmethod
    def between(cls, lines: Sequence[Site | None], step: Program, passing: Program) -> Frozen:
        """The difference between a step and the one whose gradients pass."""
        return cls(
            tuple(str(line) for line in lines if line is not None),
            passing.plan.peak - step.plan.peak,
            _kept_bytes(passing) - _kept_bytes(step),
            _flops(passing) - _flops(step),
        )

    def __str__(self) -> str:
        where = ", ".join(self.lines)
        return (
            f"stop_gradient ({where}) saves {self.peak_bytes / 1e6:.3f} MB of the arena,"
            f" {self.kept_bytes / 1e6:.3f} MB kept for the backward pass and"
            f" {self.flops / 1e6:.3f} million floating-point operations"
        )


def _kept_bytes(program: Program) -> int:
    return sum(program.buffers[value].nbytes for value, _ in ledger.kept(program))


def _flops(program: Program) -> int:
    return sum(kernel.flops for kernel in program.kernels)
