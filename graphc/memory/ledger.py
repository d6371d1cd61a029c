"""The activation ledger: what is kept from the forward pass for the backward pass, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import Any

from graphc.autodiff.effort import is_light, is_pure, spec_of
from graphc.errors import ArgumentError
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.phases import Phase, phases
from graphc.ir.site import Site
from graphc.ir.spec import Reduce, View
from graphc.ir.variables import assigned
from graphc.schedule.encoding import is_encoding
from graphc.schedule.kernel import Kernel
from graphc.schedule.program import Buffer, Memory, Program


@dataclass(frozen=True, eq=False)
class Saved:
    """A row of the activation ledger: a value that lives from the forward to the backward pass.

    `rule` says which operators' derivatives asked for it and as what; `kind` is the first of these
    that holds: "mask" (a bool, or which elements max pooling chose), "statistic" (computed from
    reductions alone), "operator output" (it is the result of the operator whose derivative asks),
    "operator input". `recompute_flops` is the work of computing it again from the other kept values
    and the arguments.
    """

    value: str
    bytes: int
    #: Bits that an element takes in memory.
    bits: int
    producer: str
    consumers: tuple[str, ...]
    kind: str
    rule: str
    recompute_flops: int
    #: The user's line that computed it, as `model.py:12`; empty where there is none.
    site: str
    #: Where the value stands in the optimized graph: the node's number, and which of its results.
    place: tuple[int, int]
    #: That line and the user's calls that led there, innermost first.
    calls: tuple[Site, ...] = field(repr=False)
    _drop: Callable[[], int] = field(repr=False)

    @cached_property
    def peak_drop_bytes(self) -> int:
        """By how much the arena shrinks when this is computed again instead: `recompute=[row]` is
        planned for it. Negative where its operands then live longer than it did.
        """
        return self._drop()

    def to_dict(self) -> dict[str, Any]:
        """All but the drop of the peak, which takes a plan."""
        shown = [f.name for f in fields(self) if f.repr]
        return {name: getattr(self, name) for name in shown}


def find(rows: Sequence[Saved], graph: Graph, option: str) -> frozenset[Value]:
    """The values of an optimized graph that rows of its ledger are about; raises ArgumentError for
    rows of another step, and for what cannot be computed again.
    """
    found = set()
    for row in rows:
        if not isinstance(row, Saved):
            raise ArgumentError(f"{option}: rows of memory.saved are required, got {row!r}")
        number, index = row.place
        values = graph.nodes[number].outputs if number < len(graph.nodes) else ()
        if index >= len(values) or name(values[index]) != row.value:
            raise ArgumentError(f"{option}: {row.value!r} is a row of another step's ledger")
        found.add(values[index])
    return frozenset(found)


def kept(program: Program) -> list[tuple[Value, list[Node]]]:
    """Values in the arena that forward kernels compute and backward ones read, with the readers."""
    phase = phases(program.graph)
    readers: dict[Value, list[Node]] = {}
    for kernel in program.kernels:
        for node in kernel.nodes:
            if phase[node] is Phase.FORWARD:
                continue
            for root in _roots(kernel, node):
                if phase[root.node] is Phase.FORWARD and root.node not in kernel.group.level:
                    readers.setdefault(root, []).append(node)
    return [
        (value, nodes)
        for value, nodes in readers.items()
        if program.buffers[value].memory is Memory.ARENA
    ]


#: What a buffer of the arena is for.
CLASSES = ("saved", "recomputed", "forward", "backward", "update", "workspace")


def classes(program: Program) -> dict[Buffer, str]:
    """One of CLASSES for each buffer: "saved" holds values of the ledger, "recomputed" what is
    computed again; the others are named by the phase that computes what they hold first.
    """
    phase = phases(program.graph)
    across = {program.buffers[v] for v, _ in kept(program)}
    found = {}
    for buffer in program.arena_buffers:
        if buffer.memory is Memory.WORKSPACE:
            found[buffer] = "workspace"
        elif buffer in across:
            found[buffer] = "saved"
        elif any(v.node.meta.clone for v in buffer.values):
            found[buffer] = "recomputed"
        else:
            found[buffer] = phase[buffer.values[0].node].value
    return found


def rows(program: Program, optimized: Graph, drop: Callable[[Value], int]) -> tuple[Saved, ...]:
    """The ledger, largest first. `drop(value)` plans the step with a value computed again."""
    found = kept(program)
    values = {value for value, _ in found}
    # Nodes that were made anew have the origin of the optimized ones.
    number = {node.meta: k for k, node in enumerate(optimized.nodes)}
    result = []
    for value, nodes in found:
        asked = list(_rules(value, nodes, program.graph))
        # The value in the optimized graph.
        place = number[(value.node.meta.early or value.node).meta], value.index
        origin = optimized.nodes[place[0]].outputs[value.index]
        result.append(
            Saved(
                name(value),
                program.buffers[value].nbytes,
                1 if value in program.kernels[0].storage.packed else 8 * value.dtype.itemsize,
                describe(value.node),
                tuple(dict.fromkeys(describe(n) for n in nodes)),
                _kind(value, [role for role, _ in asked]),
                "; ".join(dict.fromkeys(text for _, text in asked)),
                _recompute_flops(value, values),
                str(value.node.meta.site or ""),
                place,
                tuple(_calls(value.node.meta.site)),
                partial(drop, origin) if is_pure(value.node) else int,
            )
        )
    return tuple(sorted(result, key=lambda r: (-r.bytes, r.place)))


def _calls(site: Site | None) -> Iterator[Site]:
    while site is not None:
        yield site
        site = site.caller


def name(value: Value) -> str:
    """The user's name of a value, or the variable that holds it, where there is one, else its
    operator; and its type.
    """
    node = value.node
    operator = node.written.op.name
    variable = assigned(node.meta.site, operator) if node.meta.rule is None else None
    return f"{node.meta.name or variable or operator} {value.type}"


def describe(node: Node) -> str:
    where = f" ({node.meta.site})" if node.meta.site is not None else ""
    return f"{node.written.op.name}{where}"


def _roots(kernel: Kernel, node: Node) -> Iterator[Value]:
    for value in node.inputs:
        place = kernel.place(value)
        if place is not None:
            yield place.root


def _kind(value: Value, roles: Sequence[str]) -> str:
    if is_encoding(value):
        return "mask"
    if _is_statistic(value):
        return "statistic"
    return "operator output" if roles and roles[0] == "output" else "operator input"


def _is_statistic(value: Value) -> bool:
    """Whether a value is the result of reductions, or computed from such element by element."""
    stack, seen = [value], {value}
    while stack:
        node = stack.pop().node
        if isinstance(node.op, Input):
            continue
        if isinstance(spec_of(node), Reduce):
            return True
        if is_light(node):
            sources = {v for v in node.inputs if v.type.size == value.type.size} - seen
            seen |= sources
            stack.extend(sources)
    return False


def _rules(value: Value, readers: list[Node], graph: Graph) -> Iterator[tuple[str, str]]:
    """Which derivatives asked for a value, and as what. A reader that computes something again asks
    on behalf of its own readers.
    """
    stack, seen = list(readers), set(readers)
    while stack:
        node = stack.pop(0)
        if node.meta.clone:
            again = [n for v in node.outputs for n in graph.uses.get(v, ())]
            stack.extend(n for n in again if n not in seen)
            seen.update(again)
            continue
        rule = node.meta.rule
        if rule is None:
            yield "input", f"read by {describe(node)}"
            continue
        role = _role(rule, value)
        yield role, f"{role} of {describe(rule)}"


def _role(rule: Node, value: Value) -> str:
    if is_encoding(value):
        return "mask"
    origin = value.node.written.meta
    for k, operand in enumerate(rule.inputs):
        if any(node.written.meta is origin for node in _behind_views(operand)):
            return f"input {k}"
    return "output" if rule.written.meta is origin else "for the derivative"


def _behind_views(value: Value) -> Iterator[Node]:
    """The node of a value, and where that is a view those of what it is a view of."""
    node = value.node
    yield node
    while node.inputs and isinstance(spec_of(node), View):
        node = node.inputs[0].node
        yield node


def _recompute_flops(value: Value, kept: set[Value]) -> int:
    """Flops of the nodes between a value and the arguments and other kept values."""
    total, stack, seen = 0, [value.node], {value.node}
    while stack:
        node = stack.pop()
        total += node.op.flops(*[v.type for v in node.inputs])
        for source in node.inputs:
            fresh = source.node not in seen and source not in kept
            if fresh and not isinstance(source.node.op, Input):
                seen.add(source.node)
                stack.append(source.node)
    return total
