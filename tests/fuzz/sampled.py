"""A rule made from the operators' own samples: whatever operator there is takes part, with the
parameters of its samples, on operands of the draft that its type rule accepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from graphc.autodiff.reverse import grad
from graphc.dtypes import TensorType
from graphc.errors import GraphcError
from graphc.ir.graph import Input
from graphc.ir.spec import Native
from graphc.ir.toposort import toposort
from graphc.ops.samples import Sample
from tests.fuzz.draft import ELEMENTS, Draft, Known
from tests.fuzz.samples import samples
from tests.ops.cases import OPERATORS, Case, type_of, weighted

#: Operators that promise something for sorted operands only: they keep those of their samples.
_PARTICULAR = ("searchsorted",)


def sampled(d: Draft) -> None:
    name = d.pick([op.name for op in OPERATORS])
    if not samples(name):
        return
    number = int(d.rng.integers(len(samples(name))))
    sample = samples(name)[number]
    jumps, kinks = _nature(name, number)
    operands = _operands(d, sample, jumps)
    exact = all(k.exact for k in operands)
    names = "".join(f", {k.name}" for k in operands)
    count = len(Case.of(sample).outputs)
    smooth = sample.smooth and not jumps and (exact or not kinks)
    d.emit(f"applied({name!r}, {number}{names})", count, exact=jumps, smooth=smooth)


def _operands(d: Draft, sample: Sample, jumps: bool) -> list[Known]:
    """Values at hand where the operator takes them, else the sample's arrays. An operator that
    jumps is given only values that are known to the bit.
    """
    found: list[Known | None] = []
    positions = _positions(sample)
    for k, array in enumerate(sample.arrays):
        fit = None
        if k not in positions and sample.op.name not in _PARTICULAR and d.chance(0.7):
            fit = d.choose(lambda v, a=array: _alike(v, a) and (v.exact or not jumps), 0.4)
            if fit is not None and sample.smooth:
                fit = fit if fit.smooth else None
        found.append(fit)
    types = [
        type_of(array) if k is None else type_of(k.array)
        for k, array in zip(found, sample.arrays, strict=True)
    ]
    if not _accepts(sample, types):
        found = [None] * len(found)
    return [
        d.given(array) if k is None else k for k, array in zip(found, sample.arrays, strict=True)
    ]


def _positions(sample: Sample) -> set[int]:
    return {k for k, _ in sample.op.positions(*map(type_of, sample.arrays))}


def _alike(known: Known, array: np.ndarray) -> bool:
    return known.array.dtype == array.dtype and known.ndim == array.ndim


def _accepts(sample: Sample, types: Sequence[TensorType]) -> bool:
    """A routine that was made for its sample is given nothing else."""
    try:
        results = sample.op.infer(*types)
    except GraphcError:
        return False
    if isinstance(sample.op.spec(*types), Native):
        return False
    return all(t.size <= ELEMENTS for t in results)


@cache
def _nature(name: str, number: int) -> tuple[bool, bool]:
    """Whether results jump where floats among the operands change a little, and whether the
    derivative may jump: where its graph compares, or holds what nothing moves through.
    """
    case = Case.of(samples(name)[number])
    if not case.moving:
        return False, False
    if len(case.float_outputs) < len(case.outputs) or not case.differentiable:
        return True, True
    weights, _ = weighted(case.float_outputs)
    gradients = [g for g in grad(case.float_outputs, case.moving, weights) if g is not None]
    if not gradients:
        return True, True
    for node in toposort(gradients):
        floats = [v for v in node.inputs if v.dtype.is_float and v not in weights]
        if isinstance(node.op, Input) or not floats:
            continue
        if any(not v.dtype.is_float for v in node.outputs) or node.op.vjp is None:
            return False, True
        ones, _ = weighted(node.outputs)
        if None in grad(node.outputs, floats, ones):
            return False, True
    return False, False
