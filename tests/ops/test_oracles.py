"""The references against JAX and SciPy, which share no code with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from graphc.ir.graph import Op
from graphc.ops.families import Elementwise
from graphc.ops.power import Pow
from graphc.ops.samples import Sample
from graphc.ops.special import polygamma as polygamma_reference

from .cases import NAMES, OPERATORS

jax = pytest.importorskip("jax", reason="JAX is the oracle of these tests")
jnp, lax = jax.numpy, jax.lax


def window(op: Any, x: Any, *starts: Any) -> Any:
    if op.batches:
        return jax.vmap(lambda x, *s: lax.dynamic_slice(x, s, op.lengths))(x, *starts)
    return lax.dynamic_slice(x, starts, op.lengths)


def update_window(op: Any, x: Any, update: Any, *starts: Any) -> Any:
    if op.batches:
        return jax.vmap(lambda x, u, *s: lax.dynamic_update_slice(x, u, s))(x, update, *starts)
    return lax.dynamic_update_slice(x, update, starts)


def padded(op: Any, x: Any, fill: Any) -> Any:
    out = jnp.full(op.shape, fill)
    axes = zip(op.starts, op.steps, x.shape, strict=True)
    places = [start + step * np.arange(n) for start, step, n in axes]
    return out.at[np.ix_(*places) if places else ...].set(x)


def inside(at: Any, extent: int) -> Any:
    at = at.astype(np.int64)
    return jnp.clip(jnp.where(at < 0, at + extent, at), 0, max(extent - 1, 0))


def places(op: Any, x: Any, indices: Any) -> tuple:
    grid = np.indices(indices[0].shape)[: op.batches]
    extents = x.shape[op.batches : op.batches + op.count]
    return (*grid, *[inside(j, n) for j, n in zip(indices, extents, strict=True)])


def scatter(kind: str) -> Callable[..., Any]:
    def apply(op: Any, x: Any, updates: Any, *indices: Any) -> Any:
        return getattr(x.at[places(op, x, indices)], kind)(updates)

    return apply


def recurrence(op: Any, a: Any, b: Any) -> Any:
    def combine(left: Any, right: Any) -> Any:
        return left[0] * right[0], left[1] * right[0] + right[1]

    return lax.associative_scan(combine, (a, b), axis=op.axis)[1]


def same(name: str) -> Callable[..., Any]:
    return lambda op, *arrays: getattr(jnp, name)(*arrays)


def folded(name: str) -> Callable[..., Any]:
    # Sums and products of small integers are wider in JAX.
    return lambda op, x: getattr(jnp, name)(x, axis=op.axes).astype(x.dtype)


def along(name: str) -> Callable[..., Any]:
    return lambda op, x: getattr(lax, name)(x, op.axis)


def argsorted(op: Any, x: Any) -> Any:
    return jnp.argsort(x, op.axis, stable=True, descending=op.descending)


def searched(op: Any, row: Any, value: Any) -> Any:
    side = "right" if op.right else "left"
    if row.ndim == 1:
        return jnp.searchsorted(row, value, side=side)
    return jax.vmap(lambda r, v: jnp.searchsorted(r, v, side=side))(row, value)


def polygamma(op: Any, x: Any) -> Any:
    return jax.scipy.special.polygamma(op.order, x)


def cholesky(op: Any, a: Any) -> Any:
    return jnp.tril(lax.linalg.cholesky(a, symmetrize_input=False))


def det(op: Any, a: Any) -> Any:
    return jnp.linalg.det(a)


def lu(op: Any, a: Any) -> Any:
    return lax.linalg.lu(a)


def solve(op: Any, a: Any, b: Any) -> Any:
    return jnp.linalg.solve(a.mT if op.transposed else a, b)


def triangular_solve(op: Any, a: Any, b: Any) -> Any:
    return lax.linalg.triangular_solve(
        a, b, left_side=True, lower=op.lower, transpose_a=op.transposed, unit_diagonal=op.unit
    )


def attention(op: Any, q: Any, k: Any, v: Any, *mask: Any) -> Any:
    k, v = (jnp.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    seen = jnp.ones((q.shape[2], k.shape[2]), bool)
    seen = jnp.tril(seen) if op.causal else seen
    scores = jnp.einsum("bhtd,bhsd->bhts", q, k) * op.scale
    for m in mask:
        seen, scores = (seen & m, scores) if m.dtype == bool else (seen, scores + m)
    scores = jnp.where(seen, scores, -jnp.inf)
    some = seen.any(-1) & jnp.ones(scores.shape[:3], bool)
    weights = jnp.where(some[..., None], jax.nn.softmax(scores, -1), 0)
    lse = jnp.where(some, jax.nn.logsumexp(scores, -1) if k.shape[2] else jnp.inf, jnp.inf)
    return jnp.einsum("bhts,bhse->bhte", weights, v), lse


def special(name: str) -> Callable[..., Any]:
    return lambda op, x: getattr(jax.scipy.special, name)(x)


#: How JAX computes what an operator computes.
ORACLES: dict[str, Callable[..., Any]] = (
    {
        name: same(name)
        for name in (
            "abs",
            "acos",
            "acosh",
            "add",
            "asin",
            "asinh",
            "atan",
            "atan2",
            "atanh",
            "bitwise_and",
            "bitwise_invert",
            "bitwise_or",
            "bitwise_xor",
            "ceil",
            "copysign",
            "cos",
            "cosh",
            "divide",
            "equal",
            "exp",
            "exp2",
            "expm1",
            "floor",
            "greater",
            "greater_equal",
            "hypot",
            "isfinite",
            "isinf",
            "isnan",
            "less",
            "less_equal",
            "log",
            "log10",
            "log1p",
            "log2",
            "logaddexp",
            "logical_and",
            "logical_not",
            "logical_or",
            "logical_xor",
            "matmul",
            "maximum",
            "minimum",
            "multiply",
            "negative",
            "nextafter",
            "not_equal",
            "positive",
            "reciprocal",
            "round",
            "sign",
            "signbit",
            "sin",
            "sinh",
            "sqrt",
            "square",
            "subtract",
            "tan",
            "tanh",
            "trunc",
            "where",
        )
    }
    | {name: folded(name) for name in ("all", "any", "max", "min", "prod", "sum")}
    | {
        "argmax": lambda op, x: jnp.argmax(x, op.axes[0]),
        "argmin": lambda op, x: jnp.argmin(x, op.axes[0]),
        "argsort": argsorted,
        "broadcast_to": lambda op, x: lax.broadcast_in_dim(x, op.shape, op.axes),
        "cholesky": cholesky,
        "concat": lambda op, *arrays: jnp.concatenate(arrays, op.axis),
        "cumulative_logsumexp": along("cumlogsumexp"),
        "cumulative_max": along("cummax"),
        "cumulative_min": along("cummin"),
        "cumulative_prod": along("cumprod"),
        "cumulative_sum": along("cumsum"),
        "det": det,
        "digamma": special("digamma"),
        "dynamic_slice": window,
        "dynamic_update_slice": update_window,
        "erf": special("erf"),
        "erfc": special("erfc"),
        "floor_divide": same("floor_divide"),
        "gather": lambda op, x, *indices: x[places(op, x, indices)],
        "gelu_tanh": lambda op, x: jax.nn.gelu(x, approximate=True),
        "iota": lambda op: lax.broadcasted_iota(op.type.dtype.numpy, op.type.shape, op.axis),
        "left_shift": same("left_shift"),
        "lgamma": special("gammaln"),
        "log_softmax": lambda op, x: jax.nn.log_softmax(x, op.axes),
        "lu": lu,
        "pad": padded,
        "permute_dims": lambda op, x: jnp.transpose(x, op.axes),
        "pick": lambda op, x, at: jnp.take_along_axis(x, inside(at, x.shape[-1])[..., None], -1)[
            ..., 0
        ],
        "attention": attention,
        "polygamma": polygamma,
        "pow": same("power"),
        "recurrence": recurrence,
        "remainder": same("remainder"),
        "relu": lambda op, x: jax.nn.relu(x),
        "reshape": lambda op, x: jnp.reshape(x, op.shape),
        "right_shift": same("right_shift"),
        "rsqrt": lambda op, x: lax.rsqrt(x),
        "scatter_add": scatter("add"),
        "scatter_max": scatter("max"),
        "scatter_min": scatter("min"),
        "scatter_multiply": scatter("multiply"),
        "scatter_set": scatter("set"),
        "searchsorted": searched,
        "sigmoid": lambda op, x: jax.nn.sigmoid(x),
        "softmax": lambda op, x: jax.nn.softmax(x, op.axes),
        "solve": solve,
        "triangular_solve": triangular_solve,
    }
)

#: Samples that JAX leaves out or defines otherwise.
OTHERWISE: dict[str, Callable[..., bool]] = {
    "cumulative_max": lambda op, x: x.dtype.kind == "b",
    "cumulative_min": lambda op, x: x.dtype.kind == "b",
    # There is no value at the pole 0.
    "digamma": lambda op, x: bool((x == 0).any()),
    "floor_divide": lambda op, x, y: x.dtype.kind != "f" and bool((y == 0).any()),
    "lu": lambda op, a: not a.size,
    # It is inaccurate left of zero.
    "polygamma": lambda op, x: bool((x <= 0).any()),
    # Negative integer exponents are refused; those of unsigned bases stop after six squarings.
    "pow": lambda op, x, y: x.dtype.kind != "f",
    "remainder": lambda op, x, y: x.dtype.kind != "f" and bool((y == 0).any()),
}

#: Operators without an oracle, and why.
WITHOUT = {
    "alias": "the identity",
    "attention_gradient": "through attention in nn/test_attention.py",
    "astype": "JAX's conversion of NaN and of large floats is not defined",
    "constant": "no computation",
    "conv": "values and gradients in test_windows.py",
    "conv_input_grad": "in test_windows.py",
    "conv_weight_grad": "in test_windows.py",
    "cond": "in control/test_cond_and_while.py",
    "copy": "the identity",
    "custom_op": "what it computes is the user's: in compiled/test_custom_op.py",
    "fold": "the transpose of windows",
    "max_pool": "values and gradients in test_windows.py",
    "max_pool_spread": "under max_pool in test_windows.py",
    "max_pool_taps": "under max_pool in test_windows.py",
    "random_bits": "checked against Random123's known answers",
    "scan": "in control/test_scan.py",
    "slice": "checked by its definition in test_compositions.py",
    "stop_gradient": "the identity",
    "tap": "the identity",
    "while_loop": "in control/test_cond_and_while.py",
    "windows": "under convolution and pooling in test_windows.py",
}


@pytest.fixture(autouse=True)
def double_precision():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def test_every_operator_has_an_oracle_or_a_reason():
    assert set(ORACLES) | set(WITHOUT) == set(NAMES)
    assert not set(ORACLES) & set(WITHOUT)


def by_name(operator: type[Op]) -> str:
    return operator.name


@pytest.mark.parametrize("operator", [op for op in OPERATORS if op.name in ORACLES], ids=by_name)
def test_reference_equals_jax(operator: type[Op]):
    otherwise = OTHERWISE.get(operator.name, lambda op, *arrays: False)
    samples = [(s, normal(s)) for s in operator.samples()]
    samples = [(s, arrays) for s, arrays in samples if not otherwise(s.op, *arrays)]
    assert samples

    def oracle(*every: Sequence[Any]) -> list[Any]:
        pairs = zip(samples, every, strict=True)
        return [ORACLES[operator.name](s.op, *arrays) for (s, _), arrays in pairs]

    # One program for all samples: JAX would compile each of them for itself.
    expected = jax.jit(oracle)(*[arrays for _, arrays in samples])
    for (sample, arrays), wanted in zip(samples, expected, strict=True):
        results = sample.op.reference(*arrays)
        several = isinstance(results, tuple)
        for found, want in zip(
            results if several else (results,), wanted if several else (wanted,), strict=True
        ):
            want = np.asarray(want)
            assert found.shape == want.shape, str(sample)
            relative, absolute = (2e-5, 1e-5) if found.dtype == np.float32 else (1e-10, 1e-12)
            np.testing.assert_allclose(
                found.astype(np.float64), want.astype(np.float64), rtol=relative,
                atol=absolute if found.dtype.kind == "f" else 0, err_msg=str(sample),
            )  # fmt: skip


def normal(sample: Sample) -> tuple[np.ndarray, ...]:
    """The sample's arrays; for an elementwise operator without the positions at which an operand
    is subnormal, because XLA takes it for zero there.
    """
    if not isinstance(sample.op, Elementwise) or sample.arrays[0].ndim != 1:
        return sample.arrays
    kept = np.ones(sample.arrays[0].shape, bool)
    for array in sample.arrays:
        if array.dtype.kind == "f":
            kept &= (array == 0) | ~(np.abs(array) < np.finfo(array.dtype).tiny)
    return tuple(a[kept] for a in sample.arrays)


def test_polygamma_against_scipy():
    scipy = pytest.importorskip("scipy.special", reason="SciPy is the oracle of this test")
    x = np.concatenate(
        [np.linspace(-20.3, 30, 1001), [1e-300, 1e-3, -1e-3, 50.0, 1e3, 1e10, np.inf]]
    )
    for order in (0, 1, 2, 5, 9):
        with np.errstate(all="ignore"):
            found, expected = polygamma_reference(order, x), scipy.polygamma(order, x)
        size = np.where(np.isfinite(expected), np.maximum(np.abs(expected), 1), 1)
        np.testing.assert_allclose(found / size, expected / size, atol=2e-13, err_msg=str(order))


def test_integer_pow_against_python():
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint32, np.int32, np.int64):
        ends = np.iinfo(dtype)
        x, y = (rng.integers(ends.min, ends.max, 50, dtype, endpoint=True) for _ in range(2))
        x[:10], y[10:20] = rng.integers(0, 9, 10), rng.integers(0, 9, 10)
        modulus = 1 << (8 * ends.dtype.itemsize)
        expected = []
        for base, exponent in zip(x.tolist(), y.tolist(), strict=True):
            if exponent >= 0:
                expected.append(pow(base, exponent, modulus))
            else:
                expected.append({1: 1, -1: 1 - 2 * (exponent % 2)}.get(base, 0) % modulus)
        found = Pow().reference(x, y)
        assert [int(v) % modulus for v in found] == expected
