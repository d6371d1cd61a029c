"""Whether parts of declarations are the same, expression by expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from graphc.ir.expr import INDEX, Expr, Var, call
from graphc.ir.graph import Node
from graphc.ir.loops import Stmt, Store
from graphc.ir.spec import Index, Nest, NestIO, Pointwise, Scatter, Spec, View


def alike(parts: Sequence[Any]) -> bool:
    """Whether expressions, statements or sequences of them are equal in all that they hold."""
    seen: set[tuple[int, int]] = set()
    stack = [(parts[0], other) for other in parts[1:]]
    while stack:
        a, b = stack.pop()
        if a is b or (id(a), id(b)) in seen:
            continue
        if type(a) is not type(b):
            return False
        if isinstance(a, (Expr, Stmt)) and is_dataclass(a):
            seen.add((id(a), id(b)))
            stack.extend((getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
        elif isinstance(a, (list, tuple)):
            if len(a) != len(b):
                return False
            stack.extend(zip(a, b, strict=True))
        elif a != b:
            return False
    return True


def mentions(parts: Any, name: str) -> bool:
    """Whether a variable of that name stands in expressions or sequences of them."""
    stack, seen = [parts], set()
    while stack:
        part = stack.pop()
        if isinstance(part, Var) and part.name == name:
            return True
        if isinstance(part, (list, tuple)):
            stack.extend(part)
        elif isinstance(part, (Expr, Stmt)) and is_dataclass(part) and id(part) not in seen:
            seen.add(id(part))
            stack.extend(getattr(part, f.name) for f in fields(part))
    return False


def computation(node: Node, spec: Spec) -> Any:
    """What an element (of a loop nest: a unit of work) is computed of, as expressions; None for a
    declaration that says it otherwise. Elements of operands are calls, so that only positions
    count, not where they lie.
    """

    def read(k: int, at: Index) -> Expr:
        return call(f"operand{k}", node.inputs[k].dtype, *at)

    def place(ndim: int) -> Index:
        return tuple(Var(INDEX, f"i{a}") for a in range(ndim))

    match spec:
        case View(index, _):
            return index(place(node.types[0].ndim))
        case Pointwise(body, _):
            return body(place(node.types[0].ndim), read)
        case Scatter(position, count, kind, batch):
            behind = node.types[0].ndim - count
            at = place(node.inputs[1].type.ndim - behind)
            return [count, kind, batch, position(read, at)]
        case Nest():
            return [spec.scratch, list(spec.body(_NestReader(spec, read).io))]
        case _:
            return None


class _NestReader:
    """Lets a loop nest be written with numbered names."""

    def __init__(self, spec: Nest, read: Any):
        self.read = read
        self.count = 0
        scratch = tuple(f"scratch{k}" for k in range(len(spec.scratch)))
        self.io = NestIO(Var(INDEX, "unit"), read, self.write, self.fetch, scratch, self.fresh)
        self.streams = spec.streams

    def write(self, k: int, at: Index, value: Expr) -> Stmt:
        return Store(f"result{k}", call("at", INDEX, *at), value)

    def fetch(self, at: Index) -> tuple[list[Stmt], Expr]:
        assert self.streams is not None
        return [], self.read(self.streams, at)

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{self.count}"
