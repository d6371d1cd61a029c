"""Type rules agree with the references, and reject what they must with a useful message."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.ir.graph import Op, Value, apply, new_input

from .cases import NAMES, OPERATORS, type_of


def results(op: Op, arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    found = op.reference(*arrays)
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_type_rule_gives_the_reference_s_types(operator):
    count = 0
    for sample in operator.samples():
        types = sample.op.infer(*[type_of(a) for a in sample.arrays])
        found = results(sample.op, sample.arrays)
        assert [type_of(a) for a in found] == list(types), str(sample)
        count += 1
    assert count >= 2, f"{operator.name} has {count} samples"


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_reference_changes_no_input(operator):
    for sample in operator.samples():
        copies = [a.copy() for a in sample.arrays]
        sample.op.reference(*sample.arrays)
        for before, after in zip(copies, sample.arrays, strict=True):
            np.testing.assert_array_equal(before, after, err_msg=str(sample))


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_refusals(operator):
    refusals = list(operator.refusals())
    assert refusals, f"{operator.name} refuses nothing"
    for refusal in refusals:
        inputs = [new_input(f"x{k}", type) for k, type in enumerate(refusal.types)]
        with pytest.raises(refusal.error) as caught:
            apply(refusal.op, *inputs)
        assert refusal.message in str(caught.value), f"{refusal.op} {refusal.types}"
        assert "test_types_and_refusals.py:" in str(caught.value), "the user's line is missing"


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_operators_compare_by_their_parameters(operator):
    for sample in operator.samples():
        twin = type(sample.op)(**{f: getattr(sample.op, f) for f in fields_of(sample.op)})
        assert twin == sample.op and hash(twin) == hash(sample.op)
        assert isinstance(sample.op.attributes(), str)


def fields_of(op: Op) -> list[str]:
    return [p for p in type(op).__init__.__code__.co_varnames[1:] if hasattr(op, p)]


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_declarations(operator):
    """A spec, a cost and a batching rule exist for every sample."""
    for sample in operator.samples():
        types = [type_of(a) for a in sample.arrays]
        sample.op.spec(*types)
        assert sample.op.flops(*types) >= 0
    assert operator.batch is not None and operator.vjp is not None and operator.jvp is not None


def test_commutative_operators_commute():
    for operator in OPERATORS:
        if operator.commutative:
            for sample in operator.samples():
                x, y = sample.arrays
                np.testing.assert_array_equal(
                    sample.op.reference(x, y), sample.op.reference(y, x), err_msg=str(sample)
                )


def test_a_constructor_takes_numbers_beside_values():
    from graphc import ops
    from graphc.dtypes import float32, tensor_type

    x = new_input("x", tensor_type((3,), float32))
    y = ops.add(1, x)
    assert isinstance(y, Value) and y.type == x.type
