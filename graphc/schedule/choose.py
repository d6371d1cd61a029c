"""The kernel of a choice between two programs."""

from __future__ import annotations

from graphc.ir.graph import Node
from graphc.ir.spec import Branch
from graphc.schedule.cost import Machine, Sources
from graphc.schedule.kernel import Kernel, Planner, Workspace
from graphc.schedule.storage import Place
from graphc.schedule.traffic import predicted


class Choose(Kernel):
    """An `if`. The branches read the operands where they lie, write the results, and have one
    workspace for their arenas.
    """

    writes_all = True

    @property
    def node(self) -> Node:
        return self.nodes[0]

    @property
    def branch(self) -> Branch:
        spec = self.spec(self.node)
        assert isinstance(spec, Branch)
        return spec

    def operand(self, position: int) -> Place:
        """Where an operand lies: the choice is operand -1, others are numbered as the inputs of the
        branches.
        """
        return self.storage.places[self.node.inputs[position + 1]]

    def plan(self, planned: Planner) -> None:
        for body in (self.branch.yes, self.branch.no):
            places = {v: self.operand(k).strided for k, v in enumerate(body.inputs)}
            self.programs.append(planned(body, places))

    def workers(self, threads: int) -> int:
        return min(threads, max(p.threads for p in self.programs))

    def nanoseconds(self, machine: Machine, sources: Sources) -> float:
        """The longer of the branches."""
        return max(sum(predicted(p, machine)) for p in self.programs)

    @property
    def workspace(self) -> Workspace:
        return Workspace(shared=max(p.plan.peak for p in self.programs))
