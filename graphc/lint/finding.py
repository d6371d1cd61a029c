"""What a rule looks at, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from graphc.ir.graph import Graph, Node, Op, Value
from graphc.ir.spec import View
from graphc.ops.convert import AsType, Identity
from graphc.passes.cse import cse


@dataclass(frozen=True)
class Finding:
    """A mistake: the rule's name, the user's line (`model.py:12`) and file, cause and remedy."""

    rule: str
    line: str
    path: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.line}: {self.cause} [{self.rule}]\n    {self.remedy}"


T = TypeVar("T", bound=Op)
#: Yields the node at fault, the cause and the remedy.
Rule = Callable[["Subject"], Iterator[tuple[Node, str, str]]]


class Subject:
    """A graph as written, with what rules ask of it. In `graph` equal nodes are one."""

    def __init__(self, written: Graph):
        self.written = written
        self.graph = cse(written)

    def nodes(self, *kinds: type[Op]) -> Iterator[Node]:
        """The user's own nodes of some operators, in order."""
        for node in self.graph.nodes:
            if isinstance(node.op, kinds) and node.meta.rule is None:
                yield node

    @cached_property
    def differentiated(self) -> set[Node]:
        """The nodes through which a derivative was taken."""
        metas = {n.meta.rule.meta for n in self.graph.nodes if n.meta.rule is not None}
        return {n for n in self.graph.nodes if n.meta in metas}

    def readers(self, node: Node) -> Iterator[Node]:
        """The nodes that read a node's results, through views."""
        stack = list(node.outputs)
        while stack:
            for reader in self.graph.uses.get(stack.pop(), ()):
                if is_transparent(reader):
                    stack.extend(reader.outputs)
                else:
                    yield reader


def is_transparent(node: Node) -> bool:
    """Whether a node gives the numbers of its one operand: a view, an identity, a conversion."""
    if len(node.inputs) != 1:
        return False
    if isinstance(node.op, (Identity, AsType)):
        return True
    return isinstance(node.op.spec(node.inputs[0].type), View)


def behind(value: Value) -> Value:
    """The value whose numbers a chain of views and identities shows."""
    while is_transparent(value.node):
        value = value.node.inputs[0]
    return value


def number(value: Value) -> float | None:
    """The number that a constant has everywhere; None for all others."""
    literal = behind(value).node.op.literal
    return float(literal.flat[0]) if literal is not None and literal.size == 1 else None
