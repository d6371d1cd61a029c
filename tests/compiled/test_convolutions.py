"""Compiled convolutions and their two gradients at the corners of tiles, copies and phases."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc import Tensor, nn
from graphc.dtypes import TensorType, as_dtype
from graphc.ir.graph import apply
from graphc.ops.convolution import Conv, ConvInputGrad, ConvWeightGrad
from graphc.schedule.convolution import Convolution, Correlation
from graphc.schedule.spread import Spread
from graphc.schedule.weight_gradient import WeightGradient

from .checking import assert_bits, assert_same, check, check_plan

ONES = ((1, 1), (1, 1))

#: Shapes of x and w, and settings: strides, padding, dilation, groups.
CASES: tuple[tuple, ...] = (
    ((2, 8, 8, 4), (3, 3, 4, 32), (1, 1), ONES),
    ((2, 9, 7, 5), (3, 3, 5, 33), (1, 1), ONES),
    ((2, 4, 5, 2), (3, 3, 2, 3), (1, 1), ((1, 1), (2, 0))),
    ((2, 6, 9, 2), (2, 3, 2, 3), (2, 3), ((1, 0), (0, 1)), (1, 2)),
    ((2, 7, 3), (3, 3, 2), (2,), ((0, 0),)),
    ((1, 700, 3), (5, 3, 20), (1,), ((2, 2),)),
    ((1, 3, 4, 3, 2), (2, 2, 1, 2, 2), (1, 1, 1), ((0, 0),) * 3),
    ((2, 4, 4, 6), (2, 2, 3, 4), (1, 1), ((0, 1), (1, 0)), (1, 1), 2),
    ((1, 4, 5, 3), (3, 3, 1, 6), (1, 1), ONES, (1, 1), 3),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), ((0, 0),) * 2),
    ((3, 1, 1, 5), (3, 3, 5, 7), (1, 1), ONES),
    ((2, 17, 19, 33), (3, 3, 33, 40), (2, 2), ONES),
    ((1, 12, 12, 8), (3, 3, 8, 8), (3, 2), ((2, 2), (2, 2)), (2, 2)),
    ((2, 40, 40, 16), (3, 3, 16, 48), (1, 1), ONES),
    # Wider strides than taps: some elements of x meet no tap.
    ((2, 3, 3, 4), (2, 2, 4, 4), (5, 5), ((0, 0),) * 2),
    ((2, 11, 11, 3), (4, 4, 3, 16), (4, 4), ONES),
    # More terms than one chain has, in several runs and in one.
    ((2, 8, 8, 600), (3, 3, 600, 3), (1, 1), ONES),
    # Padding beyond what a window meets.
    ((1, 5, 5, 4), (3, 3, 4, 4), (1, 1), ((6, 6), (7, 5)), (2, 3)),
    # Every channel a group of its own: one, two and three axes, with strides and dilation.
    ((2, 9, 7, 21), (3, 3, 1, 21), (1, 1), ONES, (1, 1), 21),
    ((3, 12, 11, 80), (3, 3, 1, 80), (2, 2), ONES, (1, 1), 80),
    ((1, 8, 9, 16), (5, 4, 1, 16), (2, 1), ((3, 1), (2, 2)), (1, 3), 16),
    ((2, 40, 37), (7, 1, 37), (3,), ((3, 2),), (2,), 37),
    ((17, 4, 3, 5, 6), (2, 3, 3, 1, 6), (1, 2, 1), ((1, 0), (1, 1), (2, 1)), (1, 1, 2), 6),
    # Small images, several of which are taken at a time: more than one a tile, in y and in dx;
    # tiles with a rest; some panels of them a unit; one axis; phases, groups and dilation.
    ((34, 3, 4, 16), (3, 3, 16, 20), (1, 1), ONES),
    ((48, 2, 3, 17), (2, 3, 17, 33), (1, 1), ((0, 1), (2, 1)), (1, 2)),
    ((6, 4, 4, 16), (3, 3, 16, 520), (1, 1), ONES),
    ((6, 3, 3, 520), (2, 2, 520, 16), (1, 1), ((1, 0), (0, 1))),
    ((64, 7, 16), (3, 16, 16), (1,), ((1, 1),)),
    ((64, 5, 5, 32), (3, 3, 16, 32), (2, 2), ONES, (1, 1), 2),
    ((64, 1, 1, 24), (1, 1, 24, 8), (1, 1), ((0, 0),) * 2),
    # As small, but of a number that nothing divides.
    ((37, 4, 4, 16), (3, 3, 16, 16), (1, 1), ONES),
    ((0, 5, 5, 2), (3, 3, 1, 2), (1, 1), ONES, (1, 1), 2),
    ((0, 5, 5, 2), (3, 3, 2, 4), (1, 1), ONES),
    ((2, 5, 5, 0), (3, 3, 0, 4), (1, 1), ONES),
)


def products(*leaves: Tensor) -> tuple[Tensor, ...]:
    """y, and the gradients of x and w for a given gradient of y, of every case."""
    results = []
    for k, (x_shape, w_shape, *given) in enumerate(CASES):
        x, w, g = (v.value for v in leaves[3 * k : 3 * k + 3])
        settings = settings_of(*given)
        results += [
            apply(Conv(*settings), x, w)[0],
            apply(ConvInputGrad(*settings, x_shape[1:-1]), w, g)[0],
            apply(ConvWeightGrad(*settings, w_shape[:-2]), x, g)[0],
        ]
    return tuple(map(Tensor, results))


def settings_of(strides, padding, dilation=None, groups=1) -> tuple:
    return strides, padding, dilation or (1,) * len(strides), groups


def arrays(dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    found = []
    for x, w, *given in CASES:
        types = (TensorType(shape, as_dtype(dtype)) for shape in (x, w))
        (y,) = Conv(*settings_of(*given)).infer(*types)
        found += [rng.standard_normal(s).astype(dtype) for s in (x, w, y.shape)]
    return found


@pytest.mark.parametrize(
    "dtype, target", [("float32", "native"), ("float32", "x86-64-v3"), ("float64", "generic")]
)
def test_convolutions_and_gradients(dtype, target):
    args = arrays(dtype)
    traced = gx.trace(products, *args)
    want = traced.evaluate(*args)
    results = []
    for threads in (1, 2, 3):
        lowered = traced.lower(threads=threads, target=target)
        check_plan(lowered)
        phases = {len(k.phases) for k in lowered.program.kernels if isinstance(k, Spread)}
        assert {1} < phases, "few outputs, of one phase and of several"
        results.append(lowered.compile()(*args))
        for k, (got, expected) in enumerate(zip(results[-1], want, strict=True)):
            assert_same(got, expected, what=f"{CASES[k // 3]}, product {k % 3}, {threads} threads")
    for other in results[1:]:
        assert_bits(results[0], other)


def test_small_images_share_tiles():
    """With what stands in front of a convolution, and with what follows it."""
    rng = np.random.default_rng(5)
    shapes = (48, 4, 4, 16), (16,), (3, 3, 16, 24), (3, 3, 24, 16)
    x, scale, w, v = (rng.standard_normal(shape, np.float32) for shape in shapes)

    def step(x, scale, w, v):
        h = nn.conv2d(nn.relu(x * scale), w, padding="SAME", layout="NHWC")
        h = nn.relu(h - gx.mean(h, axis=(0, 1, 2)))
        h = nn.relu(nn.conv2d(h, v, padding="SAME", layout="NHWC") + x)
        return h, gx.grad(gx.sum(gx.sin(gx.mean(h, axis=(1, 2)))), (x, scale, w, v))

    lowered = check(step, x, scale, w, v, threads=(1, 2, 3), tolerance=1e-4)
    kernels = [k for k in lowered.program.kernels if isinstance(k, Correlation)]
    assert [k.abreast for k in kernels] == [3, 3, 3, 3]
    assert any(len(k.nodes) > 1 for k in kernels)
    assert any(k.rebuilding for k in kernels)


def test_what_follows_a_convolution_is_computed_on_its_tiles():
    rng = np.random.default_rng(1)
    x, w, b = (rng.standard_normal(s, np.float32) for s in ((2, 9, 9, 5), (3, 3, 5, 20), (20,)))
    rest = rng.standard_normal((2, 9, 9, 20), np.float32)

    def step(x, w, b, rest):
        y = Tensor(apply(Conv((1, 1), ONES, (1, 1), 1), x.value, w.value)[0])
        return gx.maximum(y + b, 0) + rest, gx.grad(gx.sum(gx.square(y)), w) * 0.1 + w

    lowered = check(step, x, w, b, rest, threads=(1, 2))
    assert [len(k.nodes) > 1 for k in lowered.kernels] == [True, True]


def test_operands_are_read_through_views():
    """Images and weights in the order of axes of PyTorch: nothing is copied by a kernel."""
    rng = np.random.default_rng(2)
    shapes = (3, 4, 7, 6), (9, 4, 3, 3), (3, 9, 7, 6)
    x, w, g = (rng.standard_normal(shape, np.float32) for shape in shapes)

    def step(x, w, g):
        last = [gx.permute_dims(v, (0, 2, 3, 1)).value for v in (x, g)]
        taps = gx.permute_dims(w, (2, 3, 1, 0)).value
        settings = ((1, 1), ONES, (1, 1), 1)
        y = apply(Conv(*settings), last[0], taps)[0]
        dx = apply(ConvInputGrad(*settings, (7, 6)), taps, last[1])[0]
        dw = apply(ConvWeightGrad(*settings, (3, 3)), last[0], last[1])[0]
        return tuple(map(Tensor, (y, dx, dw)))

    assert len(check(step, x, w, g, threads=(1, 2)).kernels) == 3


def test_gradients_of_weights_are_stored_as_their_readers_see_them():
    """In PyTorch's order of axes, for one and two axes of space, groups, and several panels."""
    rng = np.random.default_rng(4)
    cases = (
        ((3, 21, 6, 5), (70, 21, 3, 3), {}),
        ((2, 6, 5, 6), (34, 3, 2, 3), {"groups": 2, "dilation": (1, 2)}),
        ((2, 40, 4, 4), (40, 1, 3, 3), {"groups": 40, "padding": 1}),
        ((2, 5, 19), (9, 5, 4), {"stride": 3}),
    )
    leaves = [rng.standard_normal(s, np.float32) for x, w, _ in cases for s in (x, w)]

    def step(*leaves):
        results = []
        for k, (_, _, options) in enumerate(cases):
            x, w = leaves[2 * k : 2 * k + 2]
            conv = nn.conv1d if x.ndim == 3 else nn.conv2d
            results.append(w - 0.1 * gx.grad(gx.sum(gx.square(conv(x, w, **options))), w))
        return tuple(results)

    lowered = check(step, *leaves, threads=(1, 2), tolerance=1e-4)
    kernels = [k for k in lowered.program.kernels if isinstance(k, WeightGradient)]
    assert [k.stores_columns_first for k in kernels] == [True] * 4


def test_what_stands_in_front_of_a_convolution_is_computed_while_its_rows_are_copied():
    rng = np.random.default_rng(3)
    shapes = (4, 9, 9, 16), (16,), (16,), (3, 3, 16, 20), (3, 3, 20, 8)
    x, scale, shift, w, v = (rng.standard_normal(s, np.float32) for s in shapes)

    def conv(x: Tensor, w: Tensor) -> Tensor:
        return Tensor(apply(Conv((1, 1), ONES, (1, 1), 1), x.value, w.value)[0])

    def loss(scale, shift, w, v):
        y = conv(gx.maximum(x * scale + shift, 0), w)
        return gx.sum(gx.square(conv(gx.maximum(y - gx.mean(y, axis=(0, 1, 2)), 0), v)))

    def step(scale, shift, w, v):
        return gx.grad(loss(scale, shift, w, v), (w, v))

    lowered = check(step, scale, shift, w, v, threads=(1, 2), tolerance=1e-4)
    kernels = [k for k in lowered.program.kernels if isinstance(k, Convolution)]
    images = [k.operand("x") for k in kernels if k.declared.result != "x"]
    assert len(images) == 4
    in_memory = [x in lowered.program.buffers for x in images]
    assert in_memory == [False] * 4
