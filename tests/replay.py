"""A plan replayed: whether every kernel finds what it reads where it was written. Of the plan this
takes nothing but the place of each value; lifetimes follow from the replay.
"""

from __future__ import annotations

from graphc.errors import GraphcError
from graphc.ir.graph import Value
from graphc.schedule.kernel import Kernel
from graphc.schedule.program import Buffer, Memory, Program


def replay(program: Program) -> int:
    """Raises GraphcError where a value is overwritten before its last reader, or shares bytes with
    what its kernel reads, writes or works in besides; gives the end of the last byte in use,
    rounded to 64. Programs within kernels are replayed too.
    """
    highest = _Replay(program).run()
    for kernel in program.kernels:
        for inner in kernel.programs:
            replay(inner)
    return highest


class _Replay:
    def __init__(self, program: Program):
        self.program = program
        #: What lies in the arena now, as [start, end).
        self.arena: dict[Value, tuple[int, int]] = {}
        #: What the memory outside the arena holds.
        self.outside: dict[Buffer, Value] = {}
        for value, buffer in program.buffers.items():
            if buffer.memory in (Memory.INPUT, Memory.TABLE) and buffer.values[0] is value:
                self.outside[buffer] = value

    def run(self) -> int:
        highest = 0
        for number, kernel in enumerate(self.program.kernels):
            used = self._workspace(kernel)
            for value in filter(_has_bytes, kernel.reads):
                self._require(value, f"kernel {number} reads")
                self._apart(kernel, value, used, number)
            for value in filter(_has_bytes, kernel.writes):
                buffer = self.program.buffers[value]
                if buffer.memory is not Memory.ARENA:
                    self.outside[buffer] = value
                    continue
                place = self._place(value)
                if any(_meet(place, other) for other in used):
                    raise GraphcError(f"kernel {number} writes {value.type} over its own results")
                used.append(place)
                self.arena = {v: p for v, p in self.arena.items() if not _meet(p, place)}
                self.arena[value] = place
            highest = max([highest, *(end for _, end in used)])
        self._finish()
        return -(-highest // 64) * 64

    def _finish(self) -> None:
        copied = {copy.source: copy.target for copy in self.program.copies}
        for result in filter(_has_bytes, self.program.graph.outputs):
            # A loop's body may give a view.
            place = self.program.kernels[-1].place(result) if self.program.kernels else None
            value = result if place is None else place.root
            self._require(value, "a result is")
            buffer = self.program.buffers[value]
            if buffer.memory is Memory.ARENA and buffer not in copied:
                raise GraphcError(f"the result {value.type} stays in the arena")

    def _workspace(self, kernel: Kernel) -> list[tuple[int, int]]:
        buffer = self.program.workspaces.get(kernel)
        if buffer is None:
            return []
        place = buffer.offset, buffer.offset + buffer.nbytes
        self.arena = {v: p for v, p in self.arena.items() if not _meet(p, place)}
        return [place]

    def _place(self, value: Value) -> tuple[int, int]:
        buffer = self.program.buffers[value]
        return buffer.offset, buffer.offset + self.program.kernels[0].storage.nbytes(value)

    def _require(self, value: Value, what: str) -> None:
        buffer = self.program.buffers[value]
        inside = buffer.memory is Memory.ARENA
        there = value in self.arena if inside else self.outside.get(buffer) is value
        if not there:
            raise GraphcError(f"{what} {value.type}, of which bytes were overwritten")

    def _apart(
        self, kernel: Kernel, value: Value, used: list[tuple[int, int]], number: int
    ) -> None:
        """A kernel writes over what it reads only at the very place, and where it says so."""
        buffer = self.program.buffers[value]
        for write in filter(_has_bytes, kernel.writes):
            other = self.program.buffers[write]
            if buffer.memory is Memory.ARENA and other.memory is Memory.ARENA:
                shared = _meet(self._place(value), self._place(write))
                same = shared and buffer.offset == other.offset
            else:
                same = shared = other is buffer
            if shared and not (same and kernel.may_overwrite(value, write)):
                raise GraphcError(f"kernel {number} writes {write.type} over {value.type}")
        if buffer.memory is Memory.ARENA and any(_meet(self._place(value), u) for u in used):
            raise GraphcError(f"kernel {number} works in the memory of {value.type}")


def _has_bytes(value: Value) -> bool:
    return value.type.nbytes > 0


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]
