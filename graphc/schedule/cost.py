"""What kernels cost: work in cycles of a core, and what a machine makes of it.

Every class of kernel has a rule, `work`, that counts cycles from shapes, declarations and the
instruction set alone, as if its arrays lay in the first-level cache. `Machine` turns this and the
bytes that come from farther away (`schedule/traffic.py`) into nanoseconds. Its constants are those
of a wide out-of-order core; clock and memory are measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.dtypes import DType
from graphc.schedule.tiles import vector_bytes

#: Simple operations on vectors, and vectors loaded, in a cycle; stored: one.
OPERATIONS = 3.0
LOADS = 2.0
#: Cycles of an element that is read alone, not with its neighbours.
ALONE = 1.0
#: Cycles of a simple operation on a number.
SCALAR = 0.3
#: Cycles of a loop's beginning and end.
LOOP = 8.0
#: Cycles of a byte that is packed for products, in its order or transposed.
PACK = 0.04
PACK_TURNED = 0.08
#: Cycles of a call that folds a row: the lanes at its end wait for one another.
FOLD = 20.0

Sources = tuple[float, float, float]
"""Bytes from the second cache, from the last one, and from memory."""


@dataclass(frozen=True, slots=True)
class Work:
    """`cycles` of one core for everything; `units`: equal parts that threads share; `meetings`:
    how often they wait for one another inside.
    """

    cycles: float
    units: int = 1
    meetings: int = 0

    def busiest(self, workers: int) -> float:
        """Cycles of the thread with the most units."""
        units = max(1, self.units)
        return self.cycles * -(-units // max(1, min(workers, units))) / units


def vectors(length: int, isa: str, dtype: DType) -> float:
    """Vector instructions of a loop over `length` elements: what remains behind the last whole
    vector goes by halves, then alone.
    """
    lanes = max(1, vector_bytes(isa) // dtype.itemsize)
    rest = length % lanes
    return length // lanes + (rest > 0) + rest % 4


def loop(
    isa: str, dtype: DType, length: int, operations: float, loads: int, stores: int, alone: int = 0
) -> float:
    """Cycles of a loop over elements: simple operations, neighbours loaded and stored, elements
    read `alone`.
    """
    once = max(operations / OPERATIONS, loads / LOADS, float(stores))
    return LOOP + vectors(length, isa, dtype) * once + length * alone * ALONE


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as the model sees it: `clock` is in cycles, `memory` in bytes, a nanosecond. What
    does not come from memory comes from the second cache of a core or from the last, which cores
    share, of so many bytes.
    """

    threads: int
    clock: float
    memory: float
    second_cache: int = 1 << 20
    last_cache: int = 32 << 20

    #: Bytes that a core gets in a cycle from its second cache, and from the last one.
    SECOND = 32.0
    LAST = 8.0
    #: Cycles of a kernel's call, and of a meeting of threads.
    CALL = 30.0
    MEETING = 1850.0
    #: The part of its cycles in which a core goes forward as the rules count.
    REACHED = 0.95
    #: The part of the memory's flow that one core gets, and that kernels get from all.
    OF_ONE = 0.65
    OF_ALL = 0.85

    def fetching(self, sources: Sources, workers: int) -> float:
        """Cycles in which so many cores get what comes from their caches."""
        second, last, _ = sources
        return (second / self.SECOND + last / self.LAST) / workers

    def time(self, work: Work, workers: int, sources: Sources) -> float:
        """Nanoseconds of a kernel; what it fetches from caches hides behind what it computes."""
        waiting = self.CALL + (self.MEETING * (1 + work.meetings) if self.threads > 1 else 0.0)
        share = self.OF_ONE if workers < self.threads else self.OF_ALL
        computing = work.busiest(workers) / self.REACHED
        cycles = waiting + max(computing, self.fetching(sources, workers))
        return cycles / self.clock + sources[2] / (share * self.memory)


def typical(threads: int) -> Machine:
    """A machine for comparisons between plans, where none is measured."""
    return Machine(threads, clock=3.0, memory=20.0 * threads)
