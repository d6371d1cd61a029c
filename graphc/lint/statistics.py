"""Statistics of too little."""

from __future__ import annotations

import math
from collections.abc import Iterator

from graphc.ir.graph import Node
from graphc.lint.finding import Subject, behind, number
from graphc.ops.arithmetic import Divide, Square, Subtract
from graphc.ops.reduction import Sum


def variance_of_one(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """The variance of one element is 0, and with a correction of one it is 0 / 0."""
    for node in subject.nodes(Divide):
        total = behind(node.inputs[0]).node
        if not isinstance(total.op, Sum):
            continue
        square = behind(total.inputs[0]).node
        distance = behind(square.inputs[0]).node if isinstance(square.op, Square) else None
        if distance is None or not isinstance(distance.op, Subtract):
            continue
        shape = total.inputs[0].shape
        elements = math.prod(shape[a] for a in total.op.axes)
        if elements == 1 or number(node.inputs[1]) == 0:
            value = "0 / 0, NaN" if number(node.inputs[1]) == 0 else "always 0"
            yield (
                node,
                f"the variance over axes {total.op.axes} of {list(shape)} is that of {elements}"
                f" element{'' if elements == 1 else 's'}: {value}",
                "take it over an axis with more elements (a batch of one cannot be normalised)",
            )
