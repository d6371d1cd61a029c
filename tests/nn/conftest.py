"""Evaluation of functions and of their derivatives by the NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """What a result is multiplied by before it is summed, so that no two elements count alike."""
    return np.cos(np.arange(int(np.prod(shape)), dtype=np.float64) + 1).reshape(shape)


@pytest.fixture
def run():
    """run(fn, *arrays): the result of a function of tensors."""

    def run(fn, *arrays):
        inputs = [gx.input(f"x{k}", a.shape, a.dtype) for k, a in enumerate(arrays)]
        return gx.evaluate(fn(*inputs), dict(zip(inputs, arrays, strict=True)))

    return run


@pytest.fixture
def with_gradients():
    """with_gradients(fn, *arrays): the result, and the gradients of its weighted sum by every
    float argument.
    """

    def with_gradients(fn, *arrays):
        inputs = [gx.input(f"x{k}", a.shape, a.dtype) for k, a in enumerate(arrays)]
        y = fn(*inputs)
        by = [x for x in inputs if x.dtype.is_float]
        gradients = gx.grad(y, by, weights(y.shape).astype(y.dtype.numpy))
        return gx.evaluate([y, *gradients], dict(zip(inputs, arrays, strict=True)))

    return with_gradients


@pytest.fixture
def torch_gradients():
    """The same of a function of torch tensors."""
    torch = pytest.importorskip("torch")

    def torch_gradients(fn, *arrays):
        inputs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        y = fn(*inputs)
        by = [x for x in inputs if x.requires_grad]
        (y * torch.tensor(weights(tuple(y.shape)))).sum().backward()
        return [x.detach().numpy() for x in (y, *[b.grad for b in by])]

    return torch_gradients


@pytest.fixture
def agree():
    """Lists of arrays that are equal but for rounding in double precision."""

    def agree(got, want, tolerance=1e-11):
        for a, b in zip(got, want, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)

    return agree
