"""How a `Loops` kernel goes over a row: in which pass what is computed, folded, kept, stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphc.dtypes import DType
from graphc.ir.graph import Node, Value
from graphc.ir.spec import Pointwise, Reduce, Scalar
from graphc.schedule.kernel import Workspace

if TYPE_CHECKING:
    from graphc.schedule.loops import Loops

#: Local arrays are at most this large, one and all together; larger ones lie in the arena.
LOCAL_BYTES = 4096
LOCAL_TOTAL = 12288
#: A member of this many simple operations is kept for a later pass instead of computed again.
KEEP_COST = 4
#: Bytes of a long row that are folded at a time: the runtime's block.
CHUNK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class RowBuffer:
    """One row (of a split row: one chunk) of a member's values."""

    dtype: DType
    length: int
    local: bool

    @property
    def bytes(self) -> int:
        return -(-self.length * self.dtype.itemsize // 64) * 64


@dataclass(slots=True)
class Pass:
    """One loop over a row: `before` it the numbers of the row, in it `points`, then `folds` of
    what it computed; `stores` are the full members written to memory.
    """

    before: list[Node]
    points: list[Node]
    folds: list[Node]
    stores: list[Value]


class RowPlan:
    def __init__(self, kernel: Loops):
        self.kernel = kernel
        self.phase = self._phases()
        self.count = max(self.phase.values()) + 1
        self.buffers: dict[Node, RowBuffer] = {}
        self._local = 0
        self.passes: list[Pass] = []
        for p in range(self.count):
            self.passes.append(self._pass(p))

    def is_fold(self, node: Node) -> bool:
        return isinstance(self.kernel.spec(node), Reduce)

    def is_point(self, node: Node) -> bool:
        return not self.is_fold(node) and self.kernel.is_full(node)

    def _phases(self) -> dict[Node, int]:
        """A fold's result is there in the pass after the one in which it is folded."""
        phase: dict[Node, int] = {}
        for node in self.kernel.nodes:
            phase[node] = max(
                (phase[m] + self.is_fold(m) for m in self.kernel.member_inputs(node)), default=0
            )
        return phase

    def _pass(self, p: int) -> Pass:
        kernel = self.kernel
        here = [n for n in kernel.nodes if self.phase[n] == p]
        before = [n for n in here if not self.is_fold(n) and not kernel.is_full(n)]
        folds = [n for n in here if self.is_fold(n)]
        stores = [v for v in kernel.writes if self.is_point(v.node) and self.phase[v.node] == p]
        wanted = [v.node for v in stores]
        for fold in folds:
            wanted.extend(m for m in kernel.member_inputs(fold) if self.is_point(m))
        points = self._closure(wanted, p)
        for fold in folds:
            self._buffer_operand(fold)
        return Pass(before, points, folds, stores)

    def _closure(self, wanted: Sequence[Node], p: int) -> list[Node]:
        """The full members to compute in pass p: costly ones that earlier passes computed are
        kept.
        """
        found: set[Node] = set()
        stack = list(wanted)
        while stack:
            node = stack.pop()
            if node in found:
                continue
            if self.phase[node] < p:
                if self.is_stored(node) or node in self.buffers:
                    continue
                computed = node in self.passes[self.phase[node]].points
                if computed and self._cost(node) >= KEEP_COST:
                    self._keep(node)
                    continue
            found.add(node)
            stack.extend(m for m in self.kernel.member_inputs(node) if self.is_point(m))
        return [n for n in self.kernel.nodes if n in found]

    def first_pass(self, node: Node) -> Pass:
        """The pass that computes a member first: it fills the member's buffer."""
        return next(step for step in self.passes if node in step.points)

    def is_stored(self, node: Node) -> bool:
        return self.is_point(node) and node.outputs[0] in self.kernel.writes

    def _cost(self, node: Node) -> int:
        spec = self.kernel.spec(node)
        return spec.cost if isinstance(spec, (Scalar, Pointwise)) else 1

    def _keep(self, node: Node) -> None:
        if node in self.buffers:
            return
        dtype = (node.inputs[0] if self.is_fold(node) else node.outputs[0]).dtype
        length = self.row_length
        size = -(-length * dtype.itemsize // 64) * 64
        local = size <= LOCAL_BYTES and self._local + size <= LOCAL_TOTAL
        self._local += size if local else 0
        self.buffers[node] = RowBuffer(dtype, length, local)

    @property
    def row_length(self) -> int:
        """Elements that are gone over at a time."""
        row = self.kernel.group.row
        assert row is not None
        return min(row, self.chunk) if self.kernel.is_split else row

    @property
    def chunk(self) -> int:
        """Elements of a split row that are folded at a time."""
        folds = [n for n in self.kernel.nodes if self.is_fold(n)]
        return CHUNK_BYTES // max(n.inputs[0].dtype.itemsize for n in folds)

    @property
    def chunks(self) -> int:
        row = self.kernel.group.row
        assert row is not None
        return -(-row // self.chunk)

    def _buffer_operand(self, fold: Node) -> None:
        if self.operand_in_memory(fold):
            return
        member = self.kernel.member_of(fold.inputs[0])
        self._keep(member if member is not None else fold)

    def operand_in_memory(self, fold: Node) -> bool:
        """Whether the operand's row lies in memory, unbroken: then it is folded where it lies."""
        kernel = self.kernel
        member = kernel.member_of(fold.inputs[0])
        place = kernel.place(fold.inputs[0])
        if place is None:
            return False
        if member is not None:
            if not self.is_stored(member):
                return False
            strides = kernel.strides(member, kernel.storage.places[member.outputs[0]].strided)
        else:
            strides = kernel.fold_strides(fold)
        step = 1
        axes = range(len(kernel.dims) - 1, kernel.row_axis - 1, -1)
        for axis in axes:
            if kernel.dims[axis] > 1 and strides[axis] != step:
                return False
            step *= kernel.dims[axis]
        return True

    def partial_bytes(self, fold: Node) -> int:
        """Results of the chunks of split rows."""
        count = self.kernel.group.rows * self.chunks
        return -(-count * fold.types[0].dtype.itemsize // 64) * 64

    @property
    def workspace(self) -> Workspace:
        shared = 0
        if self.kernel.is_split:
            shared = sum(self.partial_bytes(n) for n in self.kernel.nodes if self.is_fold(n))
        return Workspace(shared, sum(b.bytes for b in self.buffers.values() if not b.local))

    def read_before(self, root: Value, write: Value) -> bool:
        """Whether all reads of a root come no later than the pass that stores `write`. What a pass
        folds it may read behind its loop.
        """
        last = self.phase[write.node]
        for p, step in enumerate(self.passes):
            later = [*step.points, *(step.before if p else [])] if p > last else []
            for node in [*later, *(step.folds if p >= last else [])]:
                if any(r is root for r, _, _ in self.kernel.accesses(node)):
                    return False
        return True
