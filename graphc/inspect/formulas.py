"""A kernel as formulas in the user's names."""

from __future__ import annotations

from collections.abc import Callable

from graphc.ir.graph import Value
from graphc.ir.terms import Term
from graphc.schedule.kernel import Kernel
from graphc.schedule.storage import Role

#: Longer expressions get a name of their own.
_LONGEST = 72


def formulas(kernel: Kernel, name: Callable[[Value], str]) -> list[str]:
    """One equation for every result of a kernel, and for what is used more than once in it;
    everything else stands where it is used.
    """
    members = sorted(kernel.nodes, key=lambda n: n.serial)
    uses: dict[Value, int] = {}
    for node in members:
        for value in node.inputs:
            place = kernel.place(value)
            if place is not None:
                uses[place.root] = uses.get(place.root, 0) + 1
    written = set(kernel.writes)
    terms: dict[Value, Term] = {}
    lines = []
    for node in members:
        term = node.op.formula(*[_term(v, kernel, terms, name) for v in node.inputs])
        first = node.outputs[0]
        named = first in written or uses.get(first, 0) > 1 or len(term.text) > _LONGEST
        if named or len(node.outputs) > 1:
            terms.update((v, Term(name(v))) for v in node.outputs)
            lines.append(f"{', '.join(map(name, node.outputs))} = {term.text}")
        else:
            terms[first] = term
    return lines


def _term(
    value: Value, kernel: Kernel, terms: dict[Value, Term], name: Callable[[Value], str]
) -> Term:
    """What other kernels computed has a name; views and what is free stand as they are."""
    stack = [value]
    while stack:
        top = stack[-1]
        node = top.node
        missing = [v for v in node.inputs if v not in terms]
        if top in terms:
            stack.pop()
        elif kernel.storage.role[node] in (Role.GIVEN, Role.COMPUTED):
            terms[top] = Term(name(top))
        elif missing:
            stack.extend(missing)
        else:
            terms[top] = node.op.formula(*[terms[v] for v in node.inputs])
    return terms[value]
