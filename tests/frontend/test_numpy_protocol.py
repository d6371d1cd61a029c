"""NumPy's own functions, and libraries that speak the Array API, on tensors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import graphc as gx
from graphc.functions.numpy_api import protocol

X = np.random.default_rng(0).uniform(0.5, 2, (3, 4)).astype(np.float32)
ROW = np.arange(1, 5, dtype=np.float32)
EYE = np.eye(3, dtype=np.float32).reshape(3, 3, 1) + 0.1

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
    np.sort, np.argsort, lambda x: np.sort(x, axis=None), lambda x: np.max(x, 1, keepdims=True),
    lambda x: np.sum(x, 0, np.float64), lambda x: np.std(x, 0, ddof=1), lambda x: np.mod(x, 0.7),
    lambda x: np.add.accumulate(x, axis=1), lambda x: np.multiply.outer(x, ROW), np.ptp,
    lambda x: np.clip(x, a_min=0.7, a_max=1.2), lambda x: np.round(x, 1), lambda x: np.diff(x, 2),
    lambda x: np.concatenate((x, x), 1), lambda x: np.array_split(x, 3, 1)[0],
    lambda x: np.repeat(x, [1, 0, 2, 1], 1), lambda x: np.expand_dims(x, (0, 2)), np.square,
    lambda x: np.linalg.norm(x, axis=(0, 1), keepdims=True), lambda x: np.linalg.norm(x[0], 3),
    lambda x: np.linalg.norm(x, 1), lambda x: np.linalg.norm(x, np.inf, axis=(1, 0)),
    lambda x: np.linalg.norm(x, ord=1, axis=0, keepdims=True), lambda x: np.linalg.inv(x[:, :3]),
    lambda x: np.linalg.det(x[:, :3]), lambda x: np.linalg.slogdet(x[:, :3])[1],
    lambda x: np.linalg.solve(x[:, :3], x[:, 3]), lambda x: np.linalg.cholesky(x @ x.T),
    lambda x: np.linalg.matrix_power(x[:, :3], 3), lambda x: np.linalg.matrix_power(x[:, 1:], -2),
    lambda x: np.linalg.cross(x[:, :3], x[0, 1:]), lambda x: np.linalg.multi_dot([x.T, x, x.T]),
    lambda x: np.linalg.trace(x), lambda x: np.linalg.vecdot(x, ROW), lambda x: np.vdot(x, x),
    lambda x: np.kron(x, x[:2]), lambda x: np.kron(ROW, x), lambda x: np.inner(x, x),
    lambda x: np.inner(x, ROW), np.trace, lambda x: np.trace(x, 1), lambda x: np.diag(x, -1),
    lambda x: np.diag(x[0]), lambda x: np.diag(x[0], 2), lambda x: np.diag(x[0], -1), np.diagonal,
    lambda x: np.diagonal(np.stack([x, x]), 1, 0, 2), np.atleast_1d, np.atleast_2d, np.atleast_3d,
    lambda x: np.atleast_3d(x[0]), lambda x: np.atleast_2d(x[0, 0]), np.ravel, np.flipud, np.fliplr,
    lambda x: np.vstack([x, ROW]), lambda x: np.hstack([x, x]), lambda x: np.hstack([x[0], ROW]),
    lambda x: np.dstack([x, x]), lambda x: np.column_stack([x[0], ROW]), np.rot90, np.nan_to_num,
    lambda x: np.rot90(x, 2), lambda x: np.rot90(x, -1), lambda x: np.append(x, ROW),
    lambda x: np.append(x, x, 0), lambda x: np.delete(x, 1, 1), lambda x: np.delete(x, [0, 2]),
    lambda x: np.gradient(x)[1], lambda x: np.gradient(x, 0.5, axis=1), np.average, np.median,
    lambda x: np.average(x, 1, ROW), lambda x: np.median(x, axis=1, keepdims=True), np.sinc,
    lambda x: np.median(x[:, :3], axis=0), lambda x: np.trapezoid(x, dx=0.5),
    lambda x: np.trapezoid(x, ROW), lambda x: np.fmax(x, 1), lambda x: np.fmin(x, ROW),
    np.deg2rad, np.rad2deg, np.radians, np.degrees, lambda x: np.logaddexp2(x, ROW), np.nansum,
    lambda x: np.heaviside(x - 1, 0.5), lambda x: np.isclose(x, 1, rtol=0.5), np.nanmax, np.nanmin,
    lambda x: np.allclose(x, x), lambda x: np.digitize(x, [0.7, 1.1]), np.copy, np.real, np.conj,
    lambda x: np.searchsorted(ROW, x, "right"), lambda x: np.where(x > 1, x, ROW), np.nanprod,
    lambda x: np.moveaxis(x, source=0, destination=-1), lambda x: np.tile(A=x, reps=2),
    lambda x: np.sum(x, where=x > 1), lambda x: np.max(x, 1, initial=0.0, where=x < 1),
    lambda x: np.min(x, axis=0, initial=1), lambda x: np.mean(x, dtype=np.float64),
    lambda x: np.prod(x, 1, initial=2, where=x > 1), lambda x: np.std(x, 1, np.float64, ddof=1),
    lambda x: np.amax(x, 1), lambda x: np.reshape(x, (2, 6), order="F"), np.ravel,
    lambda x: np.ravel(x, "F"), lambda x: np.reshape(x, -1, "F"), lambda x: np.vsplit(x, 3)[1],
    lambda x: np.hsplit(x, [1, 3])[1], lambda x: np.hsplit(x[0], 2)[0], np.diagflat,
    lambda x: np.dsplit(x[None], 2)[1], lambda x: np.rollaxis(x[None], 2), np.cov, np.corrcoef,
    lambda x: np.rollaxis(x[None], 0, 3), lambda x: np.resize(x, (3, 7)), lambda x: np.cov(x[0]),
    lambda x: np.insert(x, 1, 5.0), lambda x: np.insert(x, [0, 2], ROW, axis=0),
    lambda x: np.insert(x, 1, [[6], [7], [8]], axis=1), lambda x: np.insert(x, -1, 7, 1),
    lambda x: np.block([[x, x], [ROW, ROW]]), lambda x: np.block([x, x]), np.ediff1d,
    lambda x: np.vstack([x, x], dtype=np.float64), lambda x: np.zeros_like(x, shape=(2, 2)),
    lambda x: x[np.tril_indices_from(x)], lambda x: x[np.triu_indices_from(x, 1)],
    lambda x: x[:, :3][np.diag_indices_from(x[:, :3])], lambda x: np.cross(x[:, :3], x[:, 1:]),
    lambda x: np.cross(x[:, :3].T, x[:, 1:].T, axis=0), lambda x: np.convolve(x[0], ROW[:3]),
    lambda x: np.convolve(x[0, :2], ROW, "same"), lambda x: np.convolve(x[0], ROW[:3], "valid"),
    lambda x: np.correlate(x[0], ROW[:3]), lambda x: np.correlate(x[0, :3], ROW, "same"),
    lambda x: np.correlate(x[0], ROW[:2], "same"), lambda x: np.correlate(x[0, :2], ROW, "full"),
    lambda x: np.correlate(x[0, :2], ROW), lambda x: np.convolve(x[0, :3], ROW, mode="valid"),
    lambda x: np.polyval([1, -2, 3], x), lambda x: np.polyval(x[0], 1.5), lambda x: np.vander(x[0]),
    lambda x: np.vander(x[0], 3, increasing=True), lambda x: np.matvec(x, ROW),
    lambda x: np.vecmat(ROW[:3], x), lambda x: np.interp(x, ROW / 2, ROW[::-1].astype("f4") ** 2),
    lambda x: np.interp(x, np.float32([1]), x[0, :1]), lambda x: np.unwrap(5 * x),
    lambda x: np.interp(x, ROW / 2, ROW, left=-1, right=9),
    lambda x: np.unwrap(x, axis=0, period=1),
    lambda x: np.interp(5 * x, ROW / 2, ROW, period=2.5), lambda x: np.cbrt(x - 1), np.cbrt,
    lambda x: np.linalg.tensorsolve(x[:, :3] + np.eye(3, dtype="f4"), x[:, 3]),
    lambda x: np.linalg.tensorinv((x[:, :3] + np.eye(3, dtype="f4")).reshape(3, 1, 3), ind=1),
    lambda x: np.linalg.tensorsolve(EYE + x[:, :1, None], x[:, 0], axes=(0,)),
    lambda x: np.fmod(x - 1, 0.3), lambda x: np.modf(x - 1)[0], lambda x: np.modf(x - 1)[1],
    lambda x: np.divmod(x, 0.7)[0], lambda x: np.divmod(x, 0.7)[1], lambda x: np.ldexp(x, 3),
    lambda x: np.select([x > 1.5, x > 1], [x, -x], 7.0),
    lambda x: np.choose([2, 0, 1, 1], [x, -x, ROW]),
    lambda x: np.choose([[5], [-1], [1]], [x, -x], mode="clip"), np.isposinf, np.isneginf, np.fix,
    lambda x: np.choose([[5], [-1], [1]], [x, -x], mode="wrap"), lambda x: np.isin(x, x[0]),
    lambda x: np.isin(x, x[0], invert=True), lambda x: np.array_equal(x, x), np.real_if_close,
    lambda x: np.array_equal(x, x[0]), lambda x: np.array_equal(x, x, equal_nan=True),
    lambda x: np.unravel_index(np.argmax(x), x.shape)[1], lambda x: np.asarray(np.isrealobj(x)),
    lambda x: np.quantile(x, 0.3), lambda x: np.quantile(x, [0.25, 1], axis=1, keepdims=True),
    lambda x: np.percentile(x, 40, axis=(0, 1)), lambda x: np.nanpercentile(x, 90, axis=0),
    lambda x: np.nanquantile(x, [0.1, 0.6], axis=1), lambda x: np.nanmedian(x, 0), np.nanmean,
    lambda x: np.nanvar(x, 1, ddof=1), np.nanstd, lambda x: np.nanargmax(x, 1), np.nanargmin,
    lambda x: np.nancumsum(x, 1), np.nancumprod, lambda x: np.average(x, 0, returned=True)[1],
    lambda x: np.cov(x, x, rowvar=False, bias=True), lambda x: np.corrcoef(x, rowvar=False),
    lambda x: np.average(x, 1, ROW, returned=True)[1], lambda x: np.around(x, 1),
    lambda x: np.asarray(np.iscomplexobj(x)), lambda x: np.float_power(x, 2), np.conjugate,
    lambda x: np.einsum(x, [0, 1], ROW, [1], [0]), lambda x: np.einsum(x, [0, 1], x, [2, 1]),
    lambda x: np.einsum("ij,kj", x, x, optimize=True), lambda x: np.einsum(x, [..., 1], [1, ...]),
    lambda x: np.full_like(x, 2.0), lambda x: np.empty_like(x) * 0, lambda x: np.triu(x, k=1),
    lambda x: np.asarray(np.size(x)), lambda x: np.asarray(np.shape(x)),
    lambda x: np.asarray(np.ndim(x)),
    lambda x: np.concat([x, x]), lambda x: np.argmin(x, axis=1), lambda x: np.cumprod(x, 0),
    lambda x: np.partition(x, range(4)), lambda x: np.array_split(x, [1], axis=1)[1], np.squeeze,
    lambda x: np.pad(x, 1, constant_values=2.0),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CASES)))
def test_numpy_functions(number):
    case = CASES[number]
    expected = np.asarray(case(X))
    result = gx.trace(case, X).evaluate(X)
    assert result.shape == expected.shape
    # Some of NumPy's functions widen float32 to float64 whatever they are given; ours do not.
    assert result.dtype == expected.dtype or (result.dtype, expected.dtype) == ("f4", "f8")
    np.testing.assert_allclose(result, expected, rtol=2e-5, atol=2e-6)


def test_numbers_for_missing_and_infinite_ones():
    x = np.array([np.nan, np.inf, -np.inf, 1.0, -0.0])
    for options in ({}, {"nan": 2.0, "posinf": 3.0, "neginf": -4.0}):
        found = gx.trace(lambda t, o=options: gx.nan_to_num(t, **o), x).evaluate(x)
        np.testing.assert_array_equal(found, np.nan_to_num(x, **options))
    slope = gx.trace(gx.grad(lambda t: gx.sum(gx.nan_to_num(t))), x).evaluate(x)
    np.testing.assert_array_equal(slope, [0, 0, 0, 1, 1])
    with_missing = np.array([np.nan, 1.0, 3.0])
    for fn in (np.nansum, np.nanmax, np.nanmin, np.median, lambda t: np.fmax(t, 2.0)):
        np.testing.assert_array_equal(
            gx.trace(fn, with_missing).evaluate(with_missing), fn(with_missing)
        )


def test_every_function_of_the_tables_has_a_case(monkeypatch):
    seen = set()
    found = protocol._counterpart

    def spy(name, module):
        seen.add(f"linalg.{name}" if "linalg" in module else name)
        return found(name, module)

    monkeypatch.setattr(protocol, "_counterpart", spy)
    for case in CASES:
        gx.trace(case, X)
    assert set(protocol._adapted()) - seen == set()


def test_missing_numbers_are_passed_over():
    x = np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32)
    x[x > 0.6] = np.nan
    x[3] = 1.0
    for fn in (
        np.nanmean, np.nanvar, np.nanstd, np.nanmedian, np.nanmax, np.nanmin, np.nansum, np.nanprod,
        np.nanargmax, np.nanargmin, np.nancumsum, np.nancumprod,
        lambda t, axis: np.nanquantile(t, [0.2, 0.7], axis=axis),
    ):  # fmt: skip
        for axis in (None, 0, 1):
            found = gx.trace(lambda t, fn=fn, axis=axis: fn(t, axis=axis), x).evaluate(x)
            np.testing.assert_allclose(found, fn(x, axis=axis), rtol=2e-5)


@pytest.mark.parametrize(
    "fn",
    [
        np.cbrt, np.sinc, np.unwrap, np.cov, lambda x: np.quantile(x, [0.3, 0.8], axis=0),
        lambda x: np.convolve(x[0], x[1]), lambda x: np.interp(x, x[0] * 0 + ROW, x[1]),
        lambda x: np.nanmean(x, 0), lambda x: np.polyval(x[0], x[1]),
        lambda x: np.insert(x, 1, x[0], 0),
        lambda x: np.std(x[:1], axis=0), lambda x: np.vander(x[0]), lambda x: np.fmod(x, 0.4),
        lambda x: np.select([x > 1.2, x > 1], [x * x, -x]), lambda x: np.resize(x * x, (4, 4)),
    ],
)  # fmt: skip
def test_derivatives_of_numpy_s_functions(fn):
    x = np.random.default_rng(2).uniform(0.6, 1.9, (3, 4))
    direction = np.random.default_rng(3).standard_normal(x.shape)
    weights = np.random.default_rng(4).standard_normal(np.shape(fn(x)))
    above, below = (np.sum(weights * fn(x + h * direction)) for h in (1e-6, -1e-6))
    grad = gx.trace(gx.grad(lambda t: gx.sum(weights * fn(t))), x).evaluate(x)
    found = np.sum(grad * direction)
    np.testing.assert_allclose(found, (above - below) / 2e-6, rtol=1e-6, atol=1e-7)


def test_shapes_are_known():
    x = gx.input("x", (3, 4))
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)) == ((3, 4), 2, 12, 4)


def test_writing_into_an_array_is_refused():
    array, t = np.ones((3, 4), np.float32), gx.input("t", (3, 4))
    with pytest.raises(gx.TraceError, match="write result = a \\+ t instead"):
        array += t
    with pytest.raises(gx.TraceError, match="has no data"):
        np.asarray(t)


def test_what_cannot_be_done_says_why():
    t = gx.input("t", (3, 4))
    for call, why in (
        (lambda: np.linalg.svd(t), "np.svd does not work on tensors: it needs eigenvalues"),
        (lambda: np.nonzero(t), "shape depends on data"),
        (lambda: np.unique(t), "shape depends on data"),
        (lambda: np.where(t > 0), "shape that depends on data"),
        (lambda: np.subtract.accumulate(t), r"np.subtract.accumulate does not work"),
        (lambda: np.take(t, 0, mode="wrap"), "np.take of a tensor does not take mode='wrap'"),
        (lambda: np.max(t, where=t > 0), "np.max with `where` needs `initial`"),
        (lambda: np.fill_diagonal(t, 1), "changed in place"),
        (lambda: np.exp(t, dtype=np.float64), "np.exp of a tensor: got an unexpected"),
        (lambda: np.i0(t), "np.i0 does not work on tensors"),
    ):
        with pytest.raises(gx.TraceError, match=f"{why}.*test_numpy_protocol.py"):
            call()
    for call, why in (
        (lambda: np.quantile(t, 1.5), "q between 0 and 1 required"),
        (lambda: np.select([t > 0], [t, t]), "1 conditions for 2 choices"),
        (lambda: np.hsplit(t[0, 0], 2), "at least 2 axes required"),
        (lambda: np.einsum(t, [0, "j"]), "after each operand a list"),
        (lambda: np.interp(t, t, t), "equal vectors required"),
    ):
        with pytest.raises(gx.ShapeError, match=f"{why}.*test_numpy_protocol.py"):
            call()
    for space, name, why in (
        (gx.linalg, "svd", "graphc.linalg has no 'svd': it needs eigenvalues"),
        (gx, "unique_values", "shape depends on data"),
        (gx, "fft", "no complex dtypes"),
        (gx, "concatenate", "write gx.concat"),
        (gx, "nothing_of_this_name", "graphc has no 'nothing_of_this_name'"),
    ):
        with pytest.raises(AttributeError, match=why):
            getattr(space, name)


def test_coverage_of_the_standard():
    found = gx.compat.coverage()
    assert "linalg.cholesky" in found.offered and "take_along_axis" in found.offered
    assert found.absent["linalg.svd"] and "fft.fft" in found.absent
    assert "names of the Array API are offered" in str(found)
    strict = pytest.importorskip("array_api_strict", reason="array-api-strict is the oracle here")
    listed = set(found.offered) | set(found.absent)
    # Newer versions of the standard add names; none of the listed ones is made up.
    known = {*strict.__all__, *(f"linalg.{n}" for n in strict.linalg.__all__)}
    known |= {f"fft.{n}" for n in strict.fft.__all__}
    assert listed <= known


def test_signatures_are_the_standard_s():
    strict = pytest.importorskip("array_api_strict", reason="array-api-strict is the oracle here")
    for theirs, ours in ((strict, gx), (strict.linalg, gx.linalg)):
        for name in theirs.__all__:
            function, own = getattr(theirs, name), getattr(ours, name, None)
            if own is None or not inspect.isfunction(function) or name.startswith("__"):
                continue
            parameters = inspect.signature(own).parameters
            for wanted in inspect.signature(function).parameters.values():
                if wanted.kind not in (wanted.VAR_POSITIONAL, wanted.POSITIONAL_ONLY):
                    assert wanted.name in parameters, f"{name}: {wanted.name}"


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
