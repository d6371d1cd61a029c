"""The derived text of the measured training steps, and of everything that a step may hold, is
executed and gives what the compiled step gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import graphc as gx
from benchmarks.systems.graphc_steps import trace_step
from benchmarks.workloads import GPT, WORKLOADS, Arrays, Workload, gpt
from graphc import nn, tree
from graphc.errors import GraphcError
from graphc.examples import pinn
from graphc.passes.pipeline import optimize
from graphc.trace import flatten_arguments
from tests.derivation.test_python import runner


def warmed(optimizer: Any) -> Any:
    """An optimizer's state whose moments are far from zero. At the first step of Adam g / |g| is
    taken of gradients that are zero but for rounding (that of a bias of keys, to which softmax is
    blind, is 1e-18 in double and 1e-9 in single): no two programs agree there.
    """
    rng = np.random.default_rng(3)

    def drawn(leaf: Any) -> Any:
        array = np.asarray(leaf)
        if array.dtype.kind != "f":
            return leaf
        return rng.uniform(0.5, 1, array.shape).astype(array.dtype)

    return tree.map(drawn, optimizer)


def check(traced: Any, arguments: tuple, to: str, bound: float = 2e-6) -> None:
    """Results differ by at most `bound` of the largest element of each."""
    signature = traced.signature
    leaves = [np.array(v) for v in (*flatten_arguments(signature, arguments), *signature.hidden)]
    text = optimize(traced.graph)[-1].graph.to_python(to)
    found = runner(to)(text, *leaves)
    fresh = tree.map(np.array, arguments)
    wanted = tree.leaves(traced.lower(threads=1).compile()(*fresh))
    for name, a, b in zip(traced.graph.output_names, wanted, found, strict=True):
        a = np.asarray(a)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        scale = np.max(np.abs(a), initial=0)
        np.testing.assert_allclose(b, a, rtol=0, atol=bound * scale, err_msg=name)


def small(workload: Workload) -> tuple[Workload, Arrays]:
    """The same model on little data; the GPTs differ in nothing else than their size."""
    if isinstance(workload.make, GPT):
        sizes = {"layers": 1, "width": 48, "time": 16, "batch": 2}
        workload = replace(workload, make=replace(workload.make, **sizes))
        return workload, workload.arrays()
    arrays = workload.arrays()
    return workload, replace(arrays, batch=tuple(a[:6] for a in arrays.batch))


@pytest.mark.parametrize("to", ["numpy", "torch"])
@pytest.mark.parametrize("name", [n for n in WORKLOADS if n not in ("gpt-mini", "gpt2")])
def test_every_workload(name: str, to: str) -> None:
    workload, arrays = small(WORKLOADS[name])
    traced, state = trace_step(workload, arrays)
    params, buffers, optimizer = state
    check(traced, ((params, buffers, warmed(optimizer)), arrays.batch), to, 2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["numpy", "torch"])
@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_at_its_size(name: str, to: str) -> None:
    workload, arrays = WORKLOADS[name], WORKLOADS[name].arrays()
    traced, state = trace_step(workload, arrays)
    params, buffers, optimizer = state
    warm = params, buffers, warmed(optimizer)
    # Sums over 65536 pixels: NumPy adds their products in single precision.
    check(traced, (warm, arrays.batch), to, 1e-3 if name == "cnn" else 2e-6)


@pytest.mark.parametrize("to", ["numpy", "torch"])
def test_derivatives_of_derivatives(to: str) -> None:
    """The residual of an equation, of which passes rewrite what the gradient is taken of."""
    rng = np.random.default_rng(5)
    arguments = pinn.init(rng), rng.uniform(0, 1, (16, 2)).astype(np.float32)
    traced = gx.trace(gx.value_and_grad(pinn.loss), *arguments)
    check(traced, arguments, to, 2e-5)


def spectrum(a: Any, b: Any) -> Any:
    """Of a definite and of a general matrix."""
    inverse, x = gx.linalg.inv(b), gx.linalg.solve(b, a)
    sign, size = gx.linalg.slogdet(b)
    parts = gx.linalg.cholesky(a), inverse, x, gx.linalg.det(b), sign * size
    return sum(gx.sum(gx.sin(p)) for p in parts)


def ordered(x: Any) -> Any:
    values, _ = gx.top_k(x, 3)
    turned = gx.sort(x, axis=0, descending=True)
    running = gx.cumulative_sum(x, axis=1) * gx.cumulative_prod(x, axis=1)
    return (
        gx.sum(values)
        + gx.sum(turned * running)
        + gx.sum(gx.astype(gx.argsort(x, axis=1)[0], gx.float32) * x[0])
    )


def images(x: Any, w: Any, d: Any) -> Any:
    y = nn.conv2d(x, w, stride=2, padding=1, dilation=2, groups=2)
    z = nn.conv_transpose2d(y, d, stride=2, padding=1)
    pooled = nn.max_pool2d(z, 3, stride=2, padding=1), nn.avg_pool2d(z, 2)
    return sum(gx.sum(gx.square(p)) for p in pooled)


def looped(w: Any, x: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = gx.tanh(h @ w + row)
        return h, gx.sum(h)

    last, sums = gx.scan(step, x[0], x, reverse=True)
    grown = gx.while_loop(lambda v: gx.sum(v * v) < 9.0, lambda v: v * 1.5, last, max_steps=20)
    chosen = gx.cond(gx.sum(grown) > 0, lambda v: gx.exp(v / 5), lambda v: v * v, grown)
    return gx.sum(sums) + gx.sum(chosen)


SCALE = 0.5
swish = gx.custom_op(
    "swish-ish!",
    type_rule=lambda x: x,
    reference=lambda x: SCALE * x / (1 + np.exp(-x)),
    c="0.5f * x0 / (1.0f + expf(-x0))",
    elementwise=True,
    vjp=lambda inputs, outputs, cotangents: (cotangents[0] * 2.0,),
)


def drawn(x: Any, key: Any) -> Any:
    kept = nn.dropout(x, 0.3, key, training=True)
    noise = gx.random.normal(gx.random.fold_in(key, 3), x.shape)
    return gx.sum(kept * noise) + gx.sum(swish(x))


def everything(p: Any, key: Any) -> Any:
    losses = (
        spectrum(p["a"], p["b"]),
        ordered(p["x"]),
        images(p["images"], p["w"], p["d"]),
        looped(p["b"], p["x"]),
        drawn(p["x"], key),
    )
    return losses, gx.grad(sum(losses), p)


@pytest.mark.parametrize("to", ["numpy", "torch"])
def test_everything_that_a_step_may_hold(to: str) -> None:
    rng = np.random.default_rng(7)

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(0.2, 1, shape).astype(np.float32)

    p = {
        "a": np.eye(4, dtype=np.float32) * 3 + 0.5,
        "b": uniform(4, 4) + 2 * np.eye(4, dtype=np.float32),
        "x": uniform(5, 4),
        "images": uniform(2, 4, 9, 9),
        "w": uniform(6, 2, 3, 3),
        "d": uniform(6, 2, 3, 3),
    }
    arguments = p, np.array([1, 2], np.uint32)
    check(gx.trace(everything, *arguments), arguments, to, 2e-5)


def test_a_custom_operator_keeps_its_name_or_says_why_not() -> None:
    x = gx.input("x", (3,))
    text = gx.Graph.from_outputs([swish(x)]).to_python()
    assert "SCALE = 0.5\ndef swish_ish_(x):" in text
    table = {"half": 0.5}
    local = gx.custom_op(
        "local",
        type_rule=lambda x: x,
        reference=lambda x: table["half"] * x,
        c="0.5f * x0",
        elementwise=True,
    )
    with pytest.raises(GraphcError, match=r"custom_op 'local'.* uses table, .*test_workloads.py"):
        gx.Graph.from_outputs([local(x)]).to_python()


def test_gpt_is_written_whatever_its_size() -> None:
    workload = gpt("gpt", layers=2, width=24, heads=12, time=5, vocabulary=11, batch=2)
    traced, state = trace_step(workload, workload.arrays())
    text = optimize(traced.graph)[-1].graph.to_python("torch")
    parts = [row for row in text.splitlines() if row.startswith("def ")]
    assert [p.split("(")[0] for p in parts[-4:]] == [
        "def forward",
        "def backward",
        "def update",
        "def step",
    ]
    backward = text[text.index("def backward(") : text.index("def update(")]
    assert "d_state0_tokens = " in backward and "# matmul, second operand" in backward
    assert len(tree.leaves(state)) > 50
