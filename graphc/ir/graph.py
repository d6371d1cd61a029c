"""The static typed graph: operators, nodes, values."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphc.dtypes import TensorType
from graphc.ir import site as sites
from graphc.ir.meta import Meta, stand_in
from graphc.ir.terms import Term
from graphc.ir.toposort import toposort

if TYPE_CHECKING:
    import networkx

    from graphc.ir.names import Names
    from graphc.ir.onnx_graph import Builder
    from graphc.ir.python import Dialect
    from graphc.ir.spec import Spec


class Op:
    """What a node computes. A subclass is a frozen dataclass whose fields are static parameters.

    Everything that is true of an operator stands in its class: type rule (`infer`), NumPy
    reference, rules for derivatives and batches, and how it is computed (`spec`). One without a
    derivative sets `vjp = None`. Equal operators applied to equal inputs are equal nodes, so
    parameters compare by bits where they hold numbers.
    """

    name: ClassVar[str]
    pure: ClassVar[bool] = True  #: Equal inputs give equal results, and nothing else happens.
    commutative: ClassVar[bool] = False  #: Swapping the two operands changes no bit.
    flattens: ClassVar[bool] = False  #: f(f(a, b), c) is f(a, b, c) if these operators are equal.
    additive: ClassVar[bool] = False  #: f(a + b, c + d) is f(a, c) + f(b, d), but for rounding.
    compact: ClassVar[bool] = False  #: Stands for its operand where derivatives ask, in few bits.
    #: The kinds of dtypes ("b", "u", "i", "f") on which `reference` and C agree to the bit, so that
    #: constants may be folded.
    exact: ClassVar[str] = ""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the results; raises ShapeError or DTypeError for inputs it cannot take."""
        raise TypeError(f"{type(self).__name__} has no type rule")

    def reference(self, *arrays: np.ndarray) -> Any:
        """The result in NumPy (a tuple where the operator has several): the oracle."""
        raise TypeError(f"{type(self).__name__} has no reference")

    @property
    def literal(self) -> np.ndarray | None:
        """The result of an operator that is a constant; None for all others."""
        return None

    #: `vjp(node, *cotangents)` gives one cotangent (or None for zero) per input.
    vjp: Callable[..., Sequence[Value | None]] | None = None
    #: `jvp(node, *tangents)` gives one tangent (or None for zero) per result; a tangent of an
    #: input that does not move is None.
    jvp: Callable[..., Sequence[Value | None]] | None = None
    #: `batch(size, inputs, batched)` applies the operator to inputs of which some have a new
    #: leading axis of that size; gives the results and whether each has the axis.
    batch: Callable[..., tuple[Sequence[Value], Sequence[bool]]] | None = None

    def spec(self, *types: TensorType) -> Spec:
        """How the result is computed, as one of the declarations of `ir/spec.py`."""
        raise TypeError(f"{type(self).__name__} has no spec")

    def positions(self, *types: TensorType) -> Sequence[tuple[int, int]]:
        """The operands that hold positions, each with the extent of the axis that they index."""
        return ()

    def flops(self, *types: TensorType) -> int:
        """Floating-point operations of one application, for cost reports."""
        return 0

    @property
    def parameters(self) -> tuple[Any, ...]:
        """What tells operators of a class apart in any process, bodies aside: plain data."""
        given: Sequence[Any] = fields(self) if is_dataclass(self) else ()
        return tuple([x for f in given if not isinstance(x := getattr(self, f.name), Graph)])

    @property
    def bodies(self) -> tuple[Graph, ...]:
        """The graphs that the operator runs: a loop's body, the branches of a condition."""
        return ()

    def with_bodies(self, bodies: Sequence[Graph]) -> Op:
        """The same operator with other bodies of the same inputs and outputs."""
        raise TypeError(f"{type(self).__name__} owns no graph")

    #: Of operators with bodies. `runs(*arrays)` gives them turn by turn, with what each is given.
    runs: Callable[..., Iterator[tuple[Graph, Sequence[np.ndarray]]]] | None = None
    #: `narrowed(inputs, used)` gives the results that are `used` (None in
    #: the place of others) from an operator that does less; None where nothing can be left out.
    narrowed: Callable[..., Sequence[Value | None] | None] | None = None
    #: `joined(other)` gives the operator that computes, from the same inputs, its own results and
    #: then those of `other`, and where these are; None where there is none.
    joined: Callable[..., tuple[Op, Sequence[int]] | None] | None = None

    def attributes(self) -> str:
        """The static parameters as text, for printing: `axes=(0,), keepdims=False`."""
        given: Sequence[Any] = fields(self) if is_dataclass(self) else ()
        return ", ".join(f"{f.name}={getattr(self, f.name)}" for f in given)

    def formula(self, *operands: Term) -> Term:
        """The application in the notation of mathematics, shapes left out: `relu(x @ w + b)`."""
        parameters = self.attributes()
        given = [t.text for t in operands]
        return Term(f"{self.name}({'; '.join(filter(None, [', '.join(given), parameters]))})")

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        """The application as Python for an array library; None where that has no words for it."""
        return None

    def onnx(self, to: Builder, types: Sequence[TensorType], *names: str) -> Sequence[str] | None:
        """The application in ONNX: names of results; None where ONNX has no operator for it."""
        return None

    def lined_up(self, operand: Term, type: TensorType) -> Term | None:
        """What broadcasting makes the result of, for an operator that only spreads; else None."""
        return None


class Node:
    """One application of an operator. Immutable; `serial` grows with creation."""

    __slots__ = ("inputs", "meta", "op", "outputs", "serial", "types")

    def __init__(
        self, op: Op, inputs: tuple[Value, ...], types: tuple[TensorType, ...], meta: Meta
    ):
        self.op = op
        self.inputs = inputs
        self.types = types
        self.meta = meta
        self.serial = next(_serials)
        self.outputs = tuple(Value(self, i) for i in range(len(types)))

    def with_inputs(self, inputs: tuple[Value, ...]) -> Node:
        """The same application on other inputs of the same types."""
        return Node(self.op, inputs, self.types, self.meta)

    @property
    def written(self) -> Node:
        """The node as the user or a derivative wrote it, where a pass put this in its place."""
        return self.meta.stands_for or self

    def __repr__(self) -> str:
        return f"<Node {self.serial} {self.op.name} {self.types}>"


class Value:
    """The `index`-th result of a node."""

    __slots__ = ("index", "node")

    def __init__(self, node: Node, index: int):
        self.node = node
        self.index = index

    @property
    def type(self) -> TensorType:
        return self.node.types[self.index]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.types[self.index].shape

    @property
    def dtype(self):
        return self.node.types[self.index].dtype

    def __repr__(self) -> str:
        return f"<Value {self.node.serial}.{self.index} {self.node.op.name}: {self.type}>"


_serials = itertools.count()
_regions = itertools.count(1)


class _Origin(threading.local):
    """The origin of nodes made now, where it is not the user's line, and the innermost region."""

    meta: Meta | None = None
    region: int = 0


_origin = _Origin()


@contextmanager
def derived_from(node: Node) -> Iterator[None]:
    """Nodes made inside are derivatives of `node`: its line, and `rule` set to it."""
    before = _origin.meta
    _origin.meta = Meta(node.meta.site, rule=node, region=_origin.region)
    try:
        yield
    finally:
        _origin.meta = before


@contextmanager
def standing_in_for(node: Node) -> Iterator[None]:
    """Nodes made inside replace `node` and keep its origin."""
    before = _origin.meta
    _origin.meta = node.meta
    try:
        yield
    finally:
        _origin.meta = before


@contextmanager
def checkpointed() -> Iterator[None]:
    """Nodes made inside belong to a region of their own: recomputed for the backward pass."""
    before = _origin.region
    _origin.region = next(_regions)
    try:
        yield
    finally:
        _origin.region = before


def current_site() -> sites.Site | None:
    """The line that a node made now would carry."""
    return _origin.meta.site if _origin.meta is not None else sites.here()


def next_serial() -> int:
    """A number below the serial of every node made from now on."""
    return next(_serials)


def apply(op: Op, *inputs: Value) -> tuple[Value, ...]:
    """A new node: types inferred and checked, origin recorded."""
    types = op.infer(*[v.type for v in inputs])
    given = _origin.meta
    meta = Meta(sites.here(), region=_origin.region) if given is None else given.part()
    return Node(op, inputs, types, meta).outputs


@dataclass(frozen=True)
class Input(Op):
    """A value that comes from outside; never merged, identity is by node."""

    name = "input"
    label: str
    type: TensorType
    pure = False

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (self.type,)

    def attributes(self) -> str:
        return repr(self.label)


def new_input(label: str, type: TensorType) -> Value:
    return apply(Input(label, type))[0]


Rewrite = Callable[[Node, tuple[Value, ...]], "Sequence[Value] | None"]


@dataclass(frozen=True, eq=False)
class Graph:
    """A pure function as a graph: ordered inputs, ordered outputs, all nodes between.

    `donated` pairs input positions with output positions: the output takes the input's memory.
    `before` is the graph from which a pass made this one, so that values keep their names.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...] = ()
    donated: dict[int, int] = field(default_factory=dict)
    before: Graph | None = None

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that an output needs, and all inputs, in written order (topological)."""
        return toposort((*self.inputs, *self.outputs))

    def __len__(self) -> int:
        return len(self.nodes)

    @cached_property
    def uses(self) -> dict[Value, list[Node]]:
        """The nodes that read each value, in order; a node that reads it twice stands twice."""
        uses: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                uses.setdefault(value, []).append(node)
        return uses

    @cached_property
    def names(self) -> Names:
        """What values are called, here and in the graphs before."""
        from graphc.ir.names import named

        return named(self)

    def made_from(self, before: Graph) -> Graph:
        """This graph as what a pass made of another one."""
        if self is before:
            return self
        return Graph(self.inputs, self.outputs, self.output_names, self.donated, before)

    def replace(self, outputs: Sequence[Value]) -> Graph:
        return Graph(self.inputs, tuple(outputs), self.output_names, self.donated)

    def map(self, rewrite: Rewrite) -> Graph:
        """Rebuilds the graph in order. `rewrite(node, inputs)` gives the values that stand for the
        node's results (of the same types), or None to keep the node on its new inputs. The inputs
        are of the new graph; a result may also be an earlier value of this one, for its new self.

        From the first change on every node is made anew, so that the order of serial numbers stays
        the written order. A graph in which nothing changes is returned as it is.
        """
        new: dict[Value, Value] = {}
        changed = False
        for node in self.nodes:
            values: Sequence[Value] = node.outputs
            if not isinstance(node.op, Input):
                inputs = tuple([new[v] for v in node.inputs])
                since = next_serial()
                rewritten = rewrite(node, inputs)
                if rewritten is not None:
                    changed = True
                    values = [new.get(v, v) for v in rewritten]
                    for value in values:
                        stand_in(node, value.node, since)
                elif changed:
                    values = node.with_inputs(inputs).outputs
            for old, value in zip(node.outputs, values, strict=True):
                new[old] = value
        return self.replace([new[v] for v in self.outputs]) if changed else self

    @classmethod
    def from_outputs(cls, outputs: Sequence[Any]) -> Graph:
        """The graph of some tensors (or values), expression by expression."""
        values = [sites.required(getattr(v, "value", v), Value, "from_outputs") for v in outputs]
        return cls.from_values(values)

    @classmethod
    def from_values(cls, outputs: Sequence[Value]) -> Graph:
        """The graph of some values; its inputs in the order in which they were made."""
        inputs = tuple(n.outputs[0] for n in toposort(outputs) if isinstance(n.op, Input))
        return cls(inputs, tuple(outputs))

    def diff(self, other: Graph) -> str:
        """What another graph says differently, as a unified diff of the printed graphs."""
        from graphc.ir.printer import diff_text

        return diff_text(self, other)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """The graph as a MultiDiGraph; see `graphc.ir.formats`."""
        from graphc.ir.formats import to_networkx

        return to_networkx(self)

    def to_dot(self) -> str:
        """The graph in Graphviz's language."""
        from graphc.ir.formats import to_dot

        return to_dot(self)

    def to_onnx(self) -> Any:
        """The forward part as an `onnx.ModelProto`; see `graphc.ir.onnx_graph`."""
        from graphc.ir.onnx_graph import to_onnx

        return to_onnx(self)

    def to_python(self, to: str = "numpy") -> str:
        """The graph as standalone Python for "numpy" or "torch": forward, backward and update."""
        from graphc.ir.derivation import python_text

        return python_text(self, to)

    def _repr_html_(self) -> str:
        from graphc.ir.formats import to_html

        return to_html(self)

    def __str__(self) -> str:
        from graphc.ir.printer import graph_text

        return graph_text(self)

    def __repr__(self) -> str:
        return f"<Graph {len(self)} nodes, {len(self.inputs)} inputs, {len(self.outputs)} outputs>"
