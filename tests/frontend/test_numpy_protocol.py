"""NumPy's own functions, and libraries that speak the Array API, on tensors."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx

X = np.random.default_rng(0).uniform(0.5, 2, (3, 4)).astype(np.float32)
ROW = np.arange(1, 5, dtype=np.float32)

CASES = [
    np.exp, np.tanh, np.negative, np.absolute, np.square, lambda x: np.arcsin(x / 2), np.rint,
    lambda x: np.add(x, ROW), lambda x: np.power(x, 2), lambda x: np.true_divide(ROW, x),
    lambda x: ROW * x, lambda x: x @ np.ones((4, 2), np.float32), lambda x: np.matmul(x, ROW),
    lambda x: np.ones((2, 3), np.float32) @ x, lambda x: np.arctan2(x, ROW),
    lambda x: np.greater(ROW, x),
    lambda x: np.float32(2) * x, lambda x: np.maximum(1.0, x),
    np.sum, lambda x: np.sum(x, axis=0), lambda x: np.sum(x, 1), np.mean, np.ptp,
    lambda x: np.mean(x, axis=1, keepdims=True), lambda x: np.var(x, axis=0, ddof=1), np.std,
    np.max, lambda x: np.amin(x, axis=0), lambda x: np.argmax(x, 1), np.prod,
    lambda x: np.all(x > 0, axis=0), lambda x: np.any(x > 1), np.count_nonzero,
    np.transpose, lambda x: np.transpose(x, (1, 0)), lambda x: np.reshape(x, (4, 3)),
    lambda x: np.expand_dims(x, 1), lambda x: np.squeeze(x[:1]), lambda x: np.moveaxis(x, 0, 1),
    lambda x: np.swapaxes(x, 0, 1), lambda x: np.broadcast_to(x, (2, 3, 4)), np.flip,
    lambda x: np.flip(x, axis=1), lambda x: np.roll(x, 1, axis=0), lambda x: np.tile(x, (2, 1)),
    lambda x: np.repeat(x, 2, axis=0), lambda x: np.concatenate([x, x], axis=1),
    lambda x: np.stack([x, x], axis=1), lambda x: np.split(x, 2, axis=1)[1],
    lambda x: np.where(x > 1, x, 0), lambda x: np.clip(x, 1, 1.5), lambda x: np.dot(x, ROW),
    lambda x: np.einsum("ij,j->i", x, ROW), lambda x: np.tensordot(x, x, 2),
    lambda x: np.outer(x[0], ROW), lambda x: np.cumsum(x, axis=1), lambda x: np.cumsum(x),
    lambda x: np.diff(x, axis=1), lambda x: np.sort(x, axis=0), lambda x: np.argsort(x, axis=0),
    lambda x: np.take(x, [2, 0], axis=1), np.tril, lambda x: np.triu(x, 1), np.linalg.norm,
    lambda x: np.linalg.norm(x, axis=1), lambda x: np.linalg.norm(x, "fro"),
    lambda x: np.pad(x, 1), np.zeros_like, np.ones_like, lambda x: np.full_like(x, 3),
    lambda x: np.add.reduce(x), lambda x: np.maximum.reduce(x, axis=1),
    lambda x: np.take_along_axis(x, np.array([[1], [0], [3]]), axis=1),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CASES)))
def test_numpy_functions(number):
    case = CASES[number]
    if case is np.ptp:
        with pytest.raises(gx.TraceError, match=r"np.ptp does not work on tensors"):
            gx.trace(case, X)
        return
    expected = case(X)
    result = gx.trace(case, X).evaluate(X)
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=2e-6)


def test_shapes_are_known():
    x = gx.input("x", (3, 4))
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)) == ((3, 4), 2, 12, 4)


def test_writing_into_an_array_is_refused():
    array, t = np.ones((3, 4), np.float32), gx.input("t", (3, 4))
    with pytest.raises(gx.TraceError, match="write result = a \\+ t instead"):
        array += t
    with pytest.raises(gx.TraceError, match="has no data"):
        np.asarray(t)
    with pytest.raises(gx.TraceError, match=r"np.add.accumulate does not work"):
        np.add.accumulate(t)
    with pytest.raises(gx.TraceError, match=r"np.sinc|np.linalg|does not work"):
        np.linalg.svd(t)


def test_the_namespace_is_graphc():
    x = gx.input("x", (3, 4))
    xp = x.__array_namespace__()
    assert xp is gx
    assert xp.__array_namespace_info__().default_dtypes()["real floating"] is gx.float32
    names = """
    abs acos add all any arange argmax argsort asarray astype atan2 bitwise_and
    broadcast_to can_cast ceil clip concat copysign count_nonzero cumulative_prod cumulative_sum
    diff divide e equal exp expand_dims eye finfo flip floor full hypot iinfo inf isdtype isfinite
    linspace log logaddexp logical_xor matmul matrix_transpose max maximum mean meshgrid moveaxis
    nan negative newaxis nextafter not_equal ones permute_dims pi pow prod reciprocal remainder
    repeat reshape result_type roll round searchsorted sign signbit sort sqrt squeeze stack std
    subtract sum take take_along_axis tensordot tile tril triu trunc unstack var vecdot where zeros
    bool float32 float64 int32 int64 uint8 uint32 linalg
    """
    assert [n for n in names.split() if not hasattr(xp, n)] == []


def test_einops():
    einops = pytest.importorskip("einops.array_api", reason="einops is not installed")
    images = np.random.default_rng(0).standard_normal((2, 4, 6, 3)).astype(np.float32)
    fn = lambda x: einops.rearrange(x, "b (h p) (w q) c -> b (h w) (p q c)", p=2, q=3)  # noqa: E731
    expected = images.reshape(2, 2, 2, 2, 3, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 4, 18)
    np.testing.assert_array_equal(gx.trace(fn, images).evaluate(images), expected)
    mean = lambda x: einops.reduce(x, "b h w c -> b c", "mean")  # noqa: E731
    np.testing.assert_allclose(
        gx.trace(mean, images).evaluate(images), images.mean((1, 2)), rtol=1e-5
    )
    again = lambda x: einops.repeat(x, "b h w c -> b h w r c", r=2)  # noqa: E731
    np.testing.assert_array_equal(
        gx.trace(again, images).evaluate(images), np.repeat(images[..., None, :], 2, -2)
    )
