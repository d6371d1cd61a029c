"""Loops and choices in ONNX: graphs inside of a node, which see the names outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphc.dtypes import TensorType, bool_, int64
from graphc.ir.graph import Graph
from graphc.ir.onnx_graph import Builder

if TYPE_CHECKING:
    from graphc.control.scan import Scan


def loop(
    op: Scan, to: Builder, operands: Sequence[str], condition: Graph | None = None
) -> Sequence[str]:
    """A Loop: slices are read by the number of the step; the rows that it gives are put in the
    order of slices, zeros behind those of the steps that were taken.
    """
    count, consts, carries, arrays = op.operands(operands)
    length = to.constant(np.array(op.length))
    trips = length
    for given in count:
        trips = to.node("Min", to.node("Max", given, to.constant(np.array(0))), length)
    inner = to.inner()
    step, goes_on, *held = (inner.fresh() for _ in range(2 + len(carries)))
    at = step
    if op.reverse:
        at = inner.node("Sub", inner.node("Sub", trips, inner.constant(np.array(1))), step)
    slices = [inner.node("Gather", array, at, axis=0) for array in arrays]
    results = inner.written(op.body, [*consts, *held, *slices])
    following = [*consts, *results[: op.carries]]
    if condition is None:
        again, first = inner.constant(np.array(True)), to.constant(np.array(True))
    else:
        (again,), (first,) = (
            b.written(condition, v) for b, v in ((inner, following), (to, [*consts, *carries]))
        )
    kinds = [v.type for v in op.body.outputs]
    flag = TensorType((), bool_)
    given_types = [TensorType((), int64), flag, *kinds[: op.carries]]
    declared = [inner.info(n, t) for n, t in zip([step, goes_on, *held], given_types, strict=True)]
    body = inner.graph(declared, _own(inner, [again, *results], [flag, *kinds]))
    found = to.several("Loop", len(kinds), trips, first, *carries, body=body)
    partial = bool(count) or condition is not None
    rows = [
        _placed(to, name, kind, op, partial)
        for name, kind in zip(found[op.carries :], kinds[op.carries :], strict=True)
    ]
    return [*found[: op.carries], *rows]


def choice(
    to: Builder, verdict: str, operands: Sequence[str], yes: Graph, no: Graph
) -> Sequence[str]:
    """An If of two graphs with the same inputs."""
    branches = []
    for graph in (yes, no):
        inner = to.inner()
        results = inner.written(graph, operands)
        branches.append(inner.graph([], _own(inner, results, [v.type for v in graph.outputs])))
    both = {"then_branch": branches[0], "else_branch": branches[1]}
    return to.several("If", len(yes.outputs), verdict, **both)


def _own(inner: Builder, names: Sequence[str], types: Sequence[TensorType]) -> list:
    """Declarations of results that are computed inside, whatever they are called outside."""
    return [inner.info(inner.node("Identity", n), t) for n, t in zip(names, types, strict=True)]


def _placed(to: Builder, rows: str, kind: TensorType, op: Scan, partial: bool) -> str:
    if op.reverse:
        ends = ([-1], [-(2**31)], [0], [-1])
        rows = to.node("Slice", rows, *map(to.constant, ends))
    if not partial:
        return rows
    # As many zeros as lack: the rows in front of `length` of them, cut to the length.
    zeros = to.constant(np.zeros((op.length, *kind.shape), kind.dtype.numpy))
    both = to.node("Concat", rows, zeros, axis=0)
    return to.node("Slice", both, *map(to.constant, ([0], [op.length], [0])))
