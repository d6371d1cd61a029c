"""The kernel of a loop around a program of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.spec import Loop, Strided
from graphc.schedule.cost import Machine, Sources, Work
from graphc.schedule.kernel import Kernel, Planner, Workspace
from graphc.schedule.storage import Place
from graphc.schedule.tiles import round_up
from graphc.schedule.traffic import predicted

if TYPE_CHECKING:
    from graphc.schedule.program import Program


#: Steps at least of a loop that threads share, and bytes at most that each needs for its own.
APART_STEPS = 8
APART_BYTES = 1 << 20
#: Simple operations that are worth another thread.
_WORTH = 1 << 14


class Repeat(Kernel):
    """A loop. A carry lies in the memory of its result from the first step to the last: the body's
    program takes it as donated, and updates it in place or by a copy at the end of a step. Slices
    are read and written where they lie. The workspace is the arena of the body and, one after the
    other, of the condition, whose verdict lies behind it; then panels, from the first step to the
    last. Steps that need nothing of one another are taken `apart`, if little memory is enough for
    one: threads share them, and each has a workspace of its own.
    """

    writes_all = True
    apart = False

    @property
    def node(self) -> Node:
        return self.nodes[0]

    @property
    def loop(self) -> Loop:
        spec = self.spec(self.node)
        assert isinstance(spec, Loop)
        return spec

    @property
    def program(self) -> Program:
        return self.programs[0]

    @property
    def condition(self) -> Program | None:
        return self.programs[1] if self.loop.condition is not None else None

    @property
    def verdict_offset(self) -> int:
        """Where in the workspace the condition says whether another step is taken."""
        return max(p.plan.peak for p in self.programs)

    def operand(self, position: int) -> Place:
        """Where an operand lies: the number of steps is operand -1, others are numbered as the
        inputs of the body.
        """
        return self.storage.places[self.node.inputs[position + self.loop.counted]]

    def plan(self, planned: Planner) -> None:
        loop = self.loop
        carries = range(loop.consts, loop.consts + loop.carries)
        body = Graph(
            loop.body.inputs,
            loop.body.outputs,
            donated={k: k - loop.consts for k in carries},
        )
        places = {}
        for k, value in enumerate(body.inputs):
            strided = self.operand(k).strided
            if k < loop.consts:
                places[value] = strided
            elif k not in carries:
                places[value] = Strided(strided.shape[1:], strided.strides[1:])
        steady = body.inputs[: loop.consts] if loop.length > 1 else ()
        if self._is_free:
            self.programs = [planned(body, places, steady, most=1)]
            self.apart = self._place_panels() <= APART_BYTES
        if not self.apart:
            self.programs = [planned(body, places, steady)]
        if loop.condition is not None:
            known = {v: places[v] for v in loop.condition.inputs if v in places}
            self.programs.append(planned(loop.condition, known))
        size = round_up(self._place_panels(), 64)
        self._workspace = Workspace(per_thread=size) if self.apart else Workspace(shared=size)

    @property
    def _is_free(self) -> bool:
        """Whether steps need nothing of one another."""
        loop = self.loop
        bound = loop.carries or loop.counted or loop.condition is not None
        return not bound and loop.length >= APART_STEPS

    def _place_panels(self) -> int:
        """Puts the panels behind everything else; the size of it all."""
        end = self.verdict_offset + (round_up(1, 64) if self.condition is not None else 0)
        for buffer in self.program.panels.values():
            buffer.offset = end
            end += buffer.nbytes
        return end

    def workers(self, threads: int) -> int:
        if self.apart:
            work = self.loop.length * sum(k.effort for k in self.program.kernels)
            return min(threads, max(1, work // _WORTH))
        return min(threads, max(p.threads for p in self.programs))

    def nanoseconds(self, machine: Machine, sources: Sources) -> float:
        """Every step is taken; what it reads and writes of slices is fetched."""
        threads = 1 if self.apart else machine.threads
        one = sum(sum(predicted(p, replace(machine, threads=threads))) for p in self.programs)
        if not self.apart:
            return self.loop.length * one
        workers = self.workers(machine.threads)
        steps = -(-self.loop.length // workers)
        return machine.time(Work(0.0), workers, sources) + steps * one

    @property
    def workspace(self) -> Workspace:
        return self._workspace

    def may_overwrite(self, root: Value, write: Value) -> bool:
        """The first value of a carry may lie where the last one will, if nothing else reads it."""
        loop = self.loop
        if write.node is not self.node or write.index >= loop.carries:
            return False
        readers = [v for v in self.node.inputs if self.storage.places[v].root is root]
        first = self.node.inputs[loop.counted + loop.consts + write.index]
        lies = self.storage.places[first].strided
        whole = root.type.size == first.type.size and lies.is_contiguous
        return readers == [first] and whole and root.dtype is write.dtype
