"""Python's operator protocol on tensors, against NumPy."""

from __future__ import annotations

import copy
import operator

import numpy as np
import pytest

import graphc as gx

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 3, (3, 4)).astype(np.float32)
Y = RNG.uniform(0.5, 3, (3, 4)).astype(np.float32)
ROW = RNG.uniform(0.5, 3, 4).astype(np.float32)
N = RNG.integers(-7, 8, (3, 4)).astype(np.int32)
J = RNG.integers(1, 5, (3, 4)).astype(np.int32)


def run(fn, *arrays):
    """fn traced on the arrays and evaluated on them."""
    return gx.trace(fn, *arrays).evaluate(*arrays)


ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
WHOLE = [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod]
BITS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]
ORDER = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@pytest.mark.parametrize("op", [*ARITHMETIC, operator.floordiv, operator.mod, *ORDER])
def test_binary_operators_of_floats(op):
    for a, b in ((X, Y), (X, ROW), (ROW, Y)):
        np.testing.assert_allclose(run(op, a, b), op(a, b), rtol=1e-6)
    np.testing.assert_allclose(run(lambda t: op(t, 2.5), X), op(X, np.float32(2.5)), rtol=1e-6)
    np.testing.assert_allclose(run(lambda t: op(2.5, t), X), op(np.float32(2.5), X), rtol=1e-6)
    np.testing.assert_allclose(run(lambda t: op(ROW, t), X), op(ROW, X), rtol=1e-6)
    np.testing.assert_allclose(run(lambda t: op(t, ROW), X), op(X, ROW), rtol=1e-6)


@pytest.mark.parametrize("op", [*WHOLE, *BITS, *ORDER])
def test_binary_operators_of_integers(op):
    expected = op(N, J)
    np.testing.assert_array_equal(run(op, N, J), expected)
    np.testing.assert_array_equal(run(lambda t: op(t, 3), N), op(N, 3))
    np.testing.assert_array_equal(run(lambda t: op(3, t), J), op(3, J))
    assert run(op, N, J).dtype == expected.dtype


@pytest.mark.parametrize("op", [operator.and_, operator.or_, operator.xor])
def test_bitwise_operators_of_bools_are_logical(op):
    np.testing.assert_array_equal(run(op, N > 0, J > 2), op(N > 0, J > 2))


@pytest.mark.parametrize("op", [operator.neg, operator.pos, operator.abs, round])
def test_unary_operators(op):
    np.testing.assert_array_equal(run(op, -X), op(-X) if op is not round else np.rint(-X))
    np.testing.assert_array_equal(run(operator.invert, N), ~N)
    np.testing.assert_array_equal(run(operator.invert, N > 0), ~(N > 0))


@pytest.mark.parametrize("exponent", [2, 3, 5, 8, -1, -2, 0.5, 1, 0, 2.0, -0.5, 9, 1.7])
def test_powers(exponent):
    np.testing.assert_allclose(run(lambda t: t**exponent, X), X**exponent, rtol=3e-6)


def test_small_powers_are_products():
    x = gx.input("x", (3,))
    names = [n.op.name for n in gx.Graph.from_outputs([x**3]).nodes]
    assert names == ["input", "square", "multiply"]


def test_divmod_and_matmul():
    quotient, remainder = run(divmod, N, J)
    np.testing.assert_array_equal(quotient, N // J)
    np.testing.assert_array_equal(remainder, N % J)
    np.testing.assert_allclose(run(lambda a, b: a @ b.T, X, Y), X @ Y.T, rtol=1e-6)
    np.testing.assert_allclose(run(lambda a: ROW @ a.T, X), ROW @ X.T, rtol=1e-6)


def test_the_protocol_of_the_worked_example():
    """`1 - t`, `t - 1`, an array on the left, and `sum`, which starts from 0."""
    t = np.array([1.0, 2.0], np.float32)
    np.testing.assert_array_equal(run(lambda t: 1 - t, t), 1 - t)
    np.testing.assert_array_equal(run(lambda t: t - 1, t), t - 1)
    left = np.array([1.0, 2.0], np.float32)
    result = run(lambda t: left * t, t)
    np.testing.assert_array_equal(result, left * t)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(run(lambda t: sum([t, t]), t), 2 * t)


def test_another_class_wins_with_its_reflected_operator():
    class Other:
        def __radd__(self, tensor):
            return ("mine", tensor.shape)

        def __rmatmul__(self, tensor):
            return "product"

        def __lt__(self, tensor):
            return "less"

    x = gx.input("x", (2,))
    assert x + Other() == ("mine", (2,))
    assert x @ Other() == "product"
    assert (x > Other()) == "less"
    with pytest.raises(TypeError):
        x - Other()
    assert (x == "text") is False and (x != None) is True  # noqa: E711


def test_augmented_assignment_rebinds():
    x = gx.input("x", (2,))
    y = x
    y += 1
    assert y is not x
    np.testing.assert_array_equal(gx.evaluate([x, y], {x: [1, 2]}), [[1, 2], [2, 3]])


def test_numpy_scalars_on_either_side():
    for scalar in (np.float32(2), np.float64(2), np.int64(2)):
        for fn in (lambda t, s=scalar: t / s, lambda t, s=scalar: s / t):
            result = run(fn, X)
            assert result.dtype == np.float32
            np.testing.assert_array_equal(result, fn(X).astype(np.float32))
    assert run(lambda t: t * np.int64(3), N).dtype == np.int32


def test_attributes_and_copies():
    x = gx.input("x", (2, 3, 4))
    assert (x.shape, x.ndim, x.size, x.nbytes, len(x)) == ((2, 3, 4), 3, 24, 96, 2)
    assert x.dtype is gx.float32 and x.device == "cpu"
    assert x.T.shape == (4, 3, 2) and x.mT.shape == (2, 4, 3)
    assert copy.copy(x) is x and copy.deepcopy(x) is x
    assert x in {x: 1} and gx.input("x", (2, 3, 4)) not in [x][:0]
    assert repr(x) == "<Tensor float32[2,3,4]>"


def test_methods_of_ndarray():
    shaped = X.reshape(3, 2, 2)
    cases = [
        lambda a: a.sum(), lambda a: a.sum(axis=1), lambda a: a.mean(0), lambda a: a.max(-1),
        lambda a: a.min(axis=(0, 2)), lambda a: a.prod(axis=0), lambda a: a.var(axis=0),
        lambda a: a.std(axis=0, ddof=1), lambda a: a.reshape(4, 3), lambda a: a.reshape((-1, 6)),
        lambda a: a.transpose(), lambda a: a.transpose(1, 0, 2), lambda a: a.swapaxes(0, 2),
        lambda a: a[:, :1].squeeze(1), lambda a: a[:1, :, :1].squeeze(), lambda a: a.ravel(),
        lambda a: a.flatten(), lambda a: a.repeat(2, axis=1), lambda a: a.argmax(axis=1),
        lambda a: a.argmin(), lambda a: a.clip(1.0, 2.0), lambda a: a.round(),
        lambda a: a.cumsum(axis=1), lambda a: a.cumprod(), lambda a: a.dot(a[0]),
        lambda a: a.take([0, 2], axis=0), lambda a: a[:, 0].diagonal(), lambda a: a[0].trace(),
        lambda a: a.astype(np.int32), lambda a: (a > 1).all(axis=0), lambda a: (a > 1).any(),
        lambda a: a.copy(), lambda a: a.sum(axis=1, keepdims=True),
    ]  # fmt: skip
    for number, case in enumerate(cases):
        expected = np.asarray(case(shaped))
        result = run(case, shaped)
        assert result.shape == expected.shape, number
        np.testing.assert_allclose(result, expected, rtol=1e-5, err_msg=str(number))
    np.testing.assert_array_equal(run(lambda a: a.sort(axis=0), X), np.sort(X, axis=0))
    np.testing.assert_array_equal(run(lambda a: a.argsort(axis=0), X), X.argsort(axis=0))


def test_iteration_and_unpacking():
    first, second, third = run(lambda a: tuple(2 * row for row in a), X)
    np.testing.assert_array_equal([first, second, third], 2 * X)
    a, b = run(lambda a: (lambda p, q, r: (p + r, q))(*a), X)
    np.testing.assert_array_equal([a, b], [X[0] + X[2], X[1]])


def test_broadcasts_only_where_needed():
    x, y = gx.input("x", (2, 3)), gx.input("y", (2, 3))
    assert [n.op.name for n in gx.Graph.from_outputs([x + y]).nodes] == ["input", "input", "add"]
    row = gx.input("row", (3,))
    names = [n.op.name for n in gx.Graph.from_outputs([x + row]).nodes]
    assert names == ["input", "input", "broadcast_to", "add"]
