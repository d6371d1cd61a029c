"""Tracing a function for all sizes up to a largest one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from graphc import tree
from graphc.bounded.family import family
from graphc.bounded.masked import masked
from graphc.bounded.sizes import Bound, BoundedType
from graphc.control.choices import Choices, choosing
from graphc.dtypes import TensorType, int64
from graphc.errors import GraphcError, TraceError
from graphc.ir.site import located
from graphc.passes.expand import expand
from graphc.passes.pipeline import everywhere
from graphc.trace import Leaf, Traced


def traced(one: Callable[..., Traced], args: Sequence[Any], kinds: Sequence[BoundedType]) -> Traced:
    """The step for arguments of which some leaves are of `kinds`; `one(*args)` traces it for a
    single size. Raises TraceError where the step does not work for every size alike.
    """
    name, largest = kinds[0].name, kinds[0].largest
    for kind in kinds:
        if (kind.name, kind.largest) != (name, largest):
            raise TraceError(located(f"a step has one size: {name} <= {largest}, but also {kind}"))
    # One more, so that no other extent is taken for the size, and a small one.
    sizes = (largest, largest + 1, 2 if largest > 2 else largest + 2)
    with choosing() as choices:
        steps = [one(*_at(args, sizes[0]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps += [_other(partial(_repeated, choices, one), args, n, name) for n in sizes[1:]]
    first = steps[0]
    signature = first.signature
    for other in steps[1:]:
        hidden = zip(signature.hidden, other.signature.hidden, strict=False)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in hidden):
            raise TraceError(located(f"a captured array depends on the size {name}"))
    found = family(name, sizes, [everywhere(expand, step.graph) for step in steps])
    count = len(signature.arguments)
    graph = masked(found, count)
    written = found.graphs[0]
    bounded = {k: x for k, x in enumerate(_moving(args, first)) if isinstance(x, BoundedType)}
    results = {j: found.axes[v] for j, v in enumerate(written.outputs) if found.axes[v]}
    for j, axes in results.items():
        if any(a.outer > 1 for a in axes):
            path = signature.results[j].path
            raise TraceError(located(f"{path}: the rows that count do not stand together"))
    donated = {i for i, _ in signature.donated}.intersection(bounded)
    if donated:
        path = signature.arguments[min(donated)].path
        raise TraceError(located(f"{path} has the size {name}, so it cannot be donated"))
    parameter = name
    while parameter in signature.parameters:
        parameter += "_"
    size = Leaf(f"args[{len(signature.parameters)}]", TensorType((), int64))
    return Traced(
        graph,
        replace(
            signature,
            parameters=(*signature.parameters, parameter),
            arguments=(*signature.arguments, size),
            bound=Bound(name, largest, count, bounded, results),
        ),
    )


def _repeated(choices: Choices, one: Callable[..., Traced], *args: Any) -> Traced:
    """What backward loops are given is chosen for the largest size, and the same for all."""
    with choosing(choices):
        return one(*args)


def _other(one: Callable[..., Traced], args: Sequence[Any], size: int, name: str) -> Traced:
    try:
        return one(*_at(args, size))
    except GraphcError as error:
        raise TraceError(
            f"the step works for some sizes {name}, but for {size}: {error}"
        ) from error


def _at(args: Sequence[Any], size: int) -> list[Any]:
    return [tree.map(lambda x: x.at(size) if isinstance(x, BoundedType) else x, a) for a in args]


def _moving(args: Sequence[Any], step: Traced) -> list[Any]:
    """The leaves of the arguments that are not static."""
    static = {k for k, _ in step.signature.static}
    return tree.leaves(tuple(a for k, a in enumerate(args) if k not in static))
