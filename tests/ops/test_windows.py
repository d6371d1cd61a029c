"""Convolution and pooling against JAX and PyTorch, in values and in gradients."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import ops
from graphc.autodiff.reverse import grad
from graphc.dtypes import float64
from graphc.ir.graph import new_input
from graphc.ir.spec import Expand
from graphc.ops.convolution import Conv, ConvInputGrad, ConvWeightGrad
from graphc.ops.pooling import MaxPool, pooling_cases
from graphc.ops.samples import Source
from graphc.reference import evaluate

from .cases import type_of
from .test_compositions import gradient, run

SOURCE = Source("windows")
FAMILY = (Conv, ConvInputGrad, ConvWeightGrad)


def samples_in_double():
    samples = [s for s in Conv.samples() if s.arrays[0].dtype == np.float64 and s.arrays[0].size]
    return pytest.mark.parametrize("sample", samples, ids=[s.note for s in samples])


@samples_in_double()
def test_convolution_and_its_gradients_equal_jax(sample):
    jax = pytest.importorskip("jax", reason="JAX is the oracle of this test")
    with jax.enable_x64(True):
        x, w = sample.arrays
        op = sample.op
        d = x.ndim - 2
        letters = "HWD"[:d]
        numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")

        def conv(x, w):
            return jax.lax.conv_general_dilated(
                x, w, op.strides, op.padding, rhs_dilation=op.dilation,
                dimension_numbers=numbers, feature_group_count=op.groups,
            )  # fmt: skip

        y, pullback = jax.vjp(conv, x, w)
        np.testing.assert_allclose(op.reference(x, w), np.asarray(y), rtol=1e-10, atol=1e-10)
        g = SOURCE.floats(y.shape, float64)
        dx, dw = (np.asarray(v) for v in pullback(jax.numpy.asarray(g)))
    settings = (op.strides, op.padding, op.dilation, op.groups)
    found = ConvInputGrad(*settings, x.shape[1:-1]).reference(w, g)
    np.testing.assert_allclose(found, dx, rtol=1e-10, atol=1e-10)
    found = ConvWeightGrad(*settings, w.shape[:-2]).reference(x, g)
    np.testing.assert_allclose(found, dw, rtol=1e-10, atol=1e-10)


def test_the_family_is_closed():
    """Gradients of gradients are members of the family and nothing else."""
    x, w = (new_input("v", type_of(SOURCE.floats(s, float64))) for s in ((1, 5, 2), (3, 2, 4)))
    y = ops.conv(x, w, (1,), ((1, 1),), (1,))
    values = [y]
    for _ in range(3):
        seeds = [new_input("g", v.type) for v in values]
        values = [v for v in grad(values, [x, w], seeds) if v is not None]
        seen, stack = set(), list(values)
        while stack:
            node = stack.pop().node
            if node not in seen:
                seen.add(node)
                stack.extend(node.inputs)
        assert {node.op.name for node in seen} <= {op.name for op in FAMILY} | {"input", "add"}


def test_the_transposed_convolution_is_the_transpose():
    x, w = SOURCE.floats((1, 6, 3), float64), SOURCE.floats((3, 3, 2), float64)
    settings = ((2,), ((1, 0),), (1,))
    (y,) = run(lambda x, w: ops.conv(x, w, *settings), x, w)
    g = SOURCE.floats(y.shape, float64)
    (back,) = run(lambda w, y: ops.conv_transpose(w, y, (6,), *settings), w, g)
    np.testing.assert_allclose(np.sum(y * g), np.sum(x * back), rtol=1e-12)


@pytest.mark.parametrize("case", list(pooling_cases()), ids=lambda c: c[0])
def test_pooling_equals_pytorch(case):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    _, shape, kernel, strides, padding = case
    if 0 in shape or any(
        before != after or 2 * before > k
        for (before, after), k in zip(padding, kernel, strict=True)
    ):
        return
    x = SOURCE.distinct(shape, float64)
    d = len(kernel)
    turned = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    pads = [before for before, _ in padding]
    functional = torch.nn.functional
    maximum, average = (
        (functional.max_pool1d, functional.avg_pool1d),
        (functional.max_pool2d, functional.avg_pool2d),
    )[d - 1]
    for ours, theirs in (
        (
            lambda v: ops.max_pool(v, kernel, strides, padding),
            maximum(turned, kernel, strides, pads),
        ),
        (
            lambda v: ops.avg_pool(v, kernel, strides, padding),
            average(turned, kernel, strides, pads),
        ),
        (
            lambda v: ops.avg_pool(v, kernel, strides, padding, count_padding=False),
            average(turned, kernel, strides, pads, count_include_pad=False),
        ),
    ):
        want = np.moveaxis(theirs.detach().numpy(), 1, -1)
        np.testing.assert_allclose(run(ours, x)[0], want, rtol=1e-12)
        g = SOURCE.floats(want.shape, float64)
        turned.grad = None
        theirs.backward(torch.tensor(np.moveaxis(g, -1, 1)))
        want = np.moveaxis(turned.grad.numpy(), 1, -1)
        np.testing.assert_allclose(gradient(ours, x, g), want, rtol=1e-12, atol=1e-15)


def test_the_first_maximum_takes_the_gradient():
    x = np.array([[1.0, 3, 3], [3, 0, 3], [3, 3, 3]]).reshape(1, 3, 3, 1)
    found = gradient(lambda v: ops.max_pool(v, (3, 3), (1, 1), ((0, 0), (0, 0))), x)
    np.testing.assert_array_equal(found.reshape(3, 3), [[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    tiles = np.ones((1, 2, 4, 1))
    found = gradient(lambda v: ops.max_pool(v, (2, 2), (2, 2), ((0, 0), (0, 0))), tiles)
    np.testing.assert_array_equal(found.reshape(2, 4), [[1, 0, 1, 0], [0, 0, 0, 0]])


def test_pooling_equals_its_expansion():
    for sample in MaxPool.samples():
        (x,) = sample.arrays
        value = new_input("x", type_of(x))
        spec = sample.op.spec(value.type)
        if not isinstance(spec, Expand):
            # Without padding it has loops of its own, which are held against the reference.
            continue
        (result,) = spec.build(value)
        np.testing.assert_array_equal(
            evaluate([result], {value: x})[0], sample.op.reference(x), err_msg=str(sample)
        )
