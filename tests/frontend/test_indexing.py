"""Every form of index against NumPy, and `t.at`."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 5, 6))
J = np.array([[0, 2], [3, -1]])
K = np.array([1, -2])
COLUMN = np.array([[1], [0]])
S = slice(None)

BASIC = [
    1, -1, (1, 2), (1, -2, 3), S, slice(1, 3), slice(None, None, 2), slice(None, None, -1),
    slice(3, None, -2), slice(-2, None), slice(10, 20), slice(3, 1), slice(-100, 100, 3),
    (S, 1), (Ellipsis, 1), (1, Ellipsis), (Ellipsis, slice(1, 4)), Ellipsis, (), None, (None, 1),
    (S, None, 2), (1, None, Ellipsis, None), (slice(1, 3), -1, slice(4, 0, -3)), (np.int64(2), S),
    (slice(np.int64(1), np.int32(3)),),
]  # fmt: skip
ADVANCED = [
    J, K, [0, 2, 2], (J, K), (S, J), (S, S, K), (Ellipsis, J), (J, S, K), (K, S, K), (S, K, K),
    (J, 1), (1, J), (1, S, K), (K, S, 1), (S, 1, K), (K, 1, S), (None, K, K), (K, None, K),
    (K, K, None), (slice(1, 3), K), (slice(None, None, -1), K, slice(0, 2)), (S, K, slice(1, 5, 2)),
    (K, Ellipsis, K), (COLUMN, K), (COLUMN, S, K), (np.array(2), S, K), (S, np.array(2)),
    np.array([], np.int64), ([], S), (None, K, S, K), (1, K, 2), np.array([1, 3], np.uint8),
    np.array([True, False, True, True]), (S, np.array([True, False, True, False, True])),
    RNG.random((4, 5)) > 0.5, (1, None, J), (J, None, S, K),
]  # fmt: skip


def inputs_of(index):
    """The integer arrays of an index, and a function that puts tensors in their places."""
    entries = index if isinstance(index, tuple) else (index,)
    at = [k for k, e in enumerate(entries) if isinstance(e, np.ndarray) and e.dtype.kind in "iu"]

    def rebuilt(tensors):
        new = list(entries)
        for k, t in zip(at, tensors, strict=True):
            new[k] = t
        return tuple(new)

    return [entries[k] for k in at], rebuilt


@pytest.mark.parametrize("index", [*BASIC, *ADVANCED], ids=str)
def test_selects_what_numpy_selects(index):
    expected = X[index]
    result = gx.trace(lambda x: x[index], X).evaluate(X)
    np.testing.assert_array_equal(result, expected, strict=True)
    arrays, rebuilt = inputs_of(index)
    if arrays:
        fn = lambda x, *tensors: x[rebuilt(tensors)]  # noqa: E731
        np.testing.assert_array_equal(
            gx.trace(fn, X, *arrays).evaluate(X, *arrays), expected, strict=True
        )


@pytest.mark.parametrize("index", [*BASIC, *ADVANCED], ids=str)
def test_gradient_goes_back_to_its_place(index):
    weights = RNG.standard_normal(X[index].shape)
    expected = np.zeros_like(X)
    np.add.at(expected, index, weights)
    fn = gx.grad(lambda x: gx.sum(x[index] * weights))
    np.testing.assert_allclose(gx.trace(fn, X).evaluate(X), expected, rtol=1e-12)


@pytest.mark.parametrize("index", [*BASIC, *ADVANCED], ids=str)
def test_updates(index):
    new = RNG.standard_normal(X[index].shape)
    replaced = X.copy()
    replaced[index] = new
    constant = X.copy()
    constant[index] = 7
    cases = {
        "set": replaced,
        "add": _at(np.add, X, index, new),
        "multiply": _at(np.multiply, X, index, new),
        "min": _at(np.minimum, X, index, new),
        "max": _at(np.maximum, X, index, new),
    }
    for method, expected in cases.items():
        fn = lambda x, v, m=method: getattr(x.at[index], m)(v)  # noqa: E731
        result = gx.trace(fn, X, new).evaluate(X, new)
        np.testing.assert_allclose(result, expected, rtol=1e-12, err_msg=method)
    np.testing.assert_array_equal(gx.trace(lambda x: x.at[index].set(7), X).evaluate(X), constant)
    np.testing.assert_array_equal(gx.trace(lambda x: x.at[index].get(), X).evaluate(X), X[index])


def _at(ufunc, x, index, new):
    out = x.copy()
    ufunc.at(out, index, new)
    return out


@pytest.mark.parametrize(
    "index", [slice(1, 3), (S, 2), (J, K), (slice(1, 3), K), [0, 0, 1]], ids=str
)
def test_derivatives_of_updates_agree_with_finite_differences(index):
    new = RNG.standard_normal(X[index].shape)
    weights = RNG.standard_normal(X.shape)
    dx, dnew = RNG.standard_normal(X.shape), RNG.standard_normal(new.shape)
    for method in ("set", "add", "multiply", "min", "max"):

        def fn(x, v, method=method):
            return gx.sum(weights * getattr(x.at[index], method)(v))

        value = gx.trace(fn, X, new)
        gx_, gv = gx.trace(gx.grad(fn, (0, 1)), X, new).evaluate(X, new)
        step = 1e-6
        up = value.evaluate(X + step * dx, new + step * dnew)
        down = value.evaluate(X - step * dx, new - step * dnew)
        slope = (gx_ * dx).sum() + (gv * dnew).sum()
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-6, err_msg=method)


def test_positions_outside_are_clamped_in_tensors_and_refused_in_arrays():
    x = np.arange(4.0)
    at = np.array([-9, -1, 3, 9])
    np.testing.assert_array_equal(
        gx.trace(lambda x, j: x[j], x, at).evaluate(x, at), x[[0, 3, 3, 3]]
    )
    t = gx.input("t", (4,))
    with pytest.raises(gx.IndexingError, match=r"-9 … 9 are out of range for axis 0 of extent 4"):
        t[at]
    with pytest.raises(IndexError, match=r"index 4 is out of range.*test_indexing.py:\d+"):
        t[4]


def test_refused_indices():
    t = gx.input("t", (4, 3))
    with pytest.raises(gx.TraceError, match=r"gx.where\(mask"):
        t[t > 0]
    with pytest.raises(gx.TraceError, match="boolean mask"):
        t[True]
    with pytest.raises(gx.IndexingError, match="3 indices for a tensor of 2 axes"):
        t[0, 0, 0]
    with pytest.raises(gx.IndexingError, match="at most one"):
        t[..., 0, ...]
    with pytest.raises(gx.IndexingError, match=r"dtype float32: integers required"):
        t[gx.input("j", (2,))]
    with pytest.raises(gx.TraceError, match=r"gx\.dynamic_slice"):
        t[: gx.input("n", (), "int32")]
    with pytest.raises(gx.IndexingError, match="got str"):
        t["name"]
    with pytest.raises(gx.IndexingError, match="slice step cannot be zero"):
        t[::0]
    with pytest.raises(gx.ShapeError, match="do not broadcast"):
        t.at[0].set(np.zeros(2, np.float32))
    with pytest.raises(gx.DTypeError, match="does not fit"):
        gx.input("n", (3,), "int32").at[0].set(1.5)


def test_updates_keep_the_dtype():
    assert gx.input("t", (3,)).at[0].add(np.float64(1)).dtype is gx.float32
    assert gx.input("t", (3,)).at[0].add(gx.input("v", (), "float64")).dtype is gx.float32


def test_take_and_scatter():
    np.testing.assert_array_equal(
        gx.trace(lambda x: gx.take(x, K, axis=1), X).evaluate(X), np.take(X, K, axis=1)
    )
    at = RNG.integers(0, 5, (4, 3, 6))
    np.testing.assert_array_equal(
        gx.trace(lambda x, j: gx.take_along_axis(x, j, 1), X, at).evaluate(X, at),
        np.take_along_axis(X, at, 1),
    )
    one = at[:, :1]
    np.testing.assert_array_equal(
        gx.trace(lambda x, j: gx.take_along_axis(x, j, 1), X, one).evaluate(X, one),
        np.take_along_axis(X, one, 1),
    )
    rows = np.array([1, 1, 3])
    new = RNG.standard_normal((4, 3, 6))
    expected = X.copy()
    for k, row in enumerate(rows):
        expected[:, row] += new[:, k]
    result = gx.trace(lambda x, v: gx.scatter_add(x, rows, v, axis=1), X, new).evaluate(X, new)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("starts", [(0, 1, 2), (3, 4, -5), (9, 9, 9)])
def test_windows(starts):
    inside = [int(np.clip(s, 0, n - m)) for s, n, m in zip(starts, X.shape, (2, 5, 3), strict=True)]
    window = tuple(slice(s, s + m) for s, m in zip(inside, (2, 5, 3), strict=True))
    at = [np.array(s) for s in starts]
    result = gx.trace(lambda x, *s: gx.dynamic_slice(x, s, (2, 5, 3)), X, *at).evaluate(X, *at)
    np.testing.assert_array_equal(result, X[window])
    new = RNG.standard_normal((2, 5, 3))
    expected = X.copy()
    expected[window] = new
    fn = lambda x, v, *s: gx.dynamic_update_slice(x, v, s)  # noqa: E731
    np.testing.assert_array_equal(gx.trace(fn, X, new, *at).evaluate(X, new, *at), expected)


def test_embedding_is_a_gather_of_rows():
    table, index = gx.input("table", (10, 4)), gx.input("index", (2, 3), "int32")
    names = [n.op.name for n in gx.Graph.from_outputs([table[index]]).nodes]
    assert names == ["input", "input", "gather"]
