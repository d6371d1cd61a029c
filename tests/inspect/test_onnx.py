"""The forward part in ONNX: valid, and computed by ONNX's own reference as by ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, tree
from graphc.errors import GraphcError
from tests.derivation.test_python import arguments, network

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def run(model: Any, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = runtime.InferenceSession(model.SerializeToString())
    return session.run(None, given)


def test_the_loss_of_a_training_step() -> None:
    given = arguments()
    traced = gx.trace(network, *given, donate_argnums=0)
    model = traced.graph.to_onnx()
    outputs = [o.name for o in model.graph.output]
    assert "result[1]" in outputs and not any("table" in name for name in outputs)
    wanted = tree.leaves(traced.evaluate(*given))
    names = [i.name for i in model.graph.input]
    # Only what the forward pass reads is an input.
    assert "x" in names and not any(name.startswith(("mu", "nu")) for name in names)
    params = {f"state0_{k}": v for k, v in given[0][0].items()}
    arrays = params | {"x": given[1], "y": given[2], "count": given[0][1][1][0].count}
    results = run(model, {name: arrays[name] for name in names})
    loss = results[outputs.index("result[1]")]
    position = traced.graph.output_names.index("result[1]")
    np.testing.assert_allclose(loss, wanted[position], rtol=1e-5)


def test_operators_that_onnx_has() -> None:
    def many(x: Any, at: Any) -> Any:
        y = gx.where(x > 0.5, gx.sqrt(gx.abs(x)), -x)
        turned = gx.concat([x[::-1], x[:, ::-1]], axis=0)
        parts = [gx.max(y, axis=1), gx.prod(y, axis=1), gx.min(turned, axis=1)[:4]]
        found = [gx.argmax(x, axis=1), x[at], gx.permute_dims(turned, (1, 0)), gx.floor(x * 3)]
        found += [nn.softmax(x), nn.softmax(x, axis=(0, 1)), nn.log_softmax(x, axis=(0, 1))]
        return *parts, *found, nn.gelu(x), gx.astype(x > 0, gx.float32), 1 / x, gx.square(x)

    x = np.random.default_rng(0).uniform(0.1, 1, (4, 3)).astype(np.float32)
    at = np.array([2, 0, -1], np.int32)
    traced = gx.trace(many, x, at)
    for a, b in zip(
        traced.evaluate(x, at), run(traced.graph.to_onnx(), {"x": x, "at": at}), strict=True
    ):
        assert np.asarray(a).dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_onnx_lacks_is_refused() -> None:
    traced = gx.trace(lambda x: gx.linalg.cholesky(x), gx.spec((3, 3)))
    with pytest.raises(GraphcError, match=r"cholesky.* cannot be written in ONNX"):
        traced.graph.to_onnx()
    gradient = gx.trace(lambda x: gx.grad(gx.sum(x * x), x), gx.spec((3,)))
    with pytest.raises(GraphcError, match=r"no output is computed by the forward pass alone"):
        gradient.graph.to_onnx()
