"""A program: kernels in order, and for every value the memory that holds it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import accumulate

import numpy as np

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.spec import Strided, Table
from graphc.passes.pipeline import everywhere
from graphc.schedule import arena, order
from graphc.schedule.cost import typical
from graphc.schedule.encoding import packed
from graphc.schedule.fuse import fuse
from graphc.schedule.gathering import gathered
from graphc.schedule.kernel import MODEL, Choices, Kernel
from graphc.schedule.kernels import make_kernels
from graphc.schedule.layouts import choose_layouts
from graphc.schedule.product import Panels, Product
from graphc.schedule.prologues import prologues
from graphc.schedule.share import share_rows
from graphc.schedule.storage import Role, Storage
from graphc.schedule.strips import strips
from graphc.schedule.traffic import predicted

#: Every buffer begins at a multiple of this many bytes.
ALIGNMENT = 64
#: Bytes of the largest constant that stands in the text of a program.
LARGEST_TABLE = 4096
#: The part of the written order's arena that another order may take to be preferred.
_WORTH = 0.98


class Memory(Enum):
    INPUT = "input"
    OUTPUT = "output"
    TABLE = "table"
    ARENA = "arena"
    WORKSPACE = "workspace"


@dataclass(eq=False)
class Buffer:
    """Memory that holds one value after another. `index` numbers inputs, outputs and tables; large
    constants are inputs that follow the graph's. The lifetime [first, last) in steps matters for
    the arena.
    """

    memory: Memory
    index: int
    nbytes: int
    values: list[Value] = field(default_factory=list)
    first: int = 0
    last: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class CopyBack:
    """A donated input whose old value is still needed when the new one is computed: the new value
    waits in `source` and is copied at the end.
    """

    source: Buffer
    target: Buffer


@dataclass(eq=False)
class Program:
    """Kernels in order; `buffers` of all roots, `workspaces` of kernels; the planned arena.

    `constants` are the inputs that follow the graph's: what is too large for the text. `panels` are
    buffers of the kernels that run once, before a loop around the program.
    """

    graph: Graph
    kernels: list[Kernel]
    buffers: dict[Value, Buffer]
    workspaces: dict[Kernel, Buffer]
    copies: list[CopyBack]
    constants: list[np.ndarray]
    threads: int
    plan: arena.ArenaPlan
    panels: dict[Panels, Buffer] = field(default_factory=dict)

    def nested(self) -> Iterator[Program]:
        """This program, and those of the kernels that have one of their own."""
        yield self
        for kernel in self.kernels:
            for program in kernel.programs:
                yield from program.nested()

    def panels_of(self, kernel: Kernel) -> Buffer | None:
        """Where the packed right operand of a product lies, that a kernel reads or writes."""
        product = kernel.of if isinstance(kernel, Panels) else kernel
        if not isinstance(product, Product) or not product.is_prepared:
            return None
        return next(b for k, b in self.panels.items() if k.of.panels == product.panels)

    @property
    def arena_buffers(self) -> list[Buffer]:
        return _in_arena(self.buffers.values(), self.workspaces.values())

    @cached_property
    def live_bytes(self) -> list[int]:
        """Live bytes of the arena at each step, sizes rounded to ALIGNMENT; behind the kernels'
        steps is one for what is copied back.
        """
        change = [0] * (len(self.kernels) + 2)
        for buffer in self.arena_buffers:
            size = -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT
            change[buffer.first] += size
            change[buffer.last] -= size
        return list(accumulate(change))[:-1]

    @property
    def peak_step(self) -> int:
        """The first step at which the most is live."""
        return self.live_bytes.index(max(self.live_bytes))


def schedule(graph: Graph, isa: str, threads: int, choices: Choices = MODEL) -> Program:
    """Fuses, orders and places an optimized graph for an instruction set and a thread count. Strips
    are taken where the cost model expects less time of them, in no larger an arena. `choices` are
    what was measured of kernels.
    """
    graph = prologues(everywhere(gathered, graph))
    found = strips(graph)
    if found is None:
        return _ordered(graph, isa, threads, choices)
    program, other = (_ordered(g, isa, threads, choices) for g in found)
    machine = typical(threads)
    faster = sum(predicted(other, machine)) < sum(predicted(program, machine))
    return other if faster and other.plan.peak <= program.plan.peak else program


def _ordered(graph: Graph, isa: str, threads: int, choices: Choices) -> Program:
    """The program of a graph in the written order, unless another needs a smaller arena by more
    than a little.
    """
    storage = Storage(graph, choose_layouts(graph))

    def planned(nodes: Sequence[Node]) -> Program:
        own, tables = storage.unpacked(), itertools.count()
        return _planned(graph, nodes, own, isa, threads, choices, tables, outermost=True)

    program = planned(order.written(graph))
    moved = order.late(graph, storage)
    if moved and _weigh(program, moved):
        other = planned(order.delayed(graph, storage, moved))
        if other.plan.peak < _WORTH * program.plan.peak:
            return other
    return program


def _weigh(program: Program, nodes: Collection[Node]) -> bool:
    """Whether the arena could be less without these: wherever about the most is live, something
    that they compute is.
    """
    made = [program.buffers[v] for n in nodes for v in n.outputs if v in program.buffers]
    high = _WORTH * program.plan.peak
    return all(
        any(b.memory is Memory.ARENA and b.first <= step < b.last for b in made)
        for step, live in enumerate(program.live_bytes)
        if live >= high
    )


def _planned(
    graph: Graph,
    nodes: Sequence[Node],
    storage: Storage,
    isa: str,
    threads: int,
    choices: Choices,
    tables: Iterator[int],
    outermost: bool = False,
) -> Program:
    """The program of a graph or of a body, its nodes in this order and its values in `storage`,
    which no other program has; `tables` numbers the constant tables of the whole step. Only the
    step itself has inputs for large constants.
    """
    # In the step of a loop every kernel counts, however small.
    groups = fuse(graph, storage, nodes) if outermost else fuse(graph, storage, nodes, large=2)
    kernels = make_kernels(graph, storage, groups, isa, choices)

    def planned(
        body: Graph,
        places: Mapping[Value, Strided],
        steady: Collection[Value] = (),
        /,
        most: int | None = None,
    ) -> Program:
        count = threads if most is None else min(threads, most)
        own = Storage(body, choose_layouts(body), places, steady)
        return _planned(body, order.written(body), own, isa, count, choices, tables)

    for kernel in kernels:
        kernel.plan(planned)
    storage.packed = packed(graph, kernels)
    if not outermost and threads > 1:
        share_rows(kernels, threads)
    # Waking threads for a step of which no kernel has work for two would only cost time.
    threads = max((k.workers(threads) for k in kernels), default=1)
    assignment = _Assignment(graph, storage, kernels, tables, outermost)
    workspaces = {}
    for step, kernel in enumerate(kernels):
        size = kernel.workspace.total(kernel.workers(threads))
        if size:
            workspaces[kernel] = Buffer(Memory.WORKSPACE, step, size, [], step, step + 1)
    placed = _in_arena(assignment.buffers.values(), workspaces.values())
    plan = arena.plan([arena.Lifetime(b.nbytes, b.first, b.last) for b in placed], ALIGNMENT)
    for buffer, offset in zip(placed, plan.offsets, strict=True):
        buffer.offset = offset
    buffers, copies, constants = assignment.buffers, assignment.copies, assignment.constants
    prepared = [k for k in kernels if isinstance(k, Product) and k.is_prepared]
    first = {k.panels: k for k in reversed(prepared)}
    panels = {Panels(k): Buffer(Memory.WORKSPACE, 0, k.prepared_bytes) for k in first.values()}
    return Program(graph, kernels, buffers, workspaces, copies, constants, threads, plan, panels)


def table_data(node: Node) -> np.ndarray:
    """The array, of one axis, that a constant node stands for."""
    spec = node.op.spec(*[v.type for v in node.inputs])
    assert isinstance(spec, Table)
    return np.frombuffer(spec.data, node.types[0].dtype.numpy)


def _in_arena(*groups) -> list[Buffer]:
    unique = dict.fromkeys(b for group in groups for b in group)
    return [b for b in unique if b.memory in (Memory.ARENA, Memory.WORKSPACE)]


class _Assignment:
    """Gives every root a buffer; a value may take over the memory of one that ends with it."""

    def __init__(
        self,
        graph: Graph,
        storage: Storage,
        kernels: Sequence[Kernel],
        tables: Iterator[int],
        outermost: bool,
    ):
        self.graph = graph
        self.kernels = kernels
        self.buffers: dict[Value, Buffer] = {}
        self.copies: list[CopyBack] = []
        self.constants: list[np.ndarray] = []
        self.last_read: dict[Value, int] = {}
        for step, kernel in enumerate(kernels):
            for root in kernel.reads:
                self.last_read[root] = step
        self.output = {v: j for j, v in enumerate(graph.outputs)}
        self.donor = {j: i for i, j in graph.donated.items()}
        for i, value in enumerate(graph.inputs):
            self.buffers[value] = Buffer(Memory.INPUT, i, value.type.nbytes, [value])
        for node in graph.nodes:
            value = node.outputs[0]
            if storage.role[node] is not Role.GIVEN or value in self.buffers:
                continue
            size = value.type.nbytes
            if size > LARGEST_TABLE and outermost:
                place = len(graph.inputs) + len(self.constants)
                self.buffers[value] = Buffer(Memory.INPUT, place, size, [value])
                self.constants.append(table_data(node).reshape(value.type.shape))
            else:
                self.buffers[value] = Buffer(Memory.TABLE, next(tables), size, [value])
        for step, kernel in enumerate(kernels):
            for value in kernel.reads:
                if value.type.size == 0:
                    # No kernel computes what has no elements.
                    nothing = Buffer(Memory.ARENA, 0, 0, [value], 0, len(kernels))
                    self.buffers.setdefault(value, nothing)
            taken: set[Value] = set()
            for value in kernel.writes:
                self.buffers[value] = self._buffer(value, step, kernel, taken)

    def _buffer(self, value: Value, step: int, kernel: Kernel, taken: set[Value]) -> Buffer:
        j = self.output.get(value)
        if j is not None:
            return self._output(value, j, step, kernel, taken)
        end = self.last_read.get(value, step) + 1
        for root in kernel.reads:
            buffer = self.buffers[root]
            if (
                buffer.memory is Memory.ARENA
                # A result that waits to be copied back lives on.
                and buffer.last == step + 1
                and root not in taken
                and buffer.values[-1] is root
                and kernel.may_overwrite(root, value)
            ):
                taken.add(root)
                buffer.values.append(value)
                buffer.last = end
                return buffer
        return Buffer(Memory.ARENA, 0, kernel.storage.nbytes(value), [value], step, end)

    def _output(self, value: Value, j: int, step: int, kernel: Kernel, taken: set[Value]) -> Buffer:
        donor = self.donor.get(j)
        if donor is None:
            return Buffer(Memory.OUTPUT, j, value.type.nbytes, [value])
        old = self.graph.inputs[donor]
        target = self.buffers[old]
        last = self.last_read.get(old, -1)
        if old not in taken and (
            last < step or (last == step and kernel.may_overwrite(old, value))
        ):
            taken.add(old)
            target.values.append(value)
            return target
        source = Buffer(Memory.ARENA, 0, value.type.nbytes, [value], step, len(self.kernels) + 1)
        self.copies.append(CopyBack(source, target))
        return source
