"""What operators that own graphs share: they are equal when their graphs have one structure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property

from graphc.dtypes import TensorType
from graphc.errors import ShapeError
from graphc.ir.graph import Graph, Input, Node, Op, Value, new_input
from graphc.ir.site import located
from graphc.ir.structure import rebuilt, structure
from graphc.ir.toposort import toposort


class Owner(Op):
    """An operator with bodies. A body is closed: it reads its own inputs alone."""

    def reading(self, value: Value, bodies: Sequence[Graph]) -> tuple[Owner, int]:
        """The operator with other bodies, which may read one value more than the inputs that they
        have; and where among the operands that value stands.
        """
        raise TypeError(f"{type(self).__name__} takes no further operand")

    @cached_property
    def _key(self) -> Hashable:
        return (self.parameters, tuple(structure(body) for body in self.bodies))

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            type(self) is type(other)
            and isinstance(other, Owner)
            and self._hash == other._hash
            and self._key == other._key
        )

    def __hash__(self) -> int:
        return self._hash


def body_flops(body: Graph) -> int:
    """Floating-point operations of one evaluation of a body."""
    return sum(n.op.flops(*[v.type for v in n.inputs]) for n in body.nodes)


def closed(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[list[Value], Graph]:
    """A graph of `outputs` by `inputs` that reads nothing else: (outer, graph), where the values of
    `outer`, from outside, are inputs of the graph in front of the others. What follows from
    constants alone stands inside, where the laws of operators can see it; what does not depend on
    the inputs, outside, where it is computed once.
    """
    moving = set(inputs)
    inner: list[Node] = []
    for node in toposort(outputs, since=min((v.node.serial for v in inputs), default=0)):
        if any(v in moving for v in node.inputs):
            inner.append(node)
            moving.update(node.outputs)
    outer: dict[Value, None] = {}
    for value in [*(v for n in inner for v in n.inputs), *outputs]:
        if value not in moving and not is_constant(value):
            outer[value] = None
    given = {v: parameter(called(v), v.type) for v in (*outer, *inputs)}
    return list(outer), Graph(tuple(given.values()), tuple(rebuilt(outputs, given)))


#: More nodes behind a value than this are not copied into a body.
_MOST_CONSTANT = 64


def is_constant(value: Value) -> bool:
    """Whether a value follows from constants alone, by few operations."""
    seen: set[Node] = set()
    stack = [value.node]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node.op, Input) or node.op.bodies or len(seen) > _MOST_CONSTANT:
            return False
        stack.extend(v.node for v in node.inputs)
    return True


def parameter(label: str, type: TensorType) -> Value:
    """An input of a body, which printed graphs call by its label."""
    value = new_input(label, type)
    value.node.meta.name = label
    return value


def called(value: Value) -> str:
    """What a value is called inside a body."""
    node = value.node
    return node.meta.name or (node.op.label if isinstance(node.op, Input) else node.op.name)


def split(values: Sequence, *counts: int) -> Iterator[list]:
    """A sequence in parts of these lengths, and what is left."""
    start = 0
    for count in counts:
        yield list(values[start : start + count])
        start += count
    yield list(values[start:])


def check_operands(what: str, wanted: Sequence, given: Sequence) -> None:
    """Raises ShapeError where the operands of an operator do not fit its body."""
    if list(wanted) != list(given):
        wants = ", ".join(map(str, wanted))
        raise ShapeError(located(f"{what}({', '.join(map(str, given))}): required {wants}"))
