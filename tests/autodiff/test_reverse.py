"""The reverse and forward passes themselves: what they visit, refuse and promise."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

import graphc as gx
from graphc import ops
from graphc.autodiff import forward, reverse
from graphc.ir.graph import Op, apply
from graphc.ir.toposort import toposort


@dataclasses.dataclass(frozen=True)
class Rough(Op):
    """An operator without derivative rules."""

    name: ClassVar[str] = "rough"

    def infer(self, x):
        return (x,)


@dataclasses.dataclass(frozen=True)
class Rougher(Rough):
    name: ClassVar[str] = "rougher"


@dataclasses.dataclass(frozen=True)
class Halves(Op):
    """Two results: x/2 twice, the second only sometimes used."""

    name: ClassVar[str] = "halves"

    def infer(self, x):
        return (x, x)

    def reference(self, x):
        return x / 2, x / 2

    def vjp(self, node, g, h):
        assert h is not None
        return (ops.multiply(0.5, ops.add(g, h)),)


def values(*names):
    return [gx.input(n, (3,)).value for n in names]


def test_all_refused_operators_in_one_error():
    (x,) = values("x")
    y = apply(Rougher(), ops.tanh(apply(Rough(), ops.exp(x))[0]))[0]
    y = apply(Rough(), y)[0]
    for derive in (reverse.grad, forward.jvp):
        with pytest.raises(gx.NotDifferentiableError) as error:
            derive([y], [x], [ops.full_like(x, 1)])
        assert error.value.operators == ("rough", "rougher")
        assert str(error.value).count("test_reverse.py:") == 3


def test_operators_off_the_path_need_no_rule():
    x, z = values("x", "z")
    y = ops.multiply(x, apply(Rough(), z)[0])
    assert reverse.grad([y], [x], [ops.full_like(x, 1)])[0] is not None
    behind = apply(Rough(), ops.stop_gradient(x))[0]
    assert reverse.grad([behind], [z], [ops.full_like(x, 1)]) == [None]


def test_results_that_nobody_uses_get_zeros():
    (x,) = values("x")
    first, _ = apply(Halves(), x)
    (g,) = reverse.grad([first], [x], [ops.full_like(x, 1)])
    result = gx.evaluate(gx.tensor.Tensor(g), {gx.tensor.Tensor(x): np.zeros(3, np.float32)})
    np.testing.assert_array_equal(result, [0.5] * 3)


def test_only_nodes_on_a_path_are_visited():
    x, z = values("x", "z")
    for _ in range(50):
        z = ops.tanh(z)
    y = ops.multiply(x, z)
    (g,) = reverse.grad([y], [x], [ops.full_like(x, 1)])
    made = [n for n in toposort([g]) if n.meta.rule is not None]
    assert [n.op.name for n in made] == ["multiply"]


def test_an_output_that_is_asked_for_is_its_own_derivative():
    x, y = values("x", "y")
    seed = ops.full_like(x, 3)
    assert reverse.grad([x], [x, y], [seed]) == [seed, None]
    assert forward.jvp([x, y], [x], [seed]) == [seed, None]


def test_equal_programs_give_equal_graphs():
    def build():
        x = gx.input("x", (3,))
        y = gx.exp(x) * gx.tanh(x) + x / (1 + x * x) + gx.sin(x)
        return str(gx.Graph.from_outputs([gx.grad(gx.sum(y * y), x)]))

    assert build() == build()


def test_derivatives_remember_whose_they_are():
    x = gx.input("x", (3,))
    y = gx.tanh(x)
    gradient = gx.grad(gx.sum(y), x)
    node = gradient.value.node
    assert node.meta.rule is y.value.node
    assert node.meta.site is y.value.node.meta.site


def test_shared_values_accumulate_each_path():
    x = gx.input("x", (), "float64")
    y = x
    for _ in range(30):
        y = y + y
    assert gx.evaluate(gx.grad(y, x), {x: 1.0}) == 2**30


def test_integer_results_carry_nothing():
    x = gx.input("x", (4,))
    y = gx.sum(x[gx.argmax(x)] * gx.astype(gx.round(x), "int32").astype("float32"))
    gradient = gx.evaluate(gx.grad(y, x), {x: [1.4, 3.2, 2.0, 0.0]})
    np.testing.assert_allclose(gradient, [0, 6, 0, 0], rtol=1e-6)


def test_a_chain_of_100_000_operators():
    """No recursion anywhere, and no step that grows with the square of the length."""

    def gradient(x):
        y = x
        for _ in range(50_000):
            y = gx.sin(y) + y
        return gx.grad(gx.sum(y), x)

    assert len(gx.trace(gradient, gx.spec(2)).graph) > 200_000


def test_a_long_chain_evaluates():
    x = gx.input("x", (), "float64")
    y = x
    for _ in range(5_000):
        y = y * 1.0001
    value, gradient = gx.evaluate((y, gx.grad(y, x)), {x: 2.0})
    np.testing.assert_allclose((value, gradient), (2 * 1.0001**5_000, 1.0001**5_000))


def test_wide_fan_out():
    x = gx.input("x", (), "float64")
    total = sum((x * float(k) for k in range(5_000)), gx.asarray(0.0, dtype="float64"))
    assert gx.evaluate(gx.grad(total, x), {x: 1.0}) == 4_999 * 2_500


def test_refused_arguments():
    x, n = gx.input("x", (3,)), gx.input("n", (), "int32")
    with pytest.raises(gx.ShapeError, match="a scalar, or a seed"):
        gx.grad(x * 2, x)
    with pytest.raises(gx.ShapeError, match=r"the result is float32\[3\], the seed float32\[2\]"):
        gx.grad(x * 2, x, seed=gx.ones(2))
    with pytest.raises(gx.DTypeError, match=r'wrt\["n"\] is int32\[\]'):
        gx.grad(gx.sum(x), {"x": x, "n": n})
    with pytest.raises(gx.DTypeError, match="only floats have derivatives"):
        gx.grad(n, x)
    with pytest.raises(gx.TraceError, match="derivatives are by tensors"):
        gx.grad(gx.sum(x), [x, np.zeros(3)])
    with pytest.raises(gx.TraceError, match="by which tensors"):
        gx.grad(gx.sum(x))
    with pytest.raises(gx.TraceError, match="a tensor or a function"):
        gx.grad(3.0, x)
    with pytest.raises(gx.TraceError, match="there is no argument 1"):
        gx.grad(gx.sum, argnums=1)(x)


def test_a_disconnected_tensor_gets_zeros_and_a_warning():
    x, y = gx.input("x", (3,)), gx.input("y", (2,))
    with pytest.warns(gx.DisconnectedGradientWarning, match=r'wrt\["y"\].*test_reverse.py:\d+'):
        gradients = gx.grad(gx.sum(x), {"x": x, "y": y})
    assert gx.evaluate(gradients["y"]).tolist() == [0, 0]
