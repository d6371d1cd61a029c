"""The batching rule of every operator equals a loop over the batch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from graphc.ir.graph import new_input
from graphc.ops.samples import Sample
from graphc.reference import evaluate

from .cases import NAMES, OPERATORS, type_of

SIZE = 3


def variations(array: np.ndarray) -> np.ndarray:
    """The array with others of its kind, stacked: scaled floats, rolled integers."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.stack([array * array.dtype.type(s) for s in (1, 0.875, 1.125)])
    flat = array.reshape(-1)
    return np.stack([np.roll(flat, k).reshape(array.shape) for k in range(SIZE)])


def patterns(count: int) -> list[tuple[bool, ...]]:
    """Which inputs have the batch axis: all of them, each alone, all but one."""
    every = itertools.product((False, True), repeat=count)
    return [p for p in every if sum(p) in (1, count - 1, count) and any(p)]


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_batch_rule_equals_a_loop(operator):
    for sample in operator.samples():
        if sample.op.flops(*[type_of(a) for a in sample.arrays]) > 50_000:
            continue
        for pattern in patterns(len(sample.arrays)):
            check(sample, pattern)


def check(sample: Sample, pattern: tuple[bool, ...]) -> None:
    arrays = [variations(a) if has else a for a, has in zip(sample.arrays, pattern, strict=True)]
    inputs = [new_input(f"x{k}", type_of(a)) for k, a in enumerate(arrays)]
    outputs, batched = sample.op.batch(SIZE, inputs, pattern)
    found = evaluate(outputs, dict(zip(inputs, arrays, strict=True)))
    for k in range(SIZE):
        one = [np.asarray(a[k]) if has else a for a, has in zip(arrays, pattern, strict=True)]
        with np.errstate(all="ignore"):
            expected = sample.op.reference(*one)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for got, has, want in zip(found, batched, expected, strict=True):
            part = got[k] if has else got
            message = f"{sample} with batch axes {pattern}, element {k}"
            assert part.dtype == want.dtype and part.shape == want.shape, message
            np.testing.assert_allclose(part, want, rtol=1e-6, atol=1e-12, err_msg=message)
