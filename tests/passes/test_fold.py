"""Constant folding: only where bits are certain, and never at a price."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc import ops
from graphc.dtypes import bool_, float32, float64, int32, int64, uint8
from graphc.ir.graph import Value
from graphc.ops.constant import Constant
from graphc.ops.families import Function
from graphc.passes.fold import MAX_BYTES, fold

from .values import Inputs, assert_equal_graphs, chain, graph_of, in_order, quickly, special


def constants(*dtypes: object) -> list[Value]:
    return [ops.constant(np.roll(special(d), k), d) for k, d in enumerate(dtypes)]


@pytest.mark.parametrize("dtype", [float32, float64, int32, int64, uint8], ids=str)
@pytest.mark.parametrize("f", [ops.add, ops.subtract, ops.multiply, ops.less, ops.equal])
def test_exact_operators_become_constants(f: Callable[..., Value], dtype: object) -> None:
    graph = graph_of(f(*constants(dtype, dtype)))
    folded = fold(graph)
    assert_equal_graphs(graph, folded, {})
    assert (len(graph), len(folded)) == (3, 1)
    assert isinstance(folded.outputs[0].node.op, Constant)


@pytest.mark.parametrize("f", [ops.divide, ops.sqrt, ops.negative, ops.square, ops.rsqrt])
def test_correctly_rounded_functions_become_constants(f: Callable[..., Value]) -> None:
    operands = constants(float32, float32) if f is ops.divide else constants(float32)
    graph = graph_of(f(*operands))
    folded = fold(graph)
    assert_equal_graphs(graph, folded, {})
    assert len(folded) == 1


def test_a_tree_of_constants_becomes_one() -> None:
    x, y = constants(float32, float32)
    condition = ops.less(x, y)
    tree = ops.where(condition, ops.add(x, y), ops.astype(ops.astype(x, int32), float32))
    graph = graph_of(ops.reshape(ops.concat([tree, x], 0), (4, 7)))
    folded = fold(graph)
    assert_equal_graphs(graph, folded, {})
    assert (len(graph), len(folded)) == (9, 1)


@pytest.mark.parametrize("f", [ops.exp, ops.tanh, ops.sin, ops.log])
def test_what_c_rounds_otherwise_is_left_to_c(f: Callable[[Value], Value]) -> None:
    graph = graph_of(f(ops.constant(0.3, float32)))
    assert fold(graph) is graph


def test_float_sums_are_left_to_c_and_integer_sums_are_not() -> None:
    graph = graph_of(*[ops.sum(v, (0,)) for v in constants(float32, int64)])
    folded = fold(graph)
    assert [isinstance(v.node.op, Constant) for v in folded.outputs] == [False, True]
    assert_equal_graphs(graph, folded, {})


def test_every_function_of_the_runtime_is_left_to_c() -> None:
    def family(cls: type) -> list[type]:
        return [cls, *[c for sub in cls.__subclasses__() for c in family(sub)]]

    assert all("f" not in cls.exact for cls in family(Function))


def test_repetitions_stay_free() -> None:
    graph = graph_of(
        ops.full((5, 5), 2.0, float32),
        ops.iota((7,), 0),
        ops.pad(ops.constant(1.0, float32), ops.constant(0.0, float32), (), ()),
        ops.pad(ops.constant([1.0], float32), ops.constant(0.0, float32), (9,), (3,)),
    )
    folded = fold(graph)
    assert [isinstance(v.node.op, Constant) for v in folded.outputs] == [False, False, True, False]


def test_impure_operators_are_not_folded() -> None:
    graph = graph_of(ops.copy(ops.constant([1.0, 2.0], float32)))
    assert fold(graph) is graph


def test_large_constants_are_not_folded() -> None:
    small, large = MAX_BYTES // 4, MAX_BYTES // 4 + 1
    values = [ops.constant(np.arange(n), float32) for n in (small, large)]
    folded = fold(graph_of(*[ops.add(v, v) for v in values]))
    assert [isinstance(v.node.op, Constant) for v in folded.outputs] == [True, False]


def test_only_what_is_constant_is_folded() -> None:
    inputs = Inputs()
    x = inputs.array(())
    two = ops.add(ops.constant(1.0, float32), ops.constant(1.0, float32))
    graph = graph_of(ops.multiply(x, two), ops.logical_not(ops.constant(True, bool_)))
    folded = fold(graph)
    assert_equal_graphs(graph, folded, inputs.arrays)
    assert (len(graph), len(folded)) == (7, 4)
    assert in_order(folded)


def test_a_chain_of_100_000() -> None:
    _, y = chain(50_000, ())
    graph = graph_of(y)
    assert fold(graph) is graph
    one = ops.constant(1.0, float32)
    z = one
    with quickly(one):
        for _ in range(100_000):
            z = ops.add(z, one)
    folded = fold(graph_of(z))
    assert len(folded) == 1
    assert folded.outputs[0].node.op.literal == 100_001
