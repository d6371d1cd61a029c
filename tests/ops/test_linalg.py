"""Linear algebra: compositions against NumPy, and the identities of matrix calculus."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import ops
from graphc.autodiff.reverse import grad
from graphc.dtypes import float64
from graphc.ir.graph import Graph, Value, new_input
from graphc.ops.factorizations import definite
from graphc.ops.samples import Source
from graphc.ops.solve import Solve
from graphc.passes.cse import cse
from graphc.passes.expand import expand
from graphc.reference import evaluate

from .cases import Case
from .test_compositions import gradient, run

SOURCE = Source("linear algebra")
MATRICES = SOURCE.floats((3, 4, 4), float64) + 1.5 * np.eye(4)


def test_inverse_and_determinant():
    inverse, determinant, sign, logarithm = run(
        lambda a: (ops.inv(a), ops.det(a), *ops.slogdet(a)), MATRICES
    )
    np.testing.assert_allclose(inverse, np.linalg.inv(MATRICES), rtol=1e-10)
    np.testing.assert_allclose(determinant, np.linalg.det(MATRICES), rtol=1e-10)
    expected = np.linalg.slogdet(MATRICES)
    np.testing.assert_array_equal(sign, expected.sign)
    np.testing.assert_allclose(logarithm, expected.logabsdet, rtol=1e-10)


def test_determinant_of_small_and_singular_matrices():
    swap = np.array([[0.0, 2], [3, 0]])
    singular = np.array([[1.0, 2], [2, 4]])
    for a in (np.zeros((0, 0)), np.array([[-3.0]]), swap, singular):
        determinant, sign, logarithm = run(lambda v: (ops.det(v), *ops.slogdet(v)), a)
        np.testing.assert_allclose(determinant, np.linalg.det(a), atol=1e-12)
        with np.errstate(divide="ignore"):
            expected = np.linalg.slogdet(a)
        np.testing.assert_array_equal(sign, expected.sign)
        np.testing.assert_allclose(logarithm, expected.logabsdet, rtol=1e-12)


def test_identities_of_matrix_calculus():
    inverses = np.linalg.inv(MATRICES)
    transposed = np.swapaxes(inverses, -1, -2)
    np.testing.assert_allclose(gradient(lambda a: ops.slogdet(a)[1], MATRICES), transposed)
    determinants = np.linalg.det(MATRICES)[:, None, None]
    np.testing.assert_allclose(gradient(ops.det, MATRICES), determinants * transposed)
    # d tr(X⁻¹) / dX = -(X⁻¹ X⁻¹)ᵀ
    slope = gradient(lambda a: ops.sum_all(ops.diagonal(ops.inv(a))), MATRICES)
    np.testing.assert_allclose(slope, -np.swapaxes(inverses @ inverses, -1, -2), rtol=1e-9)


def test_second_derivative_of_the_logarithm_of_a_determinant():
    # The Hessian of log det X along D is -X⁻ᵀ Dᵀ X⁻ᵀ.
    a, along = MATRICES[0], SOURCE.floats((4, 4), float64)
    x = new_input("x", Case.of(next(iter(Solve.samples()))).inputs[0].type.with_dtype(float64))
    first = grad([ops.slogdet(x)[1]], [x], [ops.constant(np.float64(1))])[0]
    assert first is not None
    moved = ops.sum_all(ops.multiply(first, ops.constant(along)))
    second = grad([moved], [x], [ops.constant(np.float64(1))])[0]
    assert second is not None
    t = np.linalg.inv(a).T
    np.testing.assert_allclose(evaluate([second], {x: a})[0], -t @ along.T @ t, rtol=1e-8)


@pytest.mark.parametrize("shape", ((4, 6), (6, 4), (2, 3, 3), (1, 1), (0, 3)))
def test_diagonal(shape: tuple[int, ...]):
    x = SOURCE.floats(shape, float64)
    np.testing.assert_array_equal(run(ops.diagonal, x)[0], np.diagonal(x, 0, -2, -1))


@pytest.mark.parametrize("offset", (-2, -1, 0, 1, 5))
def test_triangles(offset: int):
    x = SOURCE.floats((2, 3, 4), float64)
    low, high = run(lambda v: (ops.tril(v, offset), ops.triu(v, offset)), x)
    np.testing.assert_array_equal(low, np.tril(x, offset))
    np.testing.assert_array_equal(high, np.triu(x, offset))


def test_cholesky_reads_the_lower_triangle_alone():
    a = definite(SOURCE, (5, 5), float64)
    broken = np.tril(a) + np.triu(np.full((5, 5), np.nan), 1)
    np.testing.assert_allclose(run(ops.cholesky, broken)[0], np.linalg.cholesky(a))
    assert not np.triu(gradient(ops.cholesky, a), 1).any()


def test_solve_equals_its_expansion():
    for sample in Solve.samples():
        case = Case.of(sample)
        graph = expand(Graph.from_values(case.outputs))
        assert all(not isinstance(node.op, Solve) for node in graph.nodes)
        given = {v: a for v, a in case.arrays.items() if v in graph.inputs}
        tolerance = 1e-4 if case.outputs[0].dtype is not float64 else 1e-10
        np.testing.assert_allclose(
            evaluate(graph, given)[0],
            evaluate(case.outputs, case.arrays)[0],
            rtol=tolerance,
            atol=tolerance,
            err_msg=str(sample),
        )


def test_backward_pass_of_solve_needs_no_second_factorisation():
    """After expansion all factorisations are of the same matrix, and one of them remains."""
    a = new_input("a", Case.of(list(Solve.samples())[1]).inputs[0].type)
    b = new_input("b", Case.of(list(Solve.samples())[1]).inputs[1].type)
    x: Value = ops.solve(a, b)
    da, db = grad([x], [a, b], [ops.full_like(x, 1)])
    assert da is not None and db is not None
    graph = cse(expand(Graph((a, b), (x, da, db))))
    assert [node.op.name for node in graph.nodes].count("lu") == 1
