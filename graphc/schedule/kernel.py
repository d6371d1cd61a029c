"""What all kernels have: groups with everything that memory planning and code generation need."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.spec import Nest, Pointwise, Reduce, Scalar, Spec, Strided
from graphc.schedule.cost import Machine, Sources, Work, loop
from graphc.schedule.encoding import Bits
from graphc.schedule.group import Group, Level
from graphc.schedule.storage import Place, Role, Storage

if TYPE_CHECKING:
    from graphc.schedule.program import Program
    from graphc.schedule.share import RowShare


class Planner(Protocol):
    """Plans the program of a graph whose inputs lie as given, everything else being row-major;
    `steady` are inputs that stay as they are while it runs again and again, `most` how many threads
    run it at most (None: as many as the step has).
    """

    def __call__(
        self,
        graph: Graph,
        places: Mapping[Value, Strided],
        steady: Collection[Value] = (),
        /,
        most: int | None = None,
    ) -> Program: ...


Choices: TypeAlias = "Mapping[tuple[str, ...], int]"
"""By a kernel's identity and candidates, the number of the one that was measured to be fastest."""

#: Nothing was measured: the cost model chooses.
MODEL: Choices = MappingProxyType({})
#: Simple operations that are worth another thread.
GRAIN = 1 << 14
#: Floating-point operations of products that take as long as a simple operation.
OPERATION_FLOPS = 32


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
    """A group in its place. `reads`: the roots that it loads; `writes`: the values it stores.
    `programs`: those that it runs, where its operator owns graphs. `share`: the rows that it shares
    as its neighbours do.
    """

    #: All results are written, wanted or not.
    writes_all: ClassVar[bool] = False
    #: What ends the names of its functions, besides operators.
    label: ClassVar[str] = ""

    def __init__(self, group: Group, storage: Storage, isa: str, choices: Choices = MODEL):
        self.group = group
        self.storage = storage
        self.isa = isa
        self.choices = choices
        self.reads: list[Value] = []
        self.writes: list[Value] = []
        self.programs: list[Program] = []
        self.share: RowShare | None = None

    def plan(self, planned: Planner) -> None:
        """Plans the programs of the kernel."""

    @property
    def nodes(self) -> list[Node]:
        return self.group.members

    @cached_property
    def computed(self) -> list[Node]:
        """All nodes that it computes: those in front of what it copies, then its members."""
        found: set[Node] = set()
        stack = [v.node for n in self.nodes for v in n.inputs]
        while stack:
            node = stack.pop()
            if self.storage.role[node] is Role.REBUILT and node not in found:
                found.add(node)
                stack.extend(v.node for v in node.inputs)
        return [*sorted(found, key=lambda n: n.serial), *self.nodes]

    @property
    def candidates(self) -> Sequence[Any]:
        """Ways to cut its work that give the same bits, best first by the model."""
        return ()

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """What kernels have in common that one measurement stands for."""
        types = [str(v.type) for v in (*self.reads, *self.writes)]
        operators = [n.op.name for n in self.nodes]
        return (self.isa, type(self).__name__, *operators, *types, *map(str, self.candidates))

    @property
    def chosen(self) -> Any:
        """The candidate that was measured to be fastest; without a measurement the first."""
        return self.candidates[self.choices.get(self.identity, 0) if self.choices else 0]

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
    def work(self) -> Work:
        """What it costs, its arrays being at hand."""
        raise TypeError

    def nanoseconds(self, machine: Machine, sources: Sources) -> float:
        """How long it takes, its arrays coming from these caches and from memory."""
        # Where rows are shared, nobody waits before the next kernel.
        work = self.work if self.share is None else replace(self.work, meetings=-1)
        return machine.time(work, self.workers(machine.threads), sources)

    @property
    def effort(self) -> int:
        """Its work in simple operations, before it is known how that is cut."""
        return self.flops // OPERATION_FLOPS

    @property
    def row_count(self) -> int:
        """The number of rows that it would be cut into; 0 if it cannot be."""
        return 0

    def takes_rows(self, rows: int) -> bool:
        """Whether it can compute any of so many rows alone."""
        return False

    @property
    def flops(self) -> int:
        return sum(n.op.flops(*[v.type for v in n.inputs]) for n in self.computed)

    @property
    def bytes(self) -> int:
        """What it reads or writes of every array, once: the least that it can move."""
        return sum(map(self.touched, (*self.reads, *self.writes)))

    def touched(self, root: Value) -> int:
        """Bytes of an array that it goes over: all that it writes, the parts that it reads."""
        size = self.storage.nbytes(root)
        return size if root in self.writes else min(size, self._parts.get(root, size))

    @cached_property
    def _parts(self) -> dict[Value, int]:
        """Bytes of what is read of each array; by position no more than results need."""
        parts: dict[Value, int] = {}
        for node in self.computed:
            for value in node.inputs:
                place = self.place(value)
                if place is None:
                    continue
                steps = zip(place.strided.shape, place.strided.strides, strict=True)
                elements = math.prod(extent for extent, stride in steps if stride)
                if isinstance(self.spec(node), Pointwise):
                    elements = min(elements, node.types[0].size)
                size = elements * value.dtype.itemsize
                parts[place.root] = parts.get(place.root, 0) + size
        return parts

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

    def can_pack(self, value: Value, bits: Bits) -> bool:
        """Whether the kernel can write a predicate as bits: row by row, the eight rows of a byte in
        order and by one thread.
        """
        return False

    def can_unpack(self, root: Value, bits: Bits) -> bool:
        """Whether all that reads a root takes its elements one by one, along rows or columns."""
        for node in self.computed:
            for value in node.inputs:
                place = self.place(value)
                if place is None or place.root is not root:
                    continue
                strided = place.strided
                if not isinstance(self.spec(node), (Scalar, Pointwise, Nest)):
                    return False
                if not bits.divides(strided.shape, strided.strides, strided.offset):
                    return False
        return True


class PointKernel(Kernel):
    """A kernel whose members are computed point by point over `dims`."""

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """Extents of axes that refine those of all members, slowest first."""
        if self.group.size == 0:
            return tuple(n for n in self.group.shape if n != 1)
        cuts = sorted(self.group.cuts | {self.group.row or 1}, reverse=True)
        return tuple(large // small for large, small in pairwise(cuts)) or (1,)

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

    def accesses(self, node: Node) -> Iterator[tuple[Value, tuple[int, ...], int]]:
        """(root, strides, offset) of every read of memory that a member makes in place."""
        for value in node.inputs:
            place = self.place(value)
            if place is None or place.root.node in self.group.level:
                continue
            if isinstance(self.spec(node), Reduce):
                yield place.root, self.fold_strides(node), place.strided.offset
            elif isinstance(self.spec(node), Scalar):
                yield place.root, self.strides(node, place.strided), place.strided.offset

    def step(self, node: Node, strides: Sequence[int]) -> int:
        """How far the elements of an access lie apart along the innermost axis that moves."""
        last = max((d for d, n in enumerate(self.dims) if n > 1), default=0)
        return strides[last] if last < len(strides) else 0

    def elementwise(self, nodes: Sequence[Node], stores: Sequence[Value], length: int) -> float:
        """Cycles of a loop over `length` elements that computes members and stores some."""
        if not nodes:
            return 0.0
        dtype = max((n.types[0].dtype for n in nodes), key=lambda d: d.itemsize)
        reads = {(root, self.step(n, s)) for n in nodes for root, s, _ in self.accesses(n)}
        read = [step for _, step in reads]
        places = [(v.node, self.storage.places[v].strided) for v in stores]
        written = [self.step(n, self.strides(n, strided)) for n, strided in places]
        positional = sum(len(n.inputs) for n in nodes if isinstance(self.spec(n), Pointwise))
        together = positional + sum(step in (0, 1) for step in read)
        alone = sum(step not in (0, 1) for step in (*read, *written))
        operations = sum(cost_of(self.spec(n)) for n in nodes)
        return loop(self.isa, dtype, length, operations, together, len(stores), alone)

    def may_overwrite(self, root: Value, write: Value) -> bool:
        # One argument of the C function stands for both, so they have one type.
        if root.dtype is not write.dtype or root.type.size != write.type.size:
            return False
        if root in self.storage.packed or write in self.storage.packed:
            return False
        want = self.strides(write.node, self.storage.places[write].strided)
        for node in self.nodes:
            readers = [v for v in node.inputs if (p := self.place(v)) and p.root is root]
            if not readers:
                continue
            if not self.reads_beside(node, write):
                return False
            for accessed, strides, offset in self.accesses(node):
                if accessed is root and (strides != want or offset):
                    return False
        return True

    def reads_beside(self, node: Node, write: Value) -> bool:
        """Whether a member reads at the point, or the points, that the thread at `write` is at."""
        return isinstance(self.spec(node), Scalar) and self.same_level(node, write.node)

    def in_whole_bytes(self, units: int, size: int) -> int:
        """At least so many units of work, each of so many elements, that no byte of packed results
        is shared between threads.
        """
        for value in self.writes:
            bits = self.storage.packed.get(value)
            if bits is not None:
                units = math.lcm(units, bits.span // math.gcd(bits.span, size))
        return units

    def same_level(self, a: Node, b: Node) -> bool:
        return self.group.level[a] is self.group.level[b]


def cost_of(spec: Spec) -> int:
    """Simple operations an element."""
    return spec.cost if isinstance(spec, (Scalar, Pointwise)) else 1


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


def one_stride(strides: Sequence[int], dims: Sequence[int]) -> int | None:
    """The stride of axes that lie as one: 0 where nothing moves, None where they do not."""
    moving = [d for d, extent in enumerate(dims) if extent > 1]
    for a, b in pairwise(moving):
        if strides[a] != strides[b] * dims[b]:
            return None
    return strides[moving[-1]] if moving else 0
