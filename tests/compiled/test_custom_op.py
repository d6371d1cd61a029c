"""Operators of a user's own: values, derivatives, fusion, and what their C may not do."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from graphc.errors import ArgumentError, CompilerError, NotDifferentiableError, ShapeError

RNG = np.random.default_rng(6)

cube = gx.custom_op(
    "cube",
    type_rule=lambda x: x,
    reference=lambda x: x**3,
    c="x0 * x0 * x0",
    vjp=lambda x, y, g: 3 * x[0] ** 2 * g[0],
    elementwise=True,
)
slope = gx.custom_op(
    "slope",
    type_rule=lambda x, a: x,
    reference=lambda x, a: np.where(x > 0, x, a * x),
    c="x0 > 0 ? x0 : x1 * x0",
    vjp=lambda i, o, g: (
        gx.where(i[0] > 0, g[0], i[1] * g[0]),
        gx.where(i[0] > 0, 0.0, i[0] * g[0]),
    ),
    jvp=lambda i, o, t: gx.where(i[0] > 0, t[0], i[1] * t[0] + t[1] * i[0]),
    elementwise=True,
)
rows = gx.custom_op(
    "rows",
    type_rule=lambda x: (gx.spec(x.shape[:1], x.dtype), gx.spec(x.shape[:1], "int32")),
    reference=lambda x: (np.square(x).sum(1), x.argmax(1)),
    c="""
        // Sums of squares, and where the largest elements are.
        for (int64_t i = 0; i < x0_dim0; i++) {
            y0[i] = 0;
            y1[i] = 0;
            for (int64_t j = 0; j < x0_dim1; j++) {
                const int64_t at = i * x0_dim1 + j;
                y0[i] += x0[at] * x0[at];
                if (x0[at] > x0[i * x0_dim1 + y1[i]])
                    y1[i] = (int32_t)j;
            }
        }
    """,
    vjp=lambda x, y, g: 2 * x[0] * gx.expand_dims(g[0], axis=1),
)


def check(fn, *arrays, tolerance=1e-12):
    """The compiled function against the reference; gives what was lowered."""
    traced = gx.trace(fn, *arrays)
    lowered = traced.lower(threads=2)
    for got, want in zip(
        tree.leaves(lowered.compile()(*arrays)), tree.leaves(traced.evaluate(*arrays)), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    return lowered


def test_values_and_derivatives_of_every_order():
    x, a = RNG.standard_normal((4, 5)), RNG.standard_normal(5)

    def step(x, a):
        y = slope(cube(x), a)
        first = gx.grad(gx.sum(y**2), (x, a))
        second = gx.grad(sum(gx.sum(g**2) for g in first), (x, a))
        squares, largest = rows(gx.exp(x).T * 2)
        third = gx.hessian(lambda v: gx.sum(rows(gx.reshape(v, (2, 2)))[0] ** 2))(x[0, :4])
        moved = gx.jvp(lambda v: rows(slope(cube(v), a))[0], (x,), (gx.ones_like(x),))
        many = gx.vmap(lambda v: rows(cube(v))[0])(gx.reshape(x, (2, 5, 2)))
        return y, first, second, squares, largest, third, moved, many

    lowered = check(step, x, a, tolerance=1e-11)
    results = lowered.compile()(x, a)
    y, first = results[0], results[1]
    np.testing.assert_allclose(y, np.where(x > 0, x**3, a * x**3), rtol=1e-12)
    slopes = np.where(x > 0, 1, a)
    np.testing.assert_allclose(first[0], 2 * y * slopes * 3 * x**2, rtol=1e-12)
    np.testing.assert_allclose(results[3], np.square(2 * np.exp(x)).sum(0), rtol=1e-12)
    np.testing.assert_array_equal(results[4], x.argmax(0))
    v = x[0, :4].reshape(2, 2)
    s = np.square(v).sum(1)
    want = np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            if i // 2 == j // 2:
                want[i, j] = 8 * v.ravel()[i] * v.ravel()[j] + 4 * s[i // 2] * (i == j)
    np.testing.assert_allclose(results[5], want, rtol=1e-11)
    tangent = 2 * np.where(x > 0, 1, a) * x**3 * np.where(x > 0, 1, a) * 3 * x**2
    np.testing.assert_allclose(results[6][1], tangent.sum(1), rtol=1e-11)
    np.testing.assert_allclose(results[7], np.square(x.reshape(2, 5, 2) ** 3).sum(2), rtol=1e-12)


def test_an_elementwise_one_fuses_with_its_neighbours():
    x = RNG.standard_normal(1000).astype(np.float32)
    lowered = check(lambda x: cube(gx.exp(x) - 1) + 1, x, tolerance=1e-5)
    assert len(lowered.kernels) == 1


def test_others_are_given_contiguous_arrays():
    """Transposed, sliced, broadcast, constant and shared operands."""
    x = RNG.standard_normal((6, 4))
    total = gx.custom_op(
        "weighted",
        type_rule=lambda a, b: gx.spec((), a.dtype),
        reference=lambda a, b: (a * b * np.arange(a.size).reshape(a.shape)).sum(),
        c="y0[0] = 0; for (int i = 0; i < x0_size; i++) y0[0] += x0[i] * x1[i] * i;",
    )

    def step(x):
        corner = x[1:, ::2]
        ones = gx.ones((2, 5), dtype="float64")
        return (
            total(x.T, x.T), total(corner, corner * 2), total(corner.T, ones),
            total(x[2], gx.broadcast_to(x[0, 0], (4,))),
            total(gx.arange(3.0, dtype="float64"), np.ones(3)),
        )  # fmt: skip

    check(step, x)


def test_equal_bodies_are_one_function_and_others_are_not():
    def like(factor: str):
        return gx.custom_op(
            "scale", type_rule=lambda x: x, c=f"x0 * {factor}", elementwise=True,
            reference=lambda x: x * float(factor),
        )  # fmt: skip

    two, again, three = like("2"), like("2"), like("3")
    x = np.arange(5.0)
    lowered = check(lambda x: (two(x), gx.flip(again(x + 1)), three(x), two(x)), x)
    assert lowered.c_source.count("static inline double custom_") == 2


def test_without_a_rule_there_is_no_derivative():
    plain = gx.custom_op("plain", type_rule=lambda x: x, reference=np.sin, c="sin(x0)",
                         elementwise=True)  # fmt: skip
    x = gx.input("x", (3,))
    with pytest.raises(NotDifferentiableError, match=r"custom_op.*test_custom_op\.py:"):
        gx.grad(gx.sum(plain(x)), x)


@pytest.mark.parametrize("elementwise", [True, False])
def test_c_that_does_not_compile_is_told_with_the_operator_and_the_line(elementwise):
    c = "unheard_of(x0)" if elementwise else "y0[0] = zero;"
    broken = gx.custom_op("broken", type_rule=lambda x: x, reference=np.sin, c=c,
                          elementwise=elementwise)  # fmt: skip
    with pytest.raises(CompilerError, match=r"operator 'broken' does not compile   \(test_custom"):
        gx.compile(lambda x: cube(broken(x)), np.ones(3, np.float32))


@pytest.mark.parametrize(
    "c, words",
    [
        ("", "is empty"),
        ("x0) + (x0", r"'\)' closes nothing"),
        ("(x0", r"'\)' is missing"),
        ("x0; system(0)", "statements"),
        ("x0 /* half */", "comments and strings"),
        ("x0\n#define double float", "directives"),
        ("x0 ??) 1", "trigraphs"),
        ("x0 \\", "joined lines"),
        ("xé", "printable ASCII"),
    ],
)
def test_an_expression_stays_one(c, words):
    with pytest.raises(ArgumentError, match=words):
        gx.custom_op("e", type_rule=lambda x: x, reference=np.sin, c=c, elementwise=True)


@pytest.mark.parametrize(
    "c, words",
    [
        ("} int graphc_step(void) {", "'}' closes nothing"),
        ("/* y0[0] = 0;", "a comment does not end"),
        ('puts("', "a string or a comment"),
        ("// all \\", "joined lines"),
        ("%:define y0 x0", "digraphs"),
        ("for (;;) { ", "'}' is missing"),
    ],
)
def test_a_body_stays_one(c, words):
    with pytest.raises(ArgumentError, match=words):
        gx.custom_op("b", type_rule=lambda x: x, reference=np.sin, c=c)


def test_names_of_operators_do_not_reach_c():
    name = '*/ int main; "é??/'
    op = gx.custom_op(name, type_rule=lambda x: x, reference=np.negative, c="-x0", elementwise=True)
    lowered = check(op, np.ones(3))
    assert "int main; " in lowered.c_source and "*/ int main" not in lowered.c_source


def test_refusals():
    x = gx.input("x", (2, 3))
    wrong = gx.custom_op("wrong", type_rule=lambda x: "float32", reference=np.sin, c="x0")
    with pytest.raises(ArgumentError, match="type_rule gives"):
        wrong(x)
    grows = gx.custom_op("grows", type_rule=lambda x: gx.spec((9,)), reference=np.sin, c="x0",
                         elementwise=True)  # fmt: skip
    with pytest.raises(ShapeError, match="elementwise means one result"):
        grows(x)
    with pytest.raises(ShapeError, match="do not broadcast"):
        slope(x, gx.input("a", (2,)))
    skewed = gx.custom_op("skewed", type_rule=lambda x: x, reference=np.sin, c="x0",
                          vjp=lambda x, y, g: g[0][0], elementwise=True)  # fmt: skip
    with pytest.raises(ShapeError, match=r"derivative 0 of vjp is float32\[3\]"):
        gx.grad(gx.sum(skewed(x)), x)
