"""The kernel of elementwise work and of reductions of rows."""

from __future__ import annotations

import math
from functools import cached_property

from graphc.ir.graph import Node, Value
from graphc.ir.spec import Reduce
from graphc.schedule.cost import COUNTER, FOLD, Work, vectors
from graphc.schedule.encoding import Bits
from graphc.schedule.kernel import PointKernel, Workspace, cost_of, grain
from graphc.schedule.matching import is_split_row
from graphc.schedule.rows import RowPlan
from graphc.schedule.runs import is_positional, merged_axes
from graphc.schedule.share import row_axes


class Loops(PointKernel):
    """Elementwise work and reductions of rows: a loop over rows, passes over the row inside it."""

    @property
    def is_split(self) -> bool:
        """Several threads share a row."""
        return is_split_row(self.group)

    @property
    def synchronizes(self) -> bool:
        return self.is_split

    @cached_property
    def rows(self) -> RowPlan:
        return RowPlan(self)

    @property
    def row_grain(self) -> int:
        """Rows that one thread takes at least."""
        return grain(max(1, self.group.cost) * max(1, self.group.row or 1))

    @property
    def effort(self) -> int:
        return self.group.size * max(1, self.group.cost)

    @property
    def row_count(self) -> int:
        return self.group.shape[0] if self.group.row is None and self.group.shape else 0

    def takes_rows(self, rows: int) -> bool:
        return not self.is_split and row_axes(self, rows) is not None

    def workers(self, threads: int) -> int:
        if self.is_split:
            return threads
        if self.share is not None:
            return self.share.workers(threads)
        units = self.group.size if self.group.row is None else self.group.rows
        share = self.in_whole_bytes(self.row_grain, self.group.size // max(1, units))
        return min(threads, max(1, -(-units // share)))

    @property
    def work(self) -> Work:
        """Passes over rows; where nothing is folded, one loop over what lies in one run."""
        group, plan = self.group, self.rows
        if group.row is None:
            step = plan.passes[0]
            runs = merged_axes(self, 0, len(self.dims), is_positional(self))
            length = math.prod(self.dims[slice(*runs[-1])]) if runs else 1
            cycles = self.elementwise(step.points, step.stores, length)
            cycles = group.size // max(1, length) * (cycles + (len(runs) - 1) * COUNTER)
            units = -(-group.size // self.row_grain) if not self.share else self.share.grains
            return Work(cycles, units)
        rows, length = group.rows, plan.row_length
        if self.is_split:
            rows, length = rows * plan.chunks, plan.chunk
        cycles = 0.0
        for step in plan.passes:
            cycles += self.elementwise(step.points, step.stores, length)
            cycles += 4 * sum(map(cost_of, map(self.spec, step.before)))
            for fold in step.folds:
                dtype = fold.inputs[0].dtype
                cycles += FOLD + vectors(length, self.isa, dtype) / 2
        return Work(rows * cycles, rows, int(self.is_split))

    @property
    def workspace(self) -> Workspace:
        return self.rows.workspace

    def can_pack(self, value: Value, bits: Bits) -> bool:
        readers = [n for n in self.nodes if value.node in self.member_inputs(n)]
        folded = any(isinstance(self.spec(n), Reduce) for n in readers)
        return not self.is_split and self.is_full(value.node) and not folded

    def reads_beside(self, node: Node, write: Value) -> bool:
        folds = isinstance(self.spec(node), Reduce) and self.is_full(write.node)
        return (folds and not self.is_split) or super().reads_beside(node, write)

    def may_overwrite(self, root: Value, write: Value) -> bool:
        return super().may_overwrite(root, write) and self.rows.read_before(root, write)
