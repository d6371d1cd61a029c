"""Where threads have to wait for one another: a barrier stands between two kernels only where one
touches what another thread may have written, or writes what another may still read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.schedule.program import Buffer, Memory, Program


@dataclass(frozen=True, slots=True)
class Access:
    """What one step of a program touches; `meets`: all threads meet inside of it."""

    reads: Sequence[Buffer]
    writes: Sequence[Buffer]
    meets: bool = False


def accesses(program: Program) -> list[Access]:
    """Those of the kernels of a program, in order, then those of its copies."""
    found = []
    for kernel in program.kernels:
        writes = [program.buffers[v] for v in kernel.writes]
        work = program.workspaces.get(kernel)
        if work is not None:
            writes.append(work)
        reads = [program.buffers[v] for v in kernel.reads]
        found.append(Access(reads, writes, kernel.synchronizes))
    return [*found, *[Access([c.source], [c.target]) for c in program.copies]]


def barriers(steps: Sequence[Access], again: bool = False) -> list[bool]:
    """Before which steps all threads wait. With `again` the last is followed by the first."""
    hazards = _Hazards()
    waits = [False] * len(steps)
    changed = True
    # The second round begins with what the first one left.
    rounds = 0
    while rounds == 0 or (again and (changed or rounds == 1)):
        changed = False
        for k, step in enumerate(steps):
            if not waits[k] and hazards.conflict(step.reads, step.writes):
                waits[k] = changed = True
            if waits[k]:
                hazards.clear()
            if step.meets:
                hazards.clear()
            hazards.add(step.reads, step.writes)
        rounds += 1
    return waits


class _Hazards:
    """What was read and written since the last barrier. A kernel that touches it as another
    thread may have left it has to wait.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.read: list[tuple[object, int, int]] = []
        self.written: list[tuple[object, int, int]] = []

    def add(self, reads: Sequence[Buffer], writes: Sequence[Buffer]) -> None:
        self.read.extend(map(_extent, reads))
        self.written.extend(map(_extent, writes))

    def conflict(self, reads: Sequence[Buffer], writes: Sequence[Buffer]) -> bool:
        return any(_overlap(_extent(b), other) for b in reads for other in self.written) or any(
            _overlap(_extent(b), other) for b in writes for other in (*self.written, *self.read)
        )


def _extent(buffer: Buffer) -> tuple[object, int, int]:
    if buffer.memory in (Memory.ARENA, Memory.WORKSPACE):
        return ("arena", buffer.offset, buffer.offset + buffer.nbytes)
    return ((buffer.memory, buffer.index), 0, buffer.nbytes)


def _overlap(a: tuple[object, int, int], b: tuple[object, int, int]) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]
