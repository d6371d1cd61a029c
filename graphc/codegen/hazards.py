"""Where threads have to wait for one another: a barrier stands between two kernels only where one
touches what another thread may have written, or writes what another may still read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.schedule.program import Buffer, Memory, Program
from graphc.schedule.share import RowShare, strays


@dataclass(frozen=True, slots=True)
class Access:
    """What one step of a program touches; `meets`: all threads meet inside of it. Of what is not
    `astray` a thread touches the part that belongs to the rows of its `share`.
    """

    reads: Sequence[Buffer]
    writes: Sequence[Buffer]
    meets: bool = False
    share: RowShare | None = None
    astray: frozenset[Buffer] = frozenset()

    def touched(self, buffer: Buffer) -> _Touched:
        return _Touched(*_extent(buffer), None if buffer in self.astray else self.share)


def accesses(program: Program) -> list[Access]:
    """Those of the kernels of a program, in order, then those of its copies."""
    found = []
    for kernel in program.kernels:
        writes = [program.buffers[v] for v in kernel.writes]
        work = program.workspaces.get(kernel)
        if work is not None:
            writes.append(work)
        reads = [program.buffers[v] for v in kernel.reads]
        astray = {program.buffers[v] for v in strays(kernel)}
        astray |= {work} if work is not None else set()
        meets, share = kernel.synchronizes, kernel.share
        found.append(Access(reads, writes, meets, share, frozenset(astray)))
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
            if not waits[k] and hazards.conflict(step):
                waits[k] = changed = True
            if waits[k]:
                hazards.clear()
            if step.meets:
                hazards.clear()
            hazards.add(step)
        rounds += 1
    return waits


class _Hazards:
    """What was read and written since the last barrier. A kernel that touches it as another
    thread may have left it has to wait.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.read: list[_Touched] = []
        self.written: list[_Touched] = []

    def add(self, step: Access) -> None:
        self.read.extend(map(step.touched, step.reads))
        self.written.extend(map(step.touched, step.writes))

    def conflict(self, step: Access) -> bool:
        reads, writes = map(step.touched, step.reads), map(step.touched, step.writes)
        return any(t.crosses(other) for t in reads for other in self.written) or any(
            t.crosses(other) for t in writes for other in (*self.written, *self.read)
        )


@dataclass(frozen=True, slots=True)
class _Touched:
    """A stretch of memory; with a `share` each thread touches the part that belongs to its rows."""

    memory: object
    begin: int
    end: int
    share: RowShare | None

    def crosses(self, other: _Touched) -> bool:
        """Whether two threads may touch the same byte."""
        if self.memory != other.memory or self.begin >= other.end or other.begin >= self.end:
            return False
        return self.share is None or self != other


def _extent(buffer: Buffer) -> tuple[object, int, int]:
    if buffer.memory in (Memory.ARENA, Memory.WORKSPACE):
        return ("arena", buffer.offset, buffer.offset + buffer.nbytes)
    return ((buffer.memory, buffer.index), 0, buffer.nbytes)
