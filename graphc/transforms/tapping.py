"""tap: what a tensor is like, at every step, beside the function's result."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, TraceError
from graphc.functions.promotion import as_value
from graphc.ir import site
from graphc.ir.graph import Input, Node, Value
from graphc.ir.site import located, required, writable
from graphc.ir.toposort import toposort
from graphc.ops import taps
from graphc.tensor import Tensor


class Tapped(NamedTuple):
    """What a tap saw in one step: 2-norm, extremes, fractions of zeros and of elements that are
    infinite or NaN.
    """

    norm: float
    minimum: float
    maximum: float
    zeros: float
    nonfinite: float


class _Current(threading.local):
    traces: tuple[list[Value], ...] = ()


_current = _Current()


def tap(name: str, x: Any, *, gradient: bool = False) -> Tensor:
    """x itself, watched under a name: after each call of the compiled step, `step.taps()[name]` is
    a `Tapped`, the norm, extremes and fractions of zeros and non-finite elements that x had. With
    `gradient` it is the gradient that arrives at x that is watched, if one is taken through what
    this returns.

    The function's result does not change, and a step without taps does nothing for them. Names
    that repeat are numbered: `h`, `h#2`, …. Under `vmap` the whole batch is watched, and x has to
    be used as it is returned.
    """
    name = writable(required(name, str, "tap: a name,"))
    value = as_value(x)
    if not value.dtype.is_float:
        raise DTypeError(located(f"tap {name!r}: floats are watched, got {value.type}"))
    marked = taps.tap(value, name, gradient)
    if _current.traces:
        _current.traces[-1].append(marked)
    return Tensor(marked)


@contextmanager
def tapping() -> Iterator[list[Value]]:
    """What tap returns inside, used or not."""
    before = _current.traces
    own: list[Value] = []
    _current.traces = (*before, own)
    try:
        yield own
    finally:
        _current.traces = before


def watched(
    outputs: Sequence[Value], marked: Sequence[Value], inputs: Sequence[Value]
) -> tuple[tuple[str, ...], Value | None]:
    """The names of all taps, in order, and float64[taps, 5], what they measure; None without taps.

    Taps are those on the way to an output, and those `marked` that need nothing but `inputs`: of a
    function under vmap it is not the example's tap that is watched, but that of the batch.
    """
    if not marked:
        return (), None
    known = set(inputs)
    apart = [v for v in marked if all(_is_known(n, known) for n in toposort([v]))]
    found = [n for n in toposort([*outputs, *apart]) if taps.is_watched(n)]
    labels = [taps.label(n) for n in found]
    for value in marked:
        if taps.is_watched(value.node) and taps.label(value.node) not in labels:
            problem = (
                f"tap {taps.label(value.node)!r}: not a value of the step itself; under vmap use"
                " what tap returns, tap what a loop returns behind it"
            )
            raise TraceError(located(problem, value.node.meta.site))
    if not found:
        return (), None
    names = tuple(_numbered(labels))
    rows = []
    for node, name in zip(found, names, strict=True):
        with site.at(node.meta.site):
            rows.append(ops.reshape(taps.measured(node.inputs[0]), (1, len(taps.MEASURES))))
        rows[-1].node.meta.name = name
    with site.at(found[-1].meta.site):
        table = ops.concat(rows, 0)
    table.node.meta.name = "taps"
    return names, table


def named(names: Sequence[str], numbers: np.ndarray) -> dict[str, Tapped]:
    """What the taps measured, by name."""
    return {n: Tapped(*row) for n, row in zip(names, numbers.tolist(), strict=True)}


def _is_known(node: Node, inputs: set[Value]) -> bool:
    return not isinstance(node.op, Input) or node.outputs[0] in inputs


def _numbered(labels: Sequence[str]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        yield label if seen[label] == 1 else f"{label}#{seen[label]}"
