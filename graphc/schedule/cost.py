"""What kernels cost: work in cycles of a core, and what a machine makes of it.

Every class of kernel has a rule, `work`, that counts cycles from shapes, declarations and the
instruction set alone, as if its arrays lay in the first-level cache. `Machine` turns this and the
bytes that come from farther away (`schedule/traffic.py`) into nanoseconds. Its constants are those
of a wide out-of-order core; clock and memory are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from graphc.dtypes import DType
from graphc.schedule.tiles import vector_bytes

#: Simple operations on vectors, and vectors loaded, in a cycle; stored: one.
OPERATIONS = 3.0
LOADS = 2.0
#: Cycles of an element that is read alone, not with its neighbours.
ALONE = 1.0
#: Cycles of a simple operation on a number.
SCALAR = 0.15
#: Cycles of a loop's beginning and end.
LOOP = 2.5
#: Cycles in which a loop finds the position along one axis from the number of the iteration.
COUNTER = 3.0
#: Cycles of a byte that is packed for products, in its order or transposed.
PACK = 0.04
PACK_TURNED = 0.08
#: Cycles of a call that folds a row: the lanes at its end wait for one another.
FOLD = 6.0


class Sources(NamedTuple):
    """Bytes from the second cache, from the last one, and from memory; how many arrays, the code
    among them, begin in the last one, and in memory.
    """

    second: float
    last: float
    memory: float
    begin_last: int = 0
    begin_memory: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """`cycles` of one core for everything; `units`: equal parts that threads share; `meetings`:
    how often they wait for one another inside; `foreseen`: the part of what comes from memory that
    is asked for while the kernel computes.
    """

    cycles: float
    units: int = 1
    meetings: int = 0
    foreseen: float = 0.0

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
    SECOND = 38.0
    LAST = 19.0
    #: Cycles of a kernel's call, of a meeting of threads that have shared work, and of one at which
    #: the others wait already for the thread that had all of it.
    CALL = 60.0
    MEETING = 1050.0
    AWAITED = 100.0
    #: Cycles until the first elements of an array are there from the last cache, and from memory.
    BEGIN_LAST = 10.0
    BEGIN_MEMORY = 450.0
    #: The part of its cycles in which a core goes forward as the rules count.
    REACHED = 0.95
    #: The part of the memory's flow that one core gets, and that kernels get from all.
    OF_ONE = 0.45
    OF_ALL = 0.85

    def fetching(self, sources: Sources, workers: int) -> float:
        """Cycles in which so many cores get what comes from their caches."""
        return (sources.second / self.SECOND + sources.last / self.LAST) / workers

    def time(self, work: Work, workers: int, sources: Sources) -> float:
        """Nanoseconds of a kernel; what it fetches from caches hides behind what it computes."""
        waiting = self.CALL
        waiting += sources.begin_last * self.BEGIN_LAST
        waiting += sources.begin_memory * self.BEGIN_MEMORY
        if self.threads > 1:
            waiting += self.MEETING * (1 + work.meetings) if workers > 1 else self.AWAITED
        share = self.OF_ONE if workers < self.threads else self.OF_ALL
        computing = work.busiest(workers) / self.REACHED
        cycles = max(computing, self.fetching(sources, workers))
        memory = sources.memory / (share * self.memory)
        beside = max(cycles / self.clock, work.foreseen * memory)
        return waiting / self.clock + beside + (1 - work.foreseen) * memory


def typical(threads: int) -> Machine:
    """A machine for comparisons between plans, where none is measured."""
    return Machine(threads, clock=3.0, memory=20.0 * threads)
