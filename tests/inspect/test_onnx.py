"""The forward part in ONNX: valid, and computed by ONNX's own reference as by ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, tree
from graphc.errors import GraphcError
from graphc.ir.graph import Graph
from tests.derivation.test_python import (
    INDEXED,
    RAISING,
    agrees,
    arguments,
    executable,
    network,
)
from tests.ops.cases import OPERATORS, Case

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def run(model: Any, given: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """What onnxruntime gives; None where its CPU provider lacks an operator for a dtype."""
    onnx.checker.check_model(model, full_check=True)
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    runtime.set_default_logger_severity(4)
    try:
        return runtime.InferenceSession(model.SerializeToString()).run(None, given)
    except runtime.capi.onnxruntime_pybind11_state.NotImplemented:
        return None


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


#: What ONNX has no operator for, of forward passes and of gradients.
LACKING = {
    "atan2", "cholesky", "conv_weight_grad", "copysign", "cumulative_logsumexp", "cumulative_max",
    "cumulative_min", "cumulative_prod", "digamma", "fold", "hypot",
    "left_shift", "lgamma", "lu", "max_pool_spread", "max_pool_taps", "nextafter", "polygamma",
    "random_bits", "recurrence", "right_shift", "scatter_set", "signbit", "solve",
    "triangular_solve",
}  # fmt: skip


def test_every_operator_is_written_or_refused_by_name() -> None:
    written: set[str] = set()
    for op in [op for op in OPERATORS if hasattr(op, "samples")]:
        places = RAISING | INDEXED | {"scatter_min"}
        chosen = [
            s
            for s in op.samples()
            if executable(s)
            and s.arrays
            and (op.name not in places or any(a.dtype.kind == "f" for a in s.arrays))
        ]
        for sample in chosen[:6]:
            case = Case.of(sample)
            try:
                model = Graph(case.inputs, case.outputs).to_onnx()
            except GraphcError as refusal:
                words = str(refusal)
                assert "cannot be written in ONNX" in words or "unsupported type" in words
                continue
            written.add(op.name)
            if op.name == "custom_op":
                assert model.graph.node[0].domain == "graphc.custom"
                continue
            given = {v.name: a for v, a in zip(model.graph.input, sample.arrays, strict=True)}
            found = run(model, given)
            if found is None:
                continue
            wanted = sample.op.reference(*sample.arrays)
            results = wanted if isinstance(wanted, tuple) else (wanted,)
            for a, b in zip(results, found, strict=True):
                assert agrees(np.asarray(a), np.asarray(b)), str(sample)
    names = {op.name for op in OPERATORS if hasattr(op, "samples")}
    constants = {"constant", "iota"}
    assert names - written - constants == LACKING


def looped(x: Any, w: Any, count: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = gx.tanh(h @ w + row)
        return h, gx.sum(h)

    last, sums = gx.scan(step, x[0], x, reverse=True)
    grown = gx.while_loop(lambda v: gx.sum(v * v) < 50.0, lambda v: v * 1.5, last, max_steps=20)
    chosen = gx.cond(count > 0, lambda v: gx.exp(v / 9), lambda v: v * v, grown)
    return last, sums, grown, chosen


@pytest.mark.parametrize("count", [-1, 1])
def test_loops_and_choices_stay_what_they_are(count: int) -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(0.2, 1, (5, 4)).astype(np.float32)
    w, number = rng.uniform(-1, 1, (4, 4)).astype(np.float32), np.array(count, np.int32)
    traced = gx.trace(looped, x, w, number)
    model = traced.graph.to_onnx()
    kinds = [n.op_type for n in model.graph.node]
    assert kinds.count("Loop") == 2 and kinds.count("If") == 1
    found = run(model, {"x": x, "w": w, "count": number})
    for a, b in zip(traced.evaluate(x, w, number), found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)


def test_images() -> None:
    def model(x: Any, w: Any, d: Any) -> Any:
        y = nn.conv2d(x, w, stride=2, padding=1, dilation=2, groups=2)
        z = nn.conv_transpose2d(y, d, stride=2, padding=1, output_padding=1)
        return nn.max_pool2d(z, 3, stride=2, padding=1), nn.avg_pool2d(z, 2), gx.top_k(z, 2)[0]

    source = np.random.default_rng(4)
    shapes = {"x": (2, 4, 9, 9), "w": (6, 2, 3, 3), "d": (6, 2, 3, 3)}
    given = {k: source.uniform(-1, 1, s).astype(np.float32) for k, s in shapes.items()}
    traced = gx.trace(model, *given.values())
    found = run(traced.graph.to_onnx(), given)
    for a, b in zip(traced.evaluate(*given.values()), found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


def test_what_onnx_lacks_is_refused() -> None:
    traced = gx.trace(lambda x: gx.linalg.cholesky(x), gx.spec((3, 3)))
    with pytest.raises(GraphcError, match=r"cholesky.* cannot be written in ONNX"):
        traced.graph.to_onnx()
    gradient = gx.trace(lambda x: gx.grad(gx.sum(x * x), x), gx.spec((3,)))
    with pytest.raises(GraphcError, match=r"no output is computed by the forward pass alone"):
        gradient.graph.to_onnx()
