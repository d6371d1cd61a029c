"""vjp and jvp rules against finite differences in double, and against each other, twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graphc import ops
from graphc.autodiff.forward import jvp
from graphc.autodiff.reverse import grad
from graphc.ir.graph import Value, new_input
from graphc.ops.samples import Source
from graphc.reference import evaluate

from .cases import NAMES, OPERATORS, Case, smooth_cases, weighted

STEP = 1e-4


def directions(case: Case) -> dict[Value, np.ndarray]:
    source = Source(f"directions {case.sample}")
    return {v: source.floats(v.shape, v.dtype, (-1.0, 1.0)) for v in case.moving}


def slope(outputs: Sequence[Value], arrays: dict, along: dict) -> list[np.ndarray]:
    """The directional derivative of the outputs by a five-point formula: its error is
    proportional to the fourth power of the step.
    """

    def at(shift: float) -> list[np.ndarray]:
        moved = {v: a + shift * along[v] if v in along else a for v, a in arrays.items()}
        return evaluate(outputs, moved)

    near, far = [[at(s * h) for s in (1, -1)] for h in (STEP, 2 * STEP)]
    return [(8 * (a - b) - (c - d)) / (12 * STEP) for a, b, c, d in zip(*near, *far, strict=True)]


def agree(got: np.ndarray, want: np.ndarray, message: str, tolerance: float) -> None:
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale, err_msg=message)


def dot(pairs: Sequence[tuple[np.ndarray | None, np.ndarray]]) -> np.ndarray:
    return np.array(sum(float(np.sum(a * b)) for a, b in pairs if a is not None))


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_first_derivatives(operator):
    for case in smooth_cases(operator):
        along = directions(case)
        expected = slope(case.float_outputs, case.arrays, along)

        tangents = {v: new_input("t", v.type) for v in case.moving}
        moved = jvp(case.float_outputs, case.moving, list(tangents.values()))
        given = case.arrays | {t: along[v] for v, t in tangents.items()}
        for value, want in zip(moved, expected, strict=True):
            got = np.zeros_like(want) if value is None else evaluate([value], given)[0]
            agree(got, want, f"{case.sample}: jvp", 1e-7)

        weights, values = weighted(case.float_outputs)
        back = grad(case.float_outputs, case.moving, weights)
        found = [None if v is None else evaluate([v], case.arrays | values)[0] for v in back]
        backward = dot(list(zip(found, along.values(), strict=True)))
        forward = dot(list(zip(expected, values.values(), strict=True)))
        agree(backward, forward, f"{case.sample}: vjp", 1e-7)


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_second_derivatives(operator):
    """Reverse mode differentiated by finite differences, forward mode and reverse mode."""
    for case in smooth_cases(operator):
        along = directions(case)
        weights, values = weighted(case.float_outputs)
        arrays = case.arrays | values
        first = grad(case.float_outputs, case.moving, weights)
        pairs = [(v, g) for v, g in zip(case.moving, first, strict=True) if g is not None]
        if not pairs:
            continue
        gradients = [g for _, g in pairs]
        expected = slope(gradients, arrays, along)

        tangents = {v: new_input("t", v.type) for v in case.moving}
        arrays = arrays | {t: along[v] for v, t in tangents.items()}
        moved = jvp(gradients, case.moving, list(tangents.values()))
        for value, want in zip(moved, expected, strict=True):
            got = np.zeros_like(want) if value is None else evaluate([value], arrays)[0]
            agree(got, want, f"{case.sample}: forward over reverse", 1e-6)

        # The Hessian is symmetric: the gradient of its product with a direction is that product.
        inner = [ops.sum_all(ops.multiply(g, tangents[v])) for v, g in pairs]
        total = ops.add_all(inner)
        assert total is not None
        one = ops.full_like(total, 1)
        again = grad([total], [v for v, _ in pairs], [one])
        for value, want in zip(again, expected, strict=True):
            got = np.zeros_like(want) if value is None else evaluate([value], arrays)[0]
            agree(got, want, f"{case.sample}: reverse over reverse", 1e-6)
