"""The kernel of a node with a loop nest of its own."""

from __future__ import annotations

from graphc.ir.spec import Native, Nest
from graphc.schedule.cost import SCALAR, Work
from graphc.schedule.kernel import Kernel, Workspace, grain


class Single(Kernel):
    """A node with a loop nest of its own (scatter, sort and the like) or a routine."""

    writes_all = True

    def workers(self, threads: int) -> int:
        spec = self.spec(self.nodes[0])
        if isinstance(spec, Native):
            return 1
        if not isinstance(spec, Nest):
            return threads
        return min(threads, max(1, -(-spec.parallel // grain(spec.cost))))

    @property
    def work(self) -> Work:
        """Its units, one operation after the other; of a routine, which says nothing, an operation
        for every element.
        """
        spec = self.spec(self.nodes[0])
        if isinstance(spec, Nest):
            return Work(spec.parallel * spec.cost * SCALAR, spec.parallel)
        return Work(SCALAR * sum(v.type.size for v in (*self.reads, *self.writes)))

    @property
    def workspace(self) -> Workspace:
        spec = self.spec(self.nodes[0])
        return Workspace(per_thread=spec.scratch_offsets[-1] if isinstance(spec, Nest) else 0)
