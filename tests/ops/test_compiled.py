"""Every operator in C against its reference: all samples of one operator, with the gradients of
those that are smooth, in one compiled program.
"""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc.ir.graph import Op
from graphc.ops.families import Elementwise
from graphc.tensor import Tensor

from .cases import NAMES, OPERATORS, Program

#: Units in the last place that results of elementwise functions may be away from the reference;
#: those of the gamma function and of powers may be further away (in double relative to 1).
NEAR = {np.float32: 3, np.float64: 3}
FAR = {np.float32: 5, np.float64: 500}
DISTANT = ("digamma", "lgamma", "polygamma", "pow")


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_compiled_equals_reference(operator: type[Op]):
    program = Program.of(operator)
    values = list(program.arrays)

    def fn(*tensors: Tensor) -> list[Tensor]:
        return [Tensor(v) for v in program.rebuilt([t.value for t in tensors])]

    traced = gx.trace(fn, *[program.arrays[v] for v in values])
    arrays = [program.arrays[v] for v in values]
    expected = traced.evaluate(*arrays)
    found = traced.lower(threads=2).compile()(*arrays)
    failures = []
    for label, got, want in zip(program.labels, found, expected, strict=True):
        message = difference(operator, np.asarray(got), np.asarray(want), "gradient" in label)
        if message:
            failures.append(f"{label}: {message}")
    assert not failures, "\n".join(failures)


def difference(operator: type[Op], got: np.ndarray, want: np.ndarray, derived: bool) -> str:
    """What is wrong with a result, or nothing."""
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{got.dtype}{got.shape} instead of {want.dtype}{want.shape}"
    equal = close(operator, got, want, derived) if want.dtype.kind == "f" else got == want
    wrong = ~equal
    if not wrong.any():
        return ""
    at = tuple(int(k) for k in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {wrong.size} differ, at {at} {got[at]!r} instead of {want[at]!r}"


def close(operator: type[Op], got: np.ndarray, want: np.ndarray, derived: bool) -> np.ndarray:
    """Where floats agree: NaN with NaN, infinities with themselves, numbers nearly."""
    units = (FAR if operator.name in DISTANT else NEAR)[want.dtype.type]
    with np.errstate(all="ignore"):
        distance = np.abs(got.astype(np.float64) - want.astype(np.float64))
        bound = units * np.spacing(np.abs(want)).astype(np.float64)
        macro = getattr(operator, "expr", Elementwise.expr) is Elementwise.expr
        if derived or macro or operator.name in DISTANT:
            finite = np.abs(want[np.isfinite(want)]).astype(np.float64)
            scale = max(1.0, float(finite.max(initial=0.0)))
            bound = np.fmax(bound, 64 * np.finfo(want.dtype).eps * scale)
        return (np.isnan(got) & np.isnan(want)) | (got == want) | (distance <= bound)
