"""Gradients that are zero, NaN or infinite."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.ir.graph import Node, Op, Value
from graphc.lint.finding import Subject, behind, number
from graphc.ops.arithmetic import Abs, Divide, Maximum, Multiply, Reciprocal, Square
from graphc.ops.exponential import Log
from graphc.ops.logic import Comparison, Where
from graphc.ops.power import Pow, Rsqrt, Sqrt
from graphc.ops.reduction import Sum
from graphc.ops.trigonometric import Acos, Acosh, Asin, Atanh

#: Operators whose derivative is infinite or NaN somewhere, and the operand by which.
_EDGES: dict[type[Op], int] = {
    Sqrt: 0, Rsqrt: 0, Log: 0, Reciprocal: 0, Divide: 1, Pow: 0, Acos: 0, Asin: 0, Acosh: 0,
    Atanh: 0,
}  # fmt: skip


def disconnected_gradient(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """A parameter that the loss does not depend on."""
    by_meta = {n.meta: n for n in subject.written.nodes}
    for node in subject.written.nodes:
        parameter = by_meta.get(node.meta.gradient_of) if node.meta.gradient_of else None
        if parameter is not None and node.meta.rule is None and number(node.outputs[0]) == 0:
            name = parameter.meta.name or parameter.op.attributes()
            yield (
                node,
                f"{name} gets no gradient: the loss does not depend on it",
                "use it in the loss, or leave it out of what the gradient is taken by",
            )


def infinite_gradient(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """`where(x > 0, log(x), 0)` chooses the right value, but the derivative of the branch that is
    not chosen is multiplied by 0, and 0 · inf is NaN.
    """
    for node in subject.nodes(Where):
        tested = set(_tested(node.inputs[0]))
        for branch in node.inputs[1:]:
            inner = behind(branch).node
            edge = _EDGES.get(type(inner.op))
            if edge is None or inner not in subject.differentiated:
                continue
            risky = behind(inner.inputs[edge])
            if risky in tested and not isinstance(risky.node.op, (Where, Maximum)):
                yield (
                    node,
                    f"the gradient through {inner.op.name} is NaN where `where` takes the other"
                    " branch: 0 · inf",
                    "make the operand safe first: safe = gx.where(ok, x, 1.0);"
                    f" gx.where(ok, {inner.op.name}(safe), other)",
                )


def root_at_zero(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """The derivative of a norm, sqrt(Σ x²), is NaN at x = 0."""
    for node in subject.nodes(Sqrt):
        if node not in subject.differentiated:
            continue
        inside = behind(node.inputs[0]).node
        if isinstance(inside.op, Sum) and _is_square(behind(inside.inputs[0]).node):
            yield (
                node,
                "the gradient of sqrt(sum(x²)) is NaN where all x are 0",
                "gx.sqrt(gx.sum(x * x) + 1e-12)",
            )


def _tested(condition: Value) -> Iterator[Value]:
    """The values that the comparisons of a condition look at, and what they are made of."""
    node = behind(condition).node
    if isinstance(node.op, Comparison):
        for operand in map(behind, node.inputs):
            yield operand
            if isinstance(operand.node.op, (Abs, Square)):
                yield behind(operand.node.inputs[0])


def _is_square(node: Node) -> bool:
    if isinstance(node.op, Square):
        return True
    return isinstance(node.op, Multiply) and behind(node.inputs[0]) is behind(node.inputs[1])
