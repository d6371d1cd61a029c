"""Which dtypes operations of tensors, arrays and scalars have."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

import graphc as gx

DTYPES = ["bool", "uint8", "uint32", "int32", "int64", "float32", "float64"]
KIND = {"b": "bool", "u": "integer", "i": "integer", "f": "float"}


def kind(dtype):
    return KIND[np.dtype(dtype).kind]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
def test_tensors(a, b):
    """Within a kind as NumPy; across kinds an error. No warning: both are tensors."""
    x, y = gx.input("x", (2,), a), gx.input("y", (2,), b)
    if kind(a) != kind(b):
        with pytest.raises(gx.DTypeError, match="different kinds; convert one with astype"):
            gx.equal(x, y)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gx.maximum(x, y).dtype.name == np.promote_types(a, b).name
        assert (x == y).dtype is gx.bool


@pytest.mark.parametrize(("dtype", "scalar", "fits"), [
    ("float32", 1, True), ("float32", 1.5, True), ("float32", np.float64(1), True),
    ("float32", np.int32(1), True), ("float32", True, False), ("float64", np.float32(1), True),
    ("int32", 1, True), ("int32", np.int64(1), True), ("int32", 1.5, False),
    ("int32", np.float32(1), False), ("int32", True, False), ("uint8", 255, True),
    ("uint8", 256, False), ("uint8", -1, False), ("int32", 2**31, False),
    ("bool", True, True), ("bool", np.bool_(False), True), ("bool", 1, False),
])  # fmt: skip
def test_scalars_are_weak_within_their_kind(dtype, scalar, fits):
    x = gx.input("x", (2,), dtype)
    if fits:
        assert gx.maximum(x, scalar).dtype.name == dtype
        assert gx.maximum(scalar, x).dtype.name == dtype
    else:
        with pytest.raises(gx.DTypeError, match="does not fit"):
            gx.maximum(x, scalar)


def test_an_array_from_outside_that_widens_is_warned_of():
    x = gx.input("x", (2,))
    with pytest.warns(gx.PrecisionWarning, match=r"widens float32 to float64.*test_promotion.py"):
        assert (x * np.array([1.0, 2.0])).dtype is gx.float64
    with pytest.warns(gx.PrecisionWarning):
        assert (np.array([1.0, 2.0]) * x).dtype is gx.float64
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (x * np.array([1, 2], np.float32)).dtype is gx.float32
        assert (x / np.sqrt(64)).dtype is gx.float32
        assert (gx.input("y", (2,), "float64") * np.array([1.0, 2.0])).dtype is gx.float64
        assert (gx.input("y", (2,), "float64") * np.ones(2, np.float32)).dtype is gx.float64


def test_scalars_alone_have_the_default_dtypes():
    assert gx.maximum(1.0, 2).dtype is gx.float32
    assert gx.maximum(1, 2).dtype is gx.int64
    assert gx.logical_and(True, False).dtype is gx.bool
    assert gx.sqrt(2).dtype is gx.float32
    assert gx.asarray(1).dtype is gx.int64
    assert gx.asarray([1.0, 2.0]).dtype is gx.float32
    assert gx.asarray([1, 2]).dtype is gx.int64
    assert gx.asarray(np.array([1.0])).dtype is gx.float64
    assert gx.asarray([True]).dtype is gx.bool


def test_zeros_keep_their_sign_and_infinities_their_value():
    x = gx.input("x", (1,))
    for value in (0.0, -0.0, np.inf, -np.inf, np.nan, 1e300):
        with np.errstate(over="ignore"):
            expected = np.float32(value)
        result = gx.evaluate(gx.where(x > 0, value, x), {x: [1]})
        np.testing.assert_array_equal(result.view(np.uint32), expected.view(np.uint32))


def test_sums_of_integers_are_int64():
    for dtype in ("uint8", "int32", "int64", "uint32", "bool"):
        x = gx.input("x", (2,), dtype)
        assert gx.sum(x).dtype is gx.int64
        assert gx.prod(x).dtype is gx.int64
        assert gx.cumulative_sum(x).dtype is gx.int64
    assert gx.sum(gx.input("x", (2,), "int32"), dtype="int32").dtype is gx.int32
    assert gx.argmax(gx.input("x", (2,))).dtype is gx.int64
    assert gx.arange(3).dtype is gx.int64


def test_functions_of_floats_refuse_integers():
    x = gx.input("x", (2,), "int32")
    for fn in (gx.exp, gx.mean, gx.var, gx.logsumexp):
        with pytest.raises(gx.DTypeError, match="required float"):
            fn(x)
    with pytest.raises(gx.DTypeError):
        x / 2


def test_questions_about_dtypes():
    x = gx.input("x", (2,))
    assert gx.result_type(x, np.float64) is gx.float64
    assert gx.result_type(x, 2) is gx.float32
    assert gx.result_type("int32", "uint8") is gx.int32
    assert gx.result_type(1.5, 2) is gx.float32
    assert gx.can_cast("float32", "float64") and not gx.can_cast("float64", "float32")
    assert not gx.can_cast("int32", "float32")
    assert gx.isdtype(gx.int32, "signed integer") and gx.isdtype(gx.uint8, "integral")
    assert gx.isdtype(gx.float32, ("bool", "real floating")) and not gx.isdtype(gx.bool, "numeric")
    assert gx.finfo("float32").eps == np.finfo(np.float32).eps
    assert gx.iinfo(x.astype("uint8")).max == 255


def test_dtypes_compare_as_numpys_do():
    dtype = gx.input("x", (2,)).dtype
    assert dtype == "float32" and dtype == np.float32 and dtype == np.dtype("f4")
    assert dtype == gx.float32 and dtype != gx.float64 and dtype != "float64"
    assert dtype != "no such type" and dtype != np.complex64 and dtype != None  # noqa: E711
    assert gx.float64 != None  # noqa: E711
    assert {gx.float32: 1}[dtype] == 1
