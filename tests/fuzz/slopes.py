"""Derivatives of a case by the reference alone: reverse mode against forward mode, and both against
finite differences, so that a wrong rule is found and not only wrong C.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from graphc import ops
from graphc.autodiff.forward import jvp
from graphc.autodiff.reverse import grad
from graphc.dtypes import TensorType, as_dtype
from graphc.ir.graph import Value, new_input
from graphc.reference import evaluate
from graphc.tensor import Tensor
from tests.fuzz.case import Case

#: The longer of the two steps of a finite difference.
STEP = 1e-4
#: Of reverse against forward mode, and of both against a difference that has settled.
DUALITY, SETTLED = 1e-8, 1e-4


def wrong_slopes(case: Case) -> str:
    """What is wrong with the derivatives of the case's smooth results, or nothing. Only cases in
    double are looked at: differences of floats tell too little.
    """
    inputs = {
        name: new_input(name, TensorType(a.shape, as_dtype(a.dtype)))
        for name, a in case.arrays.items()
    }
    names = {name: Tensor(v) for name, v in inputs.items()}
    for line in case.lines:
        line.run(names)
    ends = [names[name].value for name in case.smooth if name in names]
    moving = [v for v in inputs.values() if v.dtype.name == "float64"]
    if not ends or not moving or any(v.dtype.name != "float64" for v in ends):
        return ""
    rng = np.random.default_rng(zlib.crc32(case.label.encode()))
    arrays = {inputs[name]: a for name, a in case.arrays.items()}
    along = {v: rng.uniform(-1, 1, v.shape) for v in moving}
    weights = [new_input("w", v.type) for v in ends]
    tangents = [new_input("t", v.type) for v in moving]
    arrays |= {w: rng.uniform(-1, 1, w.shape) for w in weights}
    arrays |= dict(zip(tangents, along.values(), strict=True))
    total = _total(ends, weights)
    back = grad(ends, moving, weights)
    moved = jvp(ends, moving, list(tangents))
    reverse = _total(back, tangents)
    forward = _total(moved, weights)
    with np.errstate(all="ignore"):
        found = [_number(v, arrays) for v in (reverse, forward)]
        differences = [_difference(total, arrays, along, h) for h in (STEP, STEP / 2)]
    return _verdict(*found, *differences)


def _verdict(reverse: float, forward: float, long: float, short: float) -> str:
    size = max(1.0, abs(reverse), abs(forward))
    if not abs(reverse - forward) <= DUALITY * size:
        return f"reverse mode says {reverse}, forward mode {forward}"
    # At a kink, or where a function is steep, the two differences differ: they say nothing.
    settled = abs(long - short) <= SETTLED / 10 * size
    if settled and not abs(reverse - short) <= SETTLED * size:
        return f"derivatives say {reverse}, differences {long} and {short}"
    return ""


def _total(values: Sequence[Value | None], factors: Sequence[Value]) -> Value | None:
    """The sum of products."""
    pairs = zip(values, factors, strict=True)
    return ops.add_all([ops.sum_all(ops.multiply(v, f)) for v, f in pairs if v is not None])


def _number(value: Value | None, arrays: Mapping[Value, np.ndarray]) -> float:
    return 0.0 if value is None else float(evaluate([value], arrays)[0])


def _difference(
    total: Value | None,
    arrays: Mapping[Value, np.ndarray],
    along: Mapping[Value, np.ndarray],
    step: float,
) -> float:
    """The five-point formula, whose error goes with the fourth power of the step."""

    def at(shift: float) -> float:
        return _number(total, {**arrays, **{v: arrays[v] + shift * t for v, t in along.items()}})

    near, far = at(step) - at(-step), at(2 * step) - at(-2 * step)
    return (8 * near - far) / (12 * step)
