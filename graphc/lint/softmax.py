"""Exponentials that overflow, and a softmax over the wrong axis."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.ir.graph import Node, Value
from graphc.lint.finding import Subject, behind
from graphc.ops.arithmetic import Divide, Multiply, Reciprocal, Subtract
from graphc.ops.exponential import Exp, Log
from graphc.ops.reduction import Max, Sum
from graphc.ops.softmax import Softmax


def log_of_softmax(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """log(softmax(x)) is -inf where softmax underflows to 0."""
    for node in subject.nodes(Log):
        if _axes(behind(node.inputs[0]).node) is not None:
            yield (
                node,
                "the logarithm of a softmax is -inf where the softmax underflows to 0",
                "nn.log_softmax(x), or nn.softmax_cross_entropy on the logits",
            )


def log_of_sum_of_exp(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """log(Σ exp(x)) overflows, unless the largest x is subtracted first."""
    for node in subject.nodes(Log):
        total = behind(node.inputs[0]).node
        if not isinstance(total.op, Sum):
            continue
        e = behind(total.inputs[0]).node
        if isinstance(e.op, Exp) and not _is_shifted(e.inputs[0]):
            yield (
                node,
                "log of a sum of exp is inf as soon as one x passes 88 (in float32)",
                "gx.logsumexp(x, axis=…)",
            )


def softmax_over_batch(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """A softmax that sums over the first axis makes the rows of a batch depend on one another."""
    for node in subject.nodes(Softmax, Divide, Multiply):
        shape = node.types[0].shape
        if _axes(node) == (0,) and len(shape) > 1:
            yield (
                node,
                f"softmax over axis 0 of {list(shape)}: over the batch, not over the classes",
                "axis=-1, or a transposed array if the first axis holds the classes",
            )


def _axes(node: Node) -> tuple[int, ...] | None:
    """The axes of a softmax, also one that is written e / Σ e or e · (1 / Σ e) with e = exp(…);
    None for all else.
    """
    if isinstance(node.op, Softmax):
        return node.op.axes
    if isinstance(node.op, Divide):
        numerator, total = (behind(v).node for v in node.inputs)
    elif isinstance(node.op, Multiply):
        numerator, inverse = (behind(v).node for v in node.inputs)
        if not isinstance(inverse.op, Reciprocal):
            return None
        total = behind(inverse.inputs[0]).node
    else:
        return None
    if not isinstance(numerator.op, Exp) or not isinstance(total.op, Sum):
        return None
    return total.op.axes if behind(total.inputs[0]).node is numerator else None


def _is_shifted(x: Value) -> bool:
    """Whether a maximum, or what was made of one, is subtracted."""
    node = behind(x).node
    if not isinstance(node.op, Subtract):
        return False
    stack = [node.inputs[1]]
    for _ in range(8):
        if not stack:
            return False
        source = behind(stack.pop()).node
        if isinstance(source.op, Max):
            return True
        stack.extend(source.inputs)
    return False
