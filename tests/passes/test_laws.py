"""Every law on its own: it fires, and both sides are equal to the bit for special numbers.

A law without a case fails `test_every_law_has_a_case`.
"""

from __future__ import annotations

import numpy as np
import pytest

from graphc import ops
from graphc.ir.graph import Op
from graphc.ops.laws import arithmetic, folds, laws_of, placing, selection, views
from graphc.passes.simplify import simplify

from .cases import CASES, SILENT, Case
from .cases import arithmetic as _arithmetic
from .cases import folds as _folds
from .cases import placing as _placing
from .cases import selection as _selection
from .cases import views as _views
from .values import Inputs, assert_equal_graphs, graph_of, same_bits

__all__ = ["_arithmetic", "_folds", "_placing", "_selection", "_views"]


def name(case: Case) -> str:
    return f"{case.law.__name__}-{case.dtype}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_both_sides_are_equal(case: Case) -> None:
    inputs = Inputs(case.dtype)
    before = case.build(inputs)
    assert case.law in laws_of(type(before.node.op))
    after = case.law(before.node.op, *before.node.inputs)
    assert after is not None, "the law does not fire"
    assert after.type == before.type
    (old,), (new,) = inputs.evaluate([before]), inputs.evaluate([after])
    assert same_bits(old, new), f"{old} became {new}"


@pytest.mark.parametrize("case", CASES + SILENT, ids=name)
def test_the_pass_keeps_values_and_ends(case: Case) -> None:
    inputs = Inputs(case.dtype)
    graph = graph_of(case.build(inputs))
    simple = simplify(graph)
    assert_equal_graphs(graph, simple, inputs.arrays)
    assert simplify(simple) is simple


@pytest.mark.parametrize("case", SILENT, ids=name)
def test_it_does_not_fire_where_it_does_not_hold(case: Case) -> None:
    node = case.build(Inputs(case.dtype)).node
    assert case.law not in laws_of(type(node.op)) or case.law(node.op, *node.inputs) is None


@pytest.mark.parametrize("shape", [(1,), (3, 1)])
def test_the_sum_of_one_is_never_a_negative_zero(shape: tuple[int, ...]) -> None:
    """NumPy's sum of one -0.0 is -0.0, C's begins with 0.0: the sign is compared with C's."""
    inputs = Inputs()
    x = inputs.array(shape)
    total = ops.sum(x, (len(shape) - 1,))
    single = folds.fold_of_one(total.node.op, x)
    assert single is not None
    (found,) = inputs.evaluate([single])
    assert same_bits(found, (inputs.arrays[x] + np.float32(0)).reshape(total.shape))


def test_every_law_has_a_case() -> None:
    tested = {case.law for case in CASES}
    everything = {
        law
        for module in (arithmetic, folds, placing, selection, views)
        for law in vars(module).values()
        if any(law in laws_of(cls) for cls in _operators(Op))
    }
    assert everything == tested
    assert all(law.__doc__ for law in everything)


def _operators(cls: type[Op]) -> set[type[Op]]:
    return {cls}.union(*[_operators(sub) for sub in cls.__subclasses__()])
