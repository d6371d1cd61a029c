"""Strips: what is computed row by row around narrow products goes through the caches a block of
rows at a time.

A network of few columns and many rows does little arithmetic for the bytes of its activations: a
kernel that goes over all rows has lost the first of them to a far cache when the next kernel asks
for them. So a part of the graph in which row r of every array depends on the rows r of the others
alone becomes the body of a loop over strips of rows. What only the body reads is as small as a
strip and stays near; threads share the strips, and none waits for another before the last is done.

What sums over such rows (the gradient of a weight, of a bias, a loss) is summed over each strip and
then over the strips, inside of a loop or not: the bits of a step are the same either way. So are
sums and differences of such sums, which are linear.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphc import ops
from graphc.autodiff.effort import spec_of
from graphc.control.owner import called, is_constant, parameter
from graphc.control.scan import Scan
from graphc.ir.graph import Graph, Input, Node, Value, apply, standing_in_for
from graphc.ir.phases import Phase, phases
from graphc.ir.spec import Contract, Reduce, Scalar, Strided, View
from graphc.ir.structure import rebuilt
from graphc.passes.outputs import own_outputs

#: The largest extent of a right operand: wider products wait for arithmetic.
NARROW = 64
#: Rows of a strip at least, about, and at most; strips at least; products that make it worth while.
FEWEST, ABOUT, MOST = 32, 128, 512
STRIPS = 8
PRODUCTS = 2


def strips(graph: Graph) -> tuple[Graph, Graph] | None:
    """A graph that sums over narrow rows in strips, as it is and with its rows in loops over
    strips; None if it has no narrow rows, or if their number has no divisor that makes strips.
    """
    rows = _rows(graph)
    sizes = [n for n in range(FEWEST, MOST + 1) if rows % n == 0 and rows >= STRIPS * n]
    if not sizes:
        return None
    strip = min(sizes, key=lambda n: max(n, ABOUT) / min(n, ABOUT))
    found = _Strips(graph, rows, strip)
    return (found.build(loop=False), found.build(loop=True)) if found.inside else None


def _rows(graph: Graph) -> int:
    """The number of rows with the most narrow products; 0 if there is none."""
    products: dict[int, int] = {}
    for node in graph.nodes:
        if not isinstance(node.op, Input) and _is_narrow(node):
            rows = node.inputs[0].shape[0]
            products[rows] = products.get(rows, 0) + 1
    return max(products, key=lambda r: products[r], default=0)


def _is_narrow(node: Node) -> bool:
    """Whether a node is a product of rows and a small matrix."""
    if not isinstance(spec_of(node), Contract) or len(node.inputs[0].shape) != 2:
        return False
    return max(node.inputs[1].shape) <= NARROW


class _Strips:
    """`inside` are the nodes that go into the loop, `folds` those that sum over their rows. Every
    node has a level: how often operands leave the nodes that go by rows for others, on the way on
    which they do so most. Nodes by rows of one level never wait for one another through others:
    those of the loop have level `number`.
    """

    def __init__(self, graph: Graph, rows: int, strip: int):
        self.graph = graph
        self.rows = rows
        self.strip = strip
        self.level: dict[Node, int] = {}
        by_rows = {n for n in graph.nodes if self._goes_by_rows(n)}
        for node in graph.nodes:
            sources = {v.node for v in node.inputs}
            own = node in by_rows
            self.level[node] = max(
                (self.level[s] + (s in by_rows and not own) for s in sources), default=0
            )
        self.inside, self.number = self._region(by_rows)
        self.folds: set[Node] = set()
        for node in graph.nodes:
            if self._is_fold(node):
                self.folds.add(node)

    def _goes_by_rows(self, node: Node) -> bool:
        if isinstance(node.op, Input) or not node.op.pure or len(node.outputs) != 1:
            return False
        value, spec = node.outputs[0], spec_of(node)
        if value.shape[:1] != (self.rows,):
            return False
        if isinstance(spec, Contract):
            return _is_narrow(node)
        if isinstance(spec, Reduce):
            return 0 not in spec.axes
        spread = _spread(node, spec) if isinstance(spec, View) else ()
        return isinstance(spec, Scalar) or (spread is not None and spread[:1] == (self.rows,))

    def _region(self, by_rows: set[Node]) -> tuple[set[Node], int]:
        """The nodes by rows that hang together, within their level, around enough products: those
        of the level with the most, and that. Where there is a backward pass the level has to reach
        into it: what is kept for it is what the loop is to keep near.
        """
        group: dict[Node, list[Node]] = {}
        for node in self.graph.nodes:
            if node not in by_rows:
                continue
            merged = [node]
            for source in {v.node for v in node.inputs} & by_rows:
                other = group[source]
                if self.level[source] == self.level[node] and other is not merged:
                    merged, other = sorted((merged, other), key=len, reverse=True)
                    merged += other
                    group.update(dict.fromkeys(other, merged))
            group[node] = merged
        phase = phases(self.graph)
        turns = Phase.BACKWARD in phase.values()
        products: dict[int, int] = {}
        found: dict[int, set[Node]] = {}
        for nodes in {id(g): g for g in group.values()}.values():
            count = sum(map(_is_narrow, nodes))
            if count >= PRODUCTS:
                level = self.level[nodes[0]]
                found.setdefault(level, set()).update(nodes)
                products[level] = products.get(level, 0) + count
        for level, members in found.items():
            if turns and all(phase[n] is not Phase.BACKWARD for n in members):
                del products[level]
        best = max(products, key=lambda k: products[k], default=0)
        return (found[best], best) if products else (set(), 0)

    def _is_fold(self, node: Node) -> bool:
        """Whether the loop can sum what a node sums: all that it reads is there."""
        sources = {v.node for v in self._summed(node)}
        there = self.inside | self.folds
        before = all(s in there or self.level[s] <= self.number for s in sources)
        return before and not there.isdisjoint(sources)

    def _summed(self, node: Node) -> tuple[Value, ...]:
        """The values by rows that a node sums over them, or the sums that it adds."""
        if isinstance(node.op, Input) or not node.types[0].dtype.is_float:
            return ()
        spec = spec_of(node)
        if isinstance(spec, Reduce) and spec.kind == "sum" and 0 in spec.axes:
            (source,) = node.inputs
            return (source,) if source.shape[0] == self.rows and not spec.whole else ()
        if isinstance(spec, Contract):
            left, right = node.inputs
            narrow = len(left.shape) == 2 and max(left.shape[0], right.shape[1]) <= NARROW
            if not narrow or right.shape[0] != self.rows or not left.node.inputs:
                return ()
            (source, *_), view = left.node.inputs, spec_of(left.node)
            turned = Strided((left.shape[0], self.rows), (1, left.shape[0]))
            whole = Strided.contiguous(source.shape)
            is_turned = isinstance(view, View) and view.strided(whole) == turned
            return (source, right) if is_turned and source.shape[0] == self.rows else ()
        summed = all(v.node in self.folds for v in node.inputs)
        return node.inputs if node.op.additive and summed else ()

    def build(self, loop: bool) -> Graph:
        """The graph with sums over strips; with the loop behind all else of its level."""
        #: What stands for values in the new graph, and for folds their sums of strips.
        self.new: dict[Value, Value] = {}
        self.partial: dict[Value, Value] = {}
        self.readers = self._readers()
        outside = set(self.graph.outputs)
        nodes: Sequence[Node] = [
            n
            for n in self.graph.nodes
            if isinstance(n.op, Input) or any(v in self.readers or v in outside for v in n.outputs)
        ]
        if loop:
            nodes = sorted(nodes, key=lambda n: (self.level[n], n in self.inside))
        changed = False
        for node in nodes:
            made: Sequence[Value] = node.outputs
            if loop and node in self.inside:
                if not changed:
                    self._loop(nodes)
                    changed = True
                continue
            if node in self.folds:
                if loop and node.outputs[0] not in self.partial:
                    continue
                made = [self._sum(node)]
                changed = True
            elif changed and not isinstance(node.op, Input):
                made = node.with_inputs(tuple(self.new[v] for v in node.inputs)).outputs
            self.new.update(zip(node.outputs, made, strict=True))
        return self.graph.replace([self.new[v] for v in self.graph.outputs])

    def _readers(self) -> dict[Value, list[Node]]:
        """Who reads a value if folds read what they sum."""
        readers: dict[Value, list[Node]] = {}
        seen: set[Node] = set()
        stack = [v.node for v in self.graph.outputs]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            for value in self._summed(node) if node in self.folds else node.inputs:
                readers.setdefault(value, []).append(node)
                stack.append(value.node)
        return readers

    def _sum(self, node: Node) -> Value:
        """The sum over strips that a fold is."""
        value = node.outputs[0]
        with standing_in_for(node):
            if value not in self.partial:
                operands = [
                    self.partial[v] if v.node in self.folds else self._stacked(self.new[v])
                    for v in self._summed(node)
                ]
                self.partial[value] = _fold(node, operands, 1)
            return ops.sum(self.partial[value], (0,))

    def _loop(self, nodes: Sequence[Node]) -> None:
        """The loop over strips; its results are what others read."""
        outside = set(self.graph.outputs)
        region = (self.inside | self.folds).intersection(nodes)
        inner: dict[Value, Value] = {}
        whole: dict[Value, Value] = {}
        sliced: dict[Value, Value] = {}
        for node in (n for n in self.graph.nodes if n in region):
            for value, by_rows in self._operands(node):
                if value not in inner:
                    inner[value] = self._given(value, by_rows, whole, sliced)
            operands = [inner[v] for v, _ in self._operands(node)]
            inner[node.outputs[0]] = self._part(node, operands)
        results = [
            v
            for v in inner
            if v.node in region and (v in outside or not region.issuperset(self.readers[v]))
        ]
        body = own_outputs(Graph((*whole, *sliced), tuple(inner[v] for v in results)))
        op = Scan(body, len(whole), 0, self.rows // self.strip)
        # Its place is in the backward pass where there is one.
        phase = phases(self.graph)
        within = [n for n in nodes if n in region]
        behind = (n for n in within if phase[n] is Phase.BACKWARD)
        with standing_in_for(next(behind, within[0])):
            stacks = apply(op, *whole.values(), *sliced.values())
            for value, stack in zip(results, stacks, strict=True):
                if value.node in self.inside:
                    rows = ops.reshape(stack, value.shape)
                    # A result of the step is computed, no view.
                    self.new[value] = ops.copy(rows) if value in outside else rows
                else:
                    self.partial[value] = stack

    def _operands(self, node: Node) -> Iterator[tuple[Value, bool]]:
        """What a node of a loop reads, and whether that has rows."""
        if node in self.folds:
            yield from ((v, True) for v in self._summed(node))
            return
        product = isinstance(spec_of(node), Contract)
        yield from ((v, not product or k == 0) for k, v in enumerate(node.inputs))

    def _given(
        self, value: Value, by_rows: bool, whole: dict[Value, Value], sliced: dict[Value, Value]
    ) -> Value:
        """What stands for a value from outside in the body: an input, made with its operand."""
        if by_rows and self._is_alike(value) and is_constant(value):
            return self._first(*rebuilt([value], {}))
        operand, operands = self.new[value], whole
        shape = value.shape
        if by_rows:
            # A view may join the rows of what has them in several axes.
            row = shape[1:] if shape[0] == self.rows else (value.type.size // self.rows,)
            shape = (self.strip, *row)
            if self._is_alike(value):
                operand = self._first(operand)
            else:
                operand, operands = ops.reshape(operand, (self.rows // self.strip, *shape)), sliced
        inside = parameter(called(value), value.type.with_shape(shape))
        operands[inside] = operand
        return inside

    def _part(self, node: Node, inputs: Sequence[Value]) -> Value:
        """What a node computes of a strip."""
        spec = spec_of(node)
        if node in self.folds:
            with standing_in_for(node):
                return _fold(node, inputs, 0)
        if isinstance(spec, View):
            spread = _spread(node, spec)
            assert spread is not None
            with standing_in_for(node):
                column = ops.reshape(inputs[0], (self.strip, *spread[1:]))
                return ops.broadcast(column, (self.strip, *node.types[0].shape[1:]))
        types = node.op.infer(*[v.type for v in inputs])
        return Node(node.op, tuple(inputs), types, node.meta).outputs[0]

    def _stacked(self, value: Value) -> Value:
        """An array as one of strips."""
        return ops.reshape(value, (self.rows // self.strip, self.strip, *value.shape[1:]))

    def _first(self, value: Value) -> Value:
        """The first strip of an array."""
        lengths = (self.strip, *value.shape[1:])
        return ops.slice(value, (0,) * len(lengths), lengths, (1,) * len(lengths))

    def _is_alike(self, value: Value) -> bool:
        """Whether all rows of a value are the same, because it was spread over them."""
        if value.shape[:1] != (self.rows,):
            return False
        chain: list[View] = []
        while value.node.inputs and isinstance(spec := spec_of(value.node), View):
            chain.append(spec)
            value = value.node.inputs[0]
        strided: Strided | None = Strided.contiguous(value.shape)
        for view in reversed(chain):
            strided = view.strided(strided) if strided is not None else None
        return strided is not None and strided.strides[0] == 0


def _fold(node: Node, operands: Sequence[Value], batch: int) -> Value:
    """The sum that a node makes, of a strip or, with a batch axis, of every strip."""
    spec = spec_of(node)
    if isinstance(spec, Contract):
        return ops.matmul(ops.transpose(operands[0]), operands[1])
    if isinstance(spec, Reduce):
        return ops.sum(operands[0], tuple(a + batch for a in spec.axes))
    return apply(node.op, *operands)[0]


def _spread(node: Node, spec: View) -> tuple[int, ...] | None:
    """The shape under which a view's operand is broadcast to its result; None if the view does
    anything else.
    """
    strided = spec.strided(Strided.contiguous(node.inputs[0].shape))
    if strided is None:
        return None
    shape = tuple(n if s else 1 for n, s in zip(strided.shape, strided.strides, strict=True))
    whole = math.prod(shape) == node.inputs[0].type.size
    return shape if whole and replace(strided, shape=shape).is_contiguous else None
