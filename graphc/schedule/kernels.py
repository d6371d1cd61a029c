"""Kernels: groups with everything that memory planning and code generation need to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.spec import Nest, Reduce, Scalar, Strided
from graphc.schedule.fuse import Group, Kind, Level, is_split_row
from graphc.schedule.storage import Place, Storage
from graphc.schedule.tiles import Tiling, choose_tiling, round_up

#: Rows that one partial column sum covers: a law of shape alone.
COLUMN_ROWS = 128
#: Bytes of column sums that are in work at a time: a local array.
COLUMN_BYTES = 4096


#: Simple operations, and multiply-adds of a product, that are worth another thread.
GRAIN = 1 << 14
PRODUCT_GRAIN = 1 << 18


def grain(cost: int) -> int:
    """Units of work of some simple operations each that one thread takes at least."""
    return max(1, GRAIN // max(1, cost))


@dataclass(frozen=True, slots=True)
class Workspace:
    """Working memory of a kernel while it runs, in bytes; each part is a multiple of 64."""

    shared: int = 0
    per_thread: int = 0

    def total(self, threads: int) -> int:
        return self.shared + threads * self.per_thread


class Kernel:
    """A group in its place. `reads`: the roots that it loads; `writes`: the values it stores."""

    def __init__(self, group: Group, storage: Storage, isa: str):
        self.group = group
        self.storage = storage
        self.isa = isa
        self.reads: list[Value] = []
        self.writes: list[Value] = []

    @property
    def nodes(self) -> list[Node]:
        return self.group.members

    @property
    def workspace(self) -> Workspace:
        return Workspace()

    def workers(self, threads: int) -> int:
        """How many of the threads find work, and use working memory of their own."""
        return threads

    @property
    def synchronizes(self) -> bool:
        """Whether threads meet inside the kernel."""
        return False

    @property
    def flops(self) -> int:
        return sum(n.op.flops(*[v.type for v in n.inputs]) for n in self.nodes)

    @property
    def bytes(self) -> int:
        """Every array that it reads or writes, once: the least that it can move."""
        return sum(v.type.nbytes for v in (*self.reads, *self.writes))

    def place(self, value: Value) -> Place | None:
        return self.storage.places.get(value)

    def member_of(self, value: Value) -> Node | None:
        """The member whose result a value is, directly or through views."""
        place = self.place(value)
        if place is None or place.root.node not in self.group.level:
            return None
        return place.root.node

    def spec(self, node: Node):
        return self.storage.spec[node]

    def member_inputs(self, node: Node) -> Iterator[Node]:
        for value in node.inputs:
            member = self.member_of(value)
            if member is not None:
                yield member

    def may_overwrite(self, root: Value, write: Value) -> bool:
        """Whether `write` may take the memory of `root`: every element of it is read for the last
        time before, and by the same thread that then stores the element at its place.
        """
        return False


class PointKernel(Kernel):
    """A kernel whose members are computed point by point over `dims`."""

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """Extents of axes that refine those of all members, slowest first."""
        if self.group.size == 0:
            return tuple(n for n in self.group.shape if n != 1)
        cuts = sorted(self.group.cuts | {self.group.row or 1}, reverse=True)
        pairs = zip(cuts, cuts[1:], strict=False)
        return tuple(large // small for large, small in pairs) or (1,)

    @cached_property
    def row_axis(self) -> int:
        """How many of the axes number rows; the others lie inside a row."""
        if self.group.row is None:
            return 0
        rows, axis = 1, 0
        while axis < len(self.dims) and rows < self.group.rows:
            rows *= self.dims[axis]
            axis += 1
        return axis

    def is_full(self, node: Node) -> bool:
        return self.group.level[node] is Level.FULL

    def strides(self, node: Node, strided: Strided) -> tuple[int, ...]:
        """Strides over `dims` of an access that a member makes."""
        return refine(strided, self.dims if self.is_full(node) else self.dims[: self.row_axis])

    def fold_strides(self, fold: Node) -> tuple[int, ...]:
        """Strides over `dims` of the operand of a reduction."""
        place = self.storage.places[fold.inputs[0]]
        order = reduction_axes(self.spec(fold), place.strided)
        return refine(order, self.dims)

    def accesses(self, node: Node) -> Iterator[tuple[Value, tuple[int, ...], bool]]:
        """(root, strides, unshifted) of every read of memory that a member makes in place."""
        for value in node.inputs:
            place = self.place(value)
            if place is None or place.root.node in self.group.level:
                continue
            if isinstance(self.spec(node), Reduce):
                yield place.root, self.fold_strides(node), place.strided.offset == 0
            elif isinstance(self.spec(node), Scalar):
                yield place.root, self.strides(node, place.strided), place.strided.offset == 0

    def may_overwrite(self, root: Value, write: Value) -> bool:
        if root.dtype.itemsize != write.dtype.itemsize or root.type.size != write.type.size:
            return False
        want = self.strides(write.node, self.storage.places[write].strided)
        for node in self.nodes:
            readers = [v for v in node.inputs if (p := self.place(v)) and p.root is root]
            if not readers:
                continue
            if not isinstance(self.spec(node), Scalar) or not self.same_level(node, write.node):
                return False
            for accessed, strides, unshifted in self.accesses(node):
                if accessed is root and (strides != want or not unshifted):
                    return False
        return True

    def same_level(self, a: Node, b: Node) -> bool:
        return self.group.level[a] is self.group.level[b]


def reduction_axes(spec: Reduce, strided: Strided) -> Strided:
    """The operand of a reduction with its axes in the order outer, reduced, inner."""
    order = spec.order(len(strided.shape))
    return Strided(
        tuple(strided.shape[a] for a in order),
        tuple(strided.strides[a] for a in order),
        strided.offset,
    )


def refine(strided: Strided, dims: Sequence[int]) -> tuple[int, ...]:
    """Strides over axes that refine the shape of `strided`; an axis of one element stands still."""
    strides = [0] * len(dims)
    d = len(dims) - 1
    for extent, stride in zip(reversed(strided.shape), reversed(strided.strides), strict=True):
        covered = 1
        d -= extent == 0
        while covered < extent:
            strides[d] = stride * covered if dims[d] > 1 else 0
            covered *= dims[d]
            d -= 1
    return tuple(strides)


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
    def rows(self):
        from graphc.schedule.rows import RowPlan

        return RowPlan(self)

    @property
    def row_grain(self) -> int:
        """Rows that one thread takes at least."""
        return grain(max(1, self.group.cost) * max(1, self.group.row or 1))

    def workers(self, threads: int) -> int:
        if self.is_split:
            return threads
        return min(threads, max(1, -(-self.group.rows // self.row_grain)))

    @property
    def workspace(self) -> Workspace:
        return self.rows.workspace

    def may_overwrite(self, root: Value, write: Value) -> bool:
        return super().may_overwrite(root, write) and self.rows.read_before(root, write)


class Columns(PointKernel):
    """Reductions over leading axes: blocks of rows are folded, then the blocks' results."""

    @property
    def extents(self) -> tuple[int, int, int]:
        assert self.group.columns is not None
        return self.group.columns

    @property
    def folds(self) -> list[Node]:
        return [n for n in self.nodes if isinstance(self.spec(n), Reduce)]

    @property
    def blocks(self) -> int:
        return max(1, -(-self.extents[1] // COLUMN_ROWS))

    @property
    def tile(self) -> int:
        """Columns folded at a time."""
        widest = max(n.types[0].dtype.itemsize for n in self.folds)
        return min(COLUMN_BYTES // widest, max(1, self.extents[2]))

    @property
    def synchronizes(self) -> bool:
        return self.blocks > 1

    def partial_bytes(self, fold: Node) -> int:
        outer, _, inner = self.extents
        return round_up(outer * self.blocks * inner * fold.types[0].dtype.itemsize, 64)

    @property
    def workspace(self) -> Workspace:
        if self.blocks == 1:
            return Workspace()
        return Workspace(shared=sum(self.partial_bytes(n) for n in self.folds))

    def may_overwrite(self, root: Value, write: Value) -> bool:
        return self.is_full(write.node) and super().may_overwrite(root, write)


class Product(PointKernel):
    """A matrix product, and the elementwise nodes that are applied to its tiles."""

    @property
    def product(self) -> Node:
        return self.nodes[0]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, m, n, k)."""
        x, y = self.product.inputs
        *lead, m, k = x.shape
        batch = 1
        for extent in lead:
            batch *= extent
        return batch, m, y.shape[-1], k

    @cached_property
    def tiling(self) -> Tiling:
        _, m, n, k = self.shape
        return choose_tiling(self.isa, self.product.types[0].dtype, m, n, k)

    @property
    def is_private(self) -> bool:
        """Each thread computes whole products of the batch on its own."""
        from graphc.schedule.tiles import PRIVATE_FLOPS

        batch, m, n, k = self.shape
        return batch > 1 and 2 * m * n * k < PRIVATE_FLOPS

    @property
    def synchronizes(self) -> bool:
        return not self.is_private and not self.tiling.by_panel

    @property
    def grain(self) -> int:
        """What one thread takes at least: products of the batch, columns, or rows of the result,
        in whole tiles.
        """
        _, m, n, k = self.shape
        if self.is_private:
            return max(1, PRODUCT_GRAIN // max(1, m * n * k))
        if self.tiling.by_panel:
            width = self.tiling.columns
            return width * max(1, PRODUCT_GRAIN // max(1, m * k * width))
        return self.tiling.rows * max(1, PRODUCT_GRAIN // max(1, self.tiling.rows * n * k))

    def workers(self, threads: int) -> int:
        batch, m, n, _ = self.shape
        units = batch if self.is_private else n if self.tiling.by_panel else m
        return min(threads, max(1, -(-units // self.grain)))

    @property
    def in_depth_blocks(self) -> bool:
        return self.shape[3] > self.tiling.depth

    @property
    def panel_bytes(self) -> int:
        """The packed right operand."""
        return round_up(self.tiling.panel * self.tiling.depth * self._itemsize, 64)

    @property
    def block_bytes(self) -> int:
        """The packed left operand of one thread."""
        return round_up(self.tiling.block * self.tiling.depth * self._itemsize, 64)

    @property
    def sums_bytes(self) -> int:
        """Tiles that wait for the next block of terms."""
        if not self.in_depth_blocks:
            return 0
        _, m, _, _ = self.shape
        rows = round_up(m, self.tiling.rows)
        return round_up(rows * self.tiling.panel * self._itemsize, 64)

    @property
    def _itemsize(self) -> int:
        return self.product.types[0].dtype.itemsize

    @property
    def workspace(self) -> Workspace:
        if self.is_private or self.tiling.by_panel:
            return Workspace(per_thread=self.panel_bytes + self.block_bytes + self.sums_bytes)
        return Workspace(self.panel_bytes + self.sums_bytes, self.block_bytes)

    def may_overwrite(self, root: Value, write: Value) -> bool:
        return super().may_overwrite(root, write)


class Single(Kernel):
    """A node with a loop nest of its own: scatter, sort, scan and the like."""

    def workers(self, threads: int) -> int:
        spec = self.spec(self.nodes[0])
        if not isinstance(spec, Nest):
            return threads
        return min(threads, max(1, -(-spec.parallel // grain(spec.cost))))

    @property
    def workspace(self) -> Workspace:
        spec = self.spec(self.nodes[0])
        return Workspace(per_thread=spec.scratch_offsets[-1] if isinstance(spec, Nest) else 0)


_KERNELS: dict[Kind, type[Kernel]] = {
    Kind.LOOPS: Loops,
    Kind.COLUMNS: Columns,
    Kind.CONTRACT: Product,
    Kind.ALONE: Single,
}


def make_kernels(graph: Graph, storage: Storage, groups: Sequence[Group], isa: str) -> list[Kernel]:
    """A kernel for every group, with the memory that it reads and writes."""
    outputs = set(graph.outputs)
    needed = set(outputs)
    kernels = []
    for group in groups:
        kernel = _KERNELS[group.kind](group, storage, isa)
        reads: dict[Value, None] = {}
        for node in group.members:
            for root in roots_read(node, storage):
                if root.node not in group.level:
                    reads[root] = None
        kernel.reads = list(reads)
        needed.update(reads)
        kernels.append(kernel)
    for kernel in kernels:
        made = [v for n in kernel.nodes for v in n.outputs]
        # A loop nest of an operator's own writes all its results, wanted or not.
        kernel.writes = made if isinstance(kernel, Single) else [v for v in made if v in needed]
    return [k for k in kernels if any(v.type.size for v in k.writes)]


def roots_read(node: Node, storage: Storage) -> list[Value]:
    """The roots in memory that a node reads, through free values too."""
    return [storage.places[v].root for v in node.inputs if v in storage.places]
