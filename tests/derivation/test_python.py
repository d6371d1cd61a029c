"""Graphs as Python: the text is executed and gives what the step gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import Tensor, nn, ops, optim, tree
from graphc.errors import ArgumentError, GraphcError
from graphc.ir.graph import Graph
from graphc.ops.samples import Sample
from graphc.passes.pipeline import optimize
from tests.ops.cases import OPERATORS, Case

Run = Callable[..., list[np.ndarray]]


def runner(to: str) -> Run:
    """Executes a text on NumPy arrays."""
    if to == "torch":
        torch = pytest.importorskip("torch")

    def run(text: str, *arrays: np.ndarray) -> list[np.ndarray]:
        names: dict[str, Any] = {}
        exec(compile(text, "derived", "exec"), names)
        given = [np.array(a) for a in arrays]
        with np.errstate(all="ignore"):
            results = names["step"](
                *[torch.from_numpy(a) for a in given] if to == "torch" else given
            )
        return [np.asarray(r) for r in results]

    return run


def agrees(wanted: np.ndarray, found: np.ndarray) -> bool:
    return (
        wanted.dtype == found.dtype
        and wanted.shape == found.shape
        and np.allclose(wanted, found, rtol=2e-4, atol=1e-5, equal_nan=True)
    )


def executable(sample: Sample) -> bool:
    """Positions outside an axis are an error in Python, and what a conversion cannot hold is not
    defined there; arrays without elements and numbers that are not finite are their own matter.
    """
    floats = [a for a in sample.arrays if a.dtype.kind == "f"]
    indexed = sample.op.name in INDEXED
    places = [a for a in sample.arrays if indexed and a.dtype.kind in "iu"]
    least = min((n for a in floats for n in a.shape), default=1)
    inside = not floats or all(np.all((a >= -least) & (a < least)) for a in places)
    finite = all(np.all(np.isfinite(a)) for a in floats)
    results = Case.of(sample).outputs
    held = all(v.dtype.kind != "u" for v in results) or not floats
    whole = all(a.size for a in sample.arrays)
    smooth = sample.smooth or not floats or not any(s.smooth for s in type(sample.op).samples())
    return inside and held and finite and whole and smooth


#: Division by zero and negative powers of integers, where Python raises and C does not.
RAISING = {"floor_divide", "remainder", "pow"}
#: Samples of integers are positions where they do not stand beside the array that they index.
INDEXED = {"gather", "pick", "scatter_add", "scatter_set", "scatter_multiply", "scatter_max",
           "scatter_min"}  # fmt: skip


@pytest.mark.parametrize("to", ["numpy", "torch"])
def test_operators_are_written_as_they_compute(to: str) -> None:
    run = runner(to)
    tried: set[str] = set()
    for op in [op for op in OPERATORS if hasattr(op, "samples")]:
        for sample in filter(executable, op.samples()):
            integral = all(a.dtype.kind != "f" for a in sample.arrays)
            if integral and op.name in RAISING | INDEXED:
                continue
            case = Case.of(sample)
            text = Graph(case.inputs, case.outputs).to_python(to)
            wanted = sample.op.reference(*sample.arrays)
            results = wanted if isinstance(wanted, tuple) else (wanted,)
            for a, b in zip(results, run(text, *sample.arrays), strict=True):
                assert agrees(np.asarray(a), b), f"{sample}\n{text}"
            tried.add(op.name)
    assert {op.name for op in OPERATORS if hasattr(op, "samples")} == tried


def network(state: Any, x: Any, y: Any) -> Any:
    params, opt = state
    h = nn.gelu(x @ params["w1"] + params["b1"])
    q = gx.concat([h[:, ::2], -h[:, 1::2]], axis=1).reshape((-1, 2, 8))
    mixed = nn.attention(*[gx.permute_dims(q, (1, 0, 2))[None]] * 3, causal=True)
    h = h + gx.permute_dims(mixed[0], (1, 0, 2)).reshape((-1, 16))
    h = nn.layer_norm(h, params["scale"], params["shift"])
    logits = h @ params["w2"] + params["table"][y]
    loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, y))
    grads = gx.grad(loss, params)
    updates, opt = OPTIMIZER.update(grads, opt, params)
    return (optim.apply_updates(params, updates), opt), loss, grads


OPTIMIZER = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(0.01))


def arguments() -> Any:
    rng = np.random.default_rng(1)
    params = {
        "w1": rng.standard_normal((6, 16)),
        "b1": rng.standard_normal(16),
        "scale": rng.standard_normal(16),
        "shift": rng.standard_normal(16),
        "w2": rng.standard_normal((16, 4)),
        "table": rng.standard_normal((4, 4)),
    }
    params = {k: v.astype(np.float32) for k, v in params.items()}
    x = rng.standard_normal((10, 6)).astype(np.float32)
    return (params, OPTIMIZER.init(params)), x, rng.integers(0, 4, 10, np.int32)


@pytest.fixture(scope="module")
def traced() -> Any:
    return gx.trace(network, *arguments(), donate_argnums=0)


@pytest.mark.parametrize("to", ["numpy", "torch"])
def test_a_step_is_what_the_compiled_step_is(traced: Any, to: str) -> None:
    given = arguments()
    text = optimize(traced.graph)[-1].graph.to_python(to)
    found = runner(to)(text, *map(np.asarray, tree.leaves(given)))
    wanted = tree.leaves(traced.lower(threads=1).compile()(*given))
    for name, a, b in zip(traced.graph.output_names, wanted, found, strict=True):
        assert agrees(np.asarray(a), b), name
    # The graph as written, too.
    plain = runner(to)(traced.graph.to_python(to), *map(np.asarray, tree.leaves(arguments())))
    for name, a, b in zip(traced.graph.output_names, found, plain, strict=True):
        assert agrees(a, b), name


def test_the_text_speaks_of_phases_rules_and_lines(traced: Any) -> None:
    text = optimize(traced.graph)[-1].graph.to_python("numpy")
    assert [f"def {p}(" in text for p in ("forward", "backward", "update", "step")] == [True] * 4
    (line,) = [row for row in text.splitlines() if row.strip().startswith("d_state0_w2 = ")]
    assert ".T @ " in line and "# matmul, second operand   test_python.py:" in line
    assert "broadcast_to" not in next(row for row in text.splitlines() if " + state0_b1" in row)
    assert max(len(row.partition("   #")[0]) for row in text.splitlines()) < 140


def test_names_are_made_fit_for_python() -> None:
    words = ["class", "np", "step", "9lives", "a b", "a-b", "import os; os.abort()", "ß"]
    x = {word: gx.spec((2,)) for word in words}
    graph = gx.trace(lambda p: sum(p[w] * k for k, w in enumerate(words)), x).graph
    arrays = [np.full(2, k, np.float32) for k in range(len(words))]
    by_word = dict(zip(sorted(words), arrays, strict=True))
    (total,) = runner("numpy")(graph.to_python(), *arrays)
    np.testing.assert_array_equal(total, sum(k * by_word[w] for k, w in enumerate(words)))


def test_what_cannot_be_written_is_refused() -> None:
    x, w = gx.input("x", (1, *[3] * 4, 1)), gx.input("w", (*[2] * 4, 1, 1))
    four = Tensor(ops.conv(x.value, w.value, (1,) * 4, ((0, 0),) * 4, (1,) * 4))
    assert "conv(" in Graph.from_outputs([four]).to_python()
    with pytest.raises(GraphcError, match=r"conv\(.*cannot be written in PyTorch .*test_python.py"):
        Graph.from_outputs([four]).to_python("torch")
    with pytest.raises(ArgumentError, match="required, got 'jax'"):
        Graph.from_outputs([four]).to_python("jax")
