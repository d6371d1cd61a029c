"""Array functions against NumPy: values, shapes and dtypes."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx

RNG = np.random.default_rng(0)
X = RNG.uniform(0.2, 0.9, (3, 4)).astype(np.float32)
Y = RNG.uniform(0.2, 0.9, (3, 4)).astype(np.float32)
R = RNG.standard_normal((2, 3, 4)).astype(np.float32)
N = RNG.integers(-9, 9, (3, 4)).astype(np.int32)
MASK = RNG.random((3, 4)) > 0.5
EMPTY = np.zeros((0, 3), np.float32)


def run(fn, *arrays):
    return gx.trace(fn, *arrays).evaluate(*arrays)


def agree(result, expected, tolerance=2e-6):
    """The same structure, shapes, values and dtypes."""
    if isinstance(expected, (tuple, list)):
        assert len(result) == len(expected)
        for r, e in zip(result, expected, strict=True):
            agree(r, e, tolerance)
        return
    expected = np.asarray(expected)
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)


UNARY = {
    "abs": "abs", "acos": "arccos", "acosh": None, "asin": "arcsin", "asinh": "arcsinh",
    "atan": "arctan", "atanh": "arctanh", "ceil": "ceil", "cos": "cos", "cosh": "cosh",
    "exp": "exp", "exp2": "exp2", "expm1": "expm1", "floor": "floor", "isfinite": "isfinite",
    "isinf": "isinf", "isnan": "isnan", "log": "log", "log10": "log10", "log1p": "log1p",
    "log2": "log2", "negative": "negative", "positive": "positive", "reciprocal": "reciprocal",
    "round": "rint", "sign": "sign", "signbit": "signbit", "sin": "sin", "sinh": "sinh",
    "sqrt": "sqrt", "square": "square", "tan": "tan", "tanh": "tanh", "trunc": "trunc",
}  # fmt: skip
BINARY = {
    "add": "add", "atan2": "arctan2", "copysign": "copysign", "divide": "divide",
    "equal": "equal", "floor_divide": "floor_divide", "greater": "greater",
    "greater_equal": "greater_equal", "hypot": "hypot", "less": "less",
    "less_equal": "less_equal", "logaddexp": "logaddexp", "maximum": "maximum",
    "minimum": "minimum", "multiply": "multiply", "nextafter": "nextafter",
    "not_equal": "not_equal", "pow": "power", "remainder": "remainder", "subtract": "subtract",
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    x = X + 1 if name == "acosh" else X
    theirs = getattr(np, UNARY[name] or "arccosh")
    for sign in (1, -1) if name not in ("sqrt", "log", "log2", "log10", "acosh") else (1,):
        agree(run(getattr(gx, name), sign * x), theirs(sign * x))


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    ours, theirs = getattr(gx, name), getattr(np, BINARY[name])
    agree(run(ours, X, Y), theirs(X, Y))
    wide = np.abs(R) if name == "pow" else R
    agree(run(ours, wide, Y), theirs(wide, Y))
    agree(run(lambda x: ours(x, 0.5), X), theirs(X, np.float32(0.5)))
    agree(run(lambda x: ours(Y[0], x), X), theirs(Y[0], X))


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bits(name):
    agree(run(getattr(gx, name), N, N.T.reshape(3, 4)), getattr(np, name)(N, N.T.reshape(3, 4)))


def test_shifts_and_logic():
    agree(run(gx.bitwise_left_shift, N, np.abs(N) % 5), np.left_shift(N, np.abs(N) % 5))
    agree(run(gx.bitwise_right_shift, N, np.abs(N) % 5), np.right_shift(N, np.abs(N) % 5))
    agree(run(gx.bitwise_invert, N), ~N)
    for name in ("logical_and", "logical_or", "logical_xor"):
        agree(run(getattr(gx, name), MASK, X > 0.5), getattr(np, name)(MASK, X > 0.5))
    agree(run(gx.logical_not, MASK), ~MASK)


def test_special_functions():
    scipy = pytest.importorskip("scipy.special")
    for name, theirs in {"erf": scipy.erf, "erfc": scipy.erfc, "lgamma": scipy.gammaln,
                         "digamma": scipy.digamma, "sigmoid": scipy.expit}.items():  # fmt: skip
        agree(run(getattr(gx, name), X), theirs(X), 1e-5)
    agree(run(lambda x: gx.polygamma(2, x), X), scipy.polygamma(2, X).astype(np.float32), 1e-5)
    agree(run(lambda x: gx.rsqrt(x), X), 1 / np.sqrt(X))


REDUCTIONS = ["sum", "prod", "max", "min", "mean", "var", "std"]
AXES = [None, 0, -1, (0, 2), (1,), ()]


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", [*REDUCTIONS, "any", "all", "count_nonzero", "logsumexp"])
def test_reductions(name, axis):
    ours = getattr(gx, name)
    for keepdims in (False, True):
        result = run(lambda x, k=keepdims: ours(x, axis=axis, keepdims=k), R)
        if name == "logsumexp":
            expected = np.log(np.exp(R).sum(axis, keepdims=keepdims))
        else:
            expected = getattr(np, name)(R, axis=axis, keepdims=keepdims)
        agree(result, expected, 1e-5)


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name, axis):
    ours, theirs = getattr(gx, name), getattr(np, name)
    agree(run(lambda x: ours(x, axis=axis), R), theirs(R, axis=axis))
    agree(run(lambda x: ours(x, axis=axis, keepdims=True), R), theirs(R, axis, keepdims=True))


def test_reductions_of_nothing():
    assert run(gx.sum, EMPTY) == 0 and run(gx.prod, EMPTY) == 1
    assert np.isnan(run(gx.mean, EMPTY))
    assert run(gx.logsumexp, EMPTY) == -np.inf
    assert run(gx.all, EMPTY) and not run(gx.any, EMPTY)
    for fn in (gx.max, gx.min, gx.argmax):
        with pytest.raises(gx.ShapeError, match="no elements"):
            run(fn, EMPTY)


def test_corrections_and_dtypes():
    agree(run(lambda x: gx.var(x, axis=0, correction=1), X), X.var(0, ddof=1), 1e-5)
    agree(run(lambda x: gx.std(x, correction=2), X), X.std(ddof=2), 1e-5)
    assert run(lambda x: gx.sum(x, dtype="float64"), X).dtype == np.float64
    large = np.array([[1e30, 1000.0, -np.inf], [-np.inf] * 3, [np.inf, 0, 1]])
    agree(run(lambda x: gx.logsumexp(x, axis=1), large), np.array([1e30, -np.inf, np.inf]))


def test_order():
    for descending in (False, True):
        expected = np.sort(R, 1)[:, ::-1] if descending else np.sort(R, 1)
        agree(run(lambda x, d=descending: gx.sort(x, axis=1, descending=d), R), expected)
    ties = np.array([1, 0, 1, 0, 1])
    agree(run(gx.argsort, ties), np.argsort(ties, kind="stable"))
    agree(run(lambda x: gx.argsort(x, descending=True), ties), np.array([0, 2, 4, 1, 3]))
    values, positions = run(lambda x: gx.top_k(x, 2, axis=1), R)
    agree(values, np.sort(R, 1)[:, ::-1][:, :2])
    agree(np.take_along_axis(R, positions, 1), values)
    row, wanted = np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 2.0], [5.0, 9.0]])
    for side in ("left", "right"):
        agree(
            run(lambda r, v, s=side: gx.searchsorted(r, v, side=s), row, wanted),
            np.searchsorted(row, wanted, side),
        )


def test_cumulative():
    agree(run(lambda x: gx.cumulative_sum(x, axis=1), R), R.cumsum(1), 1e-5)
    agree(run(lambda x: gx.cumulative_prod(x, axis=-1), R), R.cumprod(-1), 1e-5)
    agree(run(lambda x: gx.cumulative_sum(x, axis=1, include_initial=True), R),
          np.concatenate([np.zeros((2, 1, 4), np.float32), R.cumsum(1)], 1), 1e-5)  # fmt: skip
    agree(run(lambda x: gx.cumulative_logsumexp(x, axis=1), R), np.logaddexp.accumulate(R, 1), 1e-5)
    agree(run(gx.cumulative_sum, N[0]), N[0].cumsum(dtype=np.int64))
    agree(run(lambda x: gx.diff(x, axis=1), R), np.diff(R, axis=1))
    agree(run(lambda x: gx.diff(x, n=2, prepend=X[:1, :1], append=X[:1, :2]), X[:1]),
          np.diff(X[:1], n=2, prepend=X[:1, :1], append=X[:1, :2]))  # fmt: skip


SHAPES = {
    "reshape": lambda g, x: g.reshape(x, (4, -1)),
    "permute_dims": lambda g, x: g.permute_dims(x, (2, 0, 1)),
    "matrix_transpose": lambda g, x: g.matrix_transpose(x),
    "moveaxis": lambda g, x: g.moveaxis(x, (0, 2), (1, 0)),
    "expand_dims": lambda g, x: g.expand_dims(x, axis=(0, -1)),
    "squeeze": lambda g, x: g.squeeze(x[:, :1], axis=1),
    "broadcast_to": lambda g, x: g.broadcast_to(x, (5, 2, 3, 4)),
    "broadcast_arrays": lambda g, x: tuple(g.broadcast_arrays(x, x[0, 0])),
    "flip": lambda g, x: g.flip(x, axis=(0, 2)),
    "flip all": lambda g, x: g.flip(x),
    "roll": lambda g, x: g.roll(x, (1, -2), axis=(0, 2)),
    "roll flat": lambda g, x: g.roll(x, 5),
    "concat": lambda g, x: g.concat([x, x[:1]], axis=0),
    "concat flat": lambda g, x: g.concat([x, x[0, 0]], axis=None),
    "stack": lambda g, x: g.stack([x, 2 * x], axis=-1),
    "unstack": lambda g, x: tuple(g.unstack(x, axis=1)),
    "split": lambda g, x: tuple(g.split(x, 2, axis=2)),
    "split at": lambda g, x: tuple(g.split(x, [1, 3], axis=-1)),
    "tile": lambda g, x: g.tile(x, (2, 1, 3)),
    "tile more": lambda g, x: g.tile(x, (2, 1, 1, 1, 3)),
    "repeat": lambda g, x: g.repeat(x, 3, axis=1),
    "repeat each": lambda g, x: g.repeat(x, np.array([2, 0, 1]), axis=1),
    "repeat flat": lambda g, x: g.repeat(x, 2),
    "tril": lambda g, x: g.tril(x, k=1),
    "triu": lambda g, x: g.triu(x, k=-1),
    "where": lambda g, x: g.where(x > 0, x, 0),
    "zeros_like": lambda g, x: g.zeros_like(x),
    "full_like": lambda g, x: g.full_like(x, 3),
    "trace": lambda g, x: g.linalg.trace(x, offset=1),
    "diagonal": lambda g, x: g.linalg.diagonal(x, offset=-1),
    "outer": lambda g, x: g.linalg.outer(x[0, 0], x[1, 1]),
    "vecdot": lambda g, x: g.vecdot(x, x[0]),
    "vector_norm": lambda g, x: g.linalg.vector_norm(x, axis=1, keepdims=True),
    "vector_norm 3": lambda g, x: g.linalg.vector_norm(x, ord=3),
    "vector_norm inf": lambda g, x: g.linalg.vector_norm(x, axis=(0, 1), ord=np.inf),
    "vector_norm 0": lambda g, x: g.linalg.vector_norm(x, ord=0),
    "matrix_norm": lambda g, x: g.linalg.matrix_norm(x),
    "matrix_norm 1": lambda g, x: g.linalg.matrix_norm(x, ord=1, keepdims=True),
    "matrix_norm -inf": lambda g, x: g.linalg.matrix_norm(x, ord=-np.inf),
    "tensordot": lambda g, x: g.tensordot(x, x, axes=((2, 1), (2, 1))),
    "tensordot 1": lambda g, x: g.tensordot(x, g.permute_dims(x, (2, 1, 0)), axes=1),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shape_functions(name):
    case = SHAPES[name]
    agree(run(lambda x: case(gx, x), R), case(np, R), 1e-5)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("width", [1, (2, 0), [(0, 0), (1, 2), (7, 9)]], ids=str)
def test_pad(mode, width):
    agree(run(lambda x: gx.pad(x, width, mode), R), np.pad(R, width, mode))
    weights = RNG.standard_normal(np.pad(R, width, mode).shape).astype(np.float32)
    gradient = run(gx.grad(lambda x: gx.sum(gx.pad(x, width, mode) * weights)), R)
    positions = np.pad(np.arange(R.size).reshape(R.shape), width, mode, **(
        {"constant_values": R.size} if mode == "constant" else {}))  # fmt: skip
    expected = np.bincount(positions.ravel(), weights.ravel(), R.size + 1)[: R.size]
    np.testing.assert_allclose(gradient.ravel(), expected, rtol=1e-4, atol=1e-5)


def test_creation():
    agree(run(lambda: gx.arange(5)), np.arange(5))
    agree(run(lambda: gx.arange(2, 11, 3)), np.arange(2, 11, 3))
    agree(run(lambda: gx.arange(5, 0, -2, dtype="int32")), np.arange(5, 0, -2, dtype=np.int32))
    agree(run(lambda: gx.arange(0, 1, 0.25)), np.arange(0, 1, 0.25, np.float32))
    agree(run(lambda: gx.arange(3, 1)), np.arange(3, 1))
    agree(run(lambda: gx.linspace(0, 1, 7)), np.linspace(0, 1, 7, dtype=np.float32))
    agree(run(lambda a: gx.linspace(a, 2.0, 5), np.float64(1.0)), np.linspace(1, 2, 5, dtype="f4"))
    agree(run(lambda: gx.eye(3, 4, k=1)), np.eye(3, 4, 1, np.float32))
    agree(run(lambda: gx.zeros((2, 3))), np.zeros((2, 3), np.float32))
    agree(run(lambda: gx.ones(4, dtype="int32")), np.ones(4, np.int32))
    agree(run(lambda: gx.full((2,), 7)), np.full(2, 7))
    agree(run(lambda: gx.full((2,), True)), np.full(2, True))
    agree(run(lambda x: gx.full((2, 2), x[0, 0]), X), np.full((2, 2), X[0, 0]))
    agree(run(lambda x: gx.asarray([[x[0, 0], 1.0], [2, x[1, 1]]]), X),
          np.array([[X[0, 0], 1], [2, X[1, 1]]], np.float32))  # fmt: skip
    a, b, c = np.arange(2.0), np.arange(3.0), np.arange(4.0)
    for indexing in ("xy", "ij"):
        agree(run(lambda *t, i=indexing: tuple(gx.meshgrid(*t, indexing=i)), a, b, c),
              tuple(np.meshgrid(a, b, c, indexing=indexing)))  # fmt: skip
    labels = np.array([[0, 2], [-1, 5]])
    expected = (labels[..., None] == np.arange(3)).astype(np.float32)
    agree(run(lambda j: gx.one_hot(j, 3), labels), expected)
    agree(run(lambda j: gx.one_hot(j, 3, "int32", axis=0), labels),
          np.moveaxis(expected, -1, 0).astype(np.int32))  # fmt: skip


PRODUCTS = [
    ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((3, 4), (4, 5)), ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (4,)), ((4,), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (6, 4, 5)),
    ((3, 4), (2, 4, 5)), ((0, 4), (4, 5)), ((3, 0), (0, 5)), ((7, 2, 3, 4), (4, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), PRODUCTS, ids=str)
def test_matmul(left, right):
    a, b = RNG.standard_normal(left), RNG.standard_normal(right)
    agree(run(gx.matmul, a, b), a @ b, 1e-12)
    if a.ndim <= 2 or b.ndim <= 2:
        agree(run(gx.dot, a, b), np.dot(a, b), 1e-12)


def test_a_stack_times_a_matrix_is_one_product():
    x, w = gx.input("x", (2, 3, 4)), gx.input("w", (4, 5))
    gradient = gx.grad(gx.sum(gx.square(x @ w)), w)
    products = [n for n in gx.Graph.from_outputs([gradient]).nodes if n.op.name == "matmul"]
    assert [n.types[0].shape for n in products] == [(6, 5), (4, 5)]


EQUATIONS = [
    ("ij,jk->ik", (3, 4), (4, 5)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("ij,jk", (3, 4), (4, 5)), ("ij->ji", (3, 4)), ("ii->i", (3, 3)), ("ii", (3, 3)),
    ("iij->j", (3, 3, 2)), ("iji->ij", (3, 2, 3)), ("ij->", (3, 4)), ("i,i->", (4,), (4,)),
    ("i,j->ij", (3,), (4,)), ("ij,ij->ij", (3, 4), (3, 4)),
    ("...ij,...jk->...ik", (2, 3, 4), (4, 5)),
    ("...i,i->...", (2, 3, 4), (4,)), ("i...,i...->...", (3, 2), (3, 1)), ("...", (2, 3)),
    ("ab,bc,cd->ad", (2, 3), (3, 4), (4, 5)), ("ij,ik,il->jkl", (2, 3), (2, 4), (2, 5)),
    ("a,b,c,d->", (2,), (3,), (4,), (5,)), ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("ij,j->ij", (3, 4), (4,)), ("ij,kj->", (3, 4), (2, 4)), ("i,->i", (3,), ()),
    ("ij,jk->ki", (3, 1), (4, 5)), ("b...i,b...i->b...", (2, 3, 4), (2, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda c: c[0])
def test_einsum(case):
    equation, *shapes = case
    arrays = [RNG.standard_normal(s) for s in shapes]
    agree(run(lambda *a: gx.einsum(equation, *a), *arrays), np.einsum(equation, *arrays), 1e-12)


def test_einsum_contracts_the_smallest_pair_first():
    a, b, c = (gx.input(n, s) for n, s in (("a", (100, 90)), ("b", (90, 80)), ("c", (80, 1))))
    graph = gx.Graph.from_outputs([gx.einsum("ij,jk,kl->il", a, b, c)])
    products = [n.types[0].shape for n in graph.nodes if n.op.name == "matmul"]
    assert products == [(90, 1), (100, 1)]


def test_refused_shapes():
    x, y = gx.input("x", (2, 3)), gx.input("y", (4, 5))
    refused = {
        r"add\(float32\[2,3\], float32\[4,5\]\): shapes do not broadcast": lambda: x + y,
        r"inner sizes differ, 3 != 4": lambda: x @ y,
        "the extent -1 cannot be inferred": lambda: gx.reshape(x, (4, -1)),
        "axis 2 is out of range for 2 axes": lambda: gx.sum(x, axis=2),
        "repeat": lambda: gx.sum(x, axis=(0, 0)),
        "does not have extent 1": lambda: gx.squeeze(x, axis=0),
        "other axes differ": lambda: gx.concat([x, y]),
        "shapes differ": lambda: gx.stack([x, y]),
        "no 2 equal parts": lambda: gx.split(x, 2, axis=1),
        "2 operands required, got 1": lambda: gx.einsum("ij,jk", x),
        "does not fit": lambda: gx.einsum("ijk", x),
        "sizes 3 and 4 of one letter differ": lambda: gx.einsum("ij,jk", x, y),
        "not a valid equation": lambda: gx.einsum("ij->k", x),
        "at least one": lambda: gx.concat([]),
        "leading axes do not broadcast": lambda: gx.zeros((2, 3, 4)) @ gx.zeros((3, 4, 5)),
    }
    for message, call in refused.items():
        with pytest.raises(gx.ShapeError, match=message):
            call()
    with pytest.raises(gx.TraceError, match="shapes are static"):
        gx.zeros(gx.input("n", (), "int64"))


def test_every_function_has_a_line_about_itself():
    for name in gx.functions.__all__:
        function = getattr(gx.functions, name)
        if callable(function) and not isinstance(function, type):
            assert function.__doc__, name


def test_whole_numbers_and_finiteness_of_integers():
    for name in ("floor", "ceil", "round", "trunc"):
        agree(run(getattr(gx, name), N), N)
    for name in ("isnan", "isinf", "isfinite"):
        agree(run(getattr(gx, name), N), getattr(np, name)(N))


def test_constants_of_pad():
    agree(run(lambda x: gx.pad(x, 1), MASK), np.pad(MASK, 1))
    for fill in ((1, 2), ((1, 2), (3, 4))):
        expected = np.pad(X, ((1, 2), (0, 1)), constant_values=fill)
        agree(run(lambda x, f=fill: gx.pad(x, ((1, 2), (0, 1)), constant_values=f), X), expected)
