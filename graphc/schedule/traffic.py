"""Where the bytes that kernels read and write come from: a cache, or memory.

A step runs again and again. What a kernel touches has been touched before, by another kernel or in
the step before; the bytes that went through the caches since then say from where it comes now.
"""

from __future__ import annotations

from collections.abc import Hashable
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
            sources.memory / machine.memory,
        )
        for kernel, sources in zip(program.kernels, sources_of(program, machine), strict=True)
    ]


def sources_of(program: Program, machine: Machine) -> list[Sources]:
    """Whence what each kernel touches comes in a step that follows others. A kernel goes over its
    arrays side by side, each from its beginning to its end.
    """
    start, size = _addresses(program)
    touched = np.full(-(-size // _PAGE) + 1, -np.inf)
    called: dict[Hashable, float] = {}
    clock = 0.0
    found: list[Sources] = []
    second = machine.second_cache * machine.threads
    for turn in range(2):
        for kernel in program.kernels:
            moved = {root: kernel.touched(root) for root in (*kernel.reads, *kernel.writes)}
            total = sum(moved.values())
            sources, begins = [0.0, 0.0, 0.0], [0, 0, 0]
            for root, nbytes in moved.items():
                if not nbytes:
                    continue
                buffer = program.buffers[root]
                at = start[buffer]
                pages = touched[at // _PAGE : (at + buffer.nbytes - 1) // _PAGE + 1]
                now = clock + np.linspace(0, total, len(pages) + 2)[1:-1]
                since = now - pages
                in_second = np.count_nonzero(since <= second)
                in_last = np.count_nonzero(since <= machine.last_cache) - in_second
                for k, count in enumerate((in_second, in_last, len(pages) - in_second - in_last)):
                    sources[k] += nbytes * count / len(pages)
                begins[_level(machine, float(since[0]))] += 1
                pages[:] = now
            clock += total
            # Kernels of equal layers are one function.
            code = type(kernel), *(n.op.name for n in kernel.nodes), *(v.type for v in moved)
            begins[_level(machine, clock - called.get(code, -np.inf))] += 1
            called[code] = clock
            if turn:
                found.append(Sources(sources[0], sources[1], sources[2], *begins[1:]))
    return found


def _level(machine: Machine, since: float) -> int:
    """What holds the bytes that were touched so many bytes ago: the second cache of some core (0),
    the last cache (1), memory (2).
    """
    if since <= machine.second_cache * machine.threads:
        return 0
    return 1 if since <= machine.last_cache else 2


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
