"""Where the bytes that kernels read and write come from: a cache, or memory.

A step runs again and again. What a kernel touches has been touched before, by another kernel or in
the step before; the bytes that went through the caches since then say from where it comes now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphc.schedule.cost import Machine, Sources

if TYPE_CHECKING:
    from graphc.schedule.program import Buffer, Program

#: Bytes that are followed as one.
_PAGE = 4096


def predicted(program: Program, machine: Machine) -> list[float]:
    """Nanoseconds of every kernel of a program."""
    return [
        kernel.nanoseconds(machine, sources)
        for kernel, sources in zip(program.kernels, sources_of(program, machine), strict=True)
    ]


def bounds(program: Program, machine: Machine, gflops: float) -> list[float]:
    """Nanoseconds below which no kernel of a program comes, if all threads reach so many operations
    a nanosecond: those of its operations, of its bytes from caches, or of those from memory.
    """
    return [
        max(
            kernel.flops / gflops,
            machine.fetching(sources, machine.threads) / machine.clock,
            sources[2] / machine.memory,
        )
        for kernel, sources in zip(program.kernels, sources_of(program, machine), strict=True)
    ]


def sources_of(program: Program, machine: Machine) -> list[Sources]:
    """Whence what each kernel touches comes in a step that follows others."""
    start, size = _addresses(program)
    touched = np.full(-(-size // _PAGE) + 1, -np.inf)
    clock = 0.0
    found: list[Sources] = []
    second = machine.second_cache * machine.threads
    for turn in range(2):
        for kernel in program.kernels:
            near = mid = far = 0.0
            for root in dict.fromkeys((*kernel.reads, *kernel.writes)):
                moved = kernel.touched(root)
                if not moved:
                    continue
                buffer = program.buffers[root]
                at = start[buffer]
                pages = touched[at // _PAGE : (at + buffer.nbytes - 1) // _PAGE + 1]
                since = clock - pages
                in_second = np.count_nonzero(since <= second)
                in_last = np.count_nonzero(since <= machine.last_cache) - in_second
                near += moved * in_second / len(pages)
                mid += moved * in_last / len(pages)
                far += moved * (len(pages) - in_second - in_last) / len(pages)
                clock += moved
                pages[:] = clock
            if turn:
                found.append((near, mid, far))
    return found


def _addresses(program: Program) -> tuple[dict[Buffer, int], int]:
    """Where every buffer begins, the arena first, and the sum of it all."""
    start: dict[Buffer, int] = {}
    end = program.plan.peak
    for buffer in program.buffers.values():
        if buffer in start:
            continue
        if buffer.memory.value == "arena":
            start[buffer] = buffer.offset
        else:
            start[buffer] = end
            end += -(-buffer.nbytes // _PAGE) * _PAGE
    return start, end
