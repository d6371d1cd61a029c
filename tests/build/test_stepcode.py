"""Steps that the cache has from an earlier compilation: the same bits, nothing planned, and never
those of another step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn, stepcode
from graphc.build import cpu, sources
from graphc.build.cache import Cache
from graphc.compiled import code_of
from graphc.errors import CacheError
from graphc.ir.graph import Graph
from graphc.ir.structure import fingerprint
from graphc.ops.arithmetic import Add
from graphc.stages import Lowered
from graphc.stepcode import StepCode
from tests.ops.cases import OPERATORS, Case

_digest = sources.digest


@pytest.fixture(autouse=True)
def found_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Steps are looked for in the cache, as they are outside of the tests."""
    monkeypatch.setattr(sources, "digest", lambda: "this graphc")
    yield


def is_planned(lowered: Lowered[Any, Any]) -> bool:
    return "_planning" in vars(lowered)


def network(params: Any, x: Any, y: Any) -> Any:
    hidden = nn.gelu(nn.linear(x, params["w"], params["b"]))
    table = np.linspace(0, 1, 3000, dtype=np.float32)
    return gx.mean((hidden @ params["v"] - y) ** 2) + gx.sum(gx.take(gx.asarray(table), [5, 7]))


def training(params: Any, x: Any, y: Any) -> Any:
    loss = network(params, x, y)
    gx.tap("loss", loss)
    grads = gx.grad(loss, params)
    return {k: p - np.float32(0.1) * grads[k] for k, p in params.items()}, loss


square = gx.custom_op(
    "square", type_rule=lambda x: x, reference=np.square, c="x0 * x0", elementwise=True
)


def looping(x: Any, steps: Any) -> Any:
    def body(carry: Any, row: Any) -> Any:
        carry = gx.tanh(carry + row) * steps
        return carry, square(carry)

    return gx.scan(body, x[0], x)


CAPTURED = np.arange(4, dtype=np.float32)


def capturing(x: Any) -> Any:
    return x * CAPTURED + gx.sum(x)


def arguments(case: Callable[..., Any]) -> tuple[list[Any], dict[str, Any]]:
    rng = np.random.default_rng(0)

    def floats(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    if case is training:
        params = {"w": floats(6, 8), "b": floats(8), "v": floats(8, 2)}
        return [params, floats(5, 6), floats(5, 2)], {"donate_argnums": 0}
    return ([floats(7, 3), np.float32(2)] if case is looping else [floats(3, 4)]), {}


@pytest.mark.parametrize("case", [training, looping, capturing])
def test_a_step_that_was_compiled_before_is_not_planned(case: Callable[..., Any]) -> None:
    results = []
    for known in (False, True):
        args, options = arguments(case)
        lowered = gx.trace(case, *args, **options).lower(threads=2)
        assert (lowered.known is not None) == known
        compiled = lowered.compile()
        got = [compiled(*args), compiled(*args)]
        results.append([np.array(x) for x in gx.tree.leaves((got, args, compiled.taps()))])
        assert is_planned(lowered) != known
    for first, again in zip(*results, strict=True):
        np.testing.assert_array_equal(first, again)
    # What is made when somebody asks is what was kept.
    anew = code_of(lowered, lowered.unit)
    assert anew.units == lowered.known.units
    assert (anew.arena_bytes, anew.threads) == (lowered.known.arena_bytes, lowered.known.threads)
    assert compiled.profile(*args, runs=1).rows
    debugged = lowered.compile(debug=True)(*args)
    assert len(gx.tree.leaves(debugged)) == len(lowered.signature.results)


def test_every_size_of_an_open_size() -> None:
    for known in (False, True):
        step = gx.trace(lambda x: gx.mean(x * 2, axis=0), gx.spec(("B", 3), max=9)).lower()
        assert (step.known is not None) == known
        run = step.compile()
        for size in (1, 4, 9):
            x = np.full((size, 3), size, np.float32)
            np.testing.assert_array_equal(run(x), [2 * size] * 3)


def test_all_options_count() -> None:
    x = gx.spec((64, 64))
    traced = gx.trace(lambda x: gx.tanh(x @ x) @ x, x)
    options: list[dict[str, Any]] = [
        {"threads": 1},
        {"threads": 2},
        {"threads": 1, "target": "generic"},
        {"threads": 1, "memory_budget": "1MiB"},
        {"threads": 1, "tune": True},
    ]
    for chosen in options:
        lowered = traced.lower(**chosen)
        assert lowered.known is None, chosen
        lowered.compile()
        assert traced.lower(**chosen).known is not None, chosen


@pytest.mark.parametrize(
    "changed", ["graphc", "python", "numpy", "networkx", "instructions", "cores", "verify"]
)
def test_what_a_step_is_lowered_with_counts(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    traced = gx.trace(lambda x: x + 1, gx.spec((5,)))
    traced.lower().compile()
    threads = cpu.cores()
    assert traced.lower(threads=threads).known is not None
    other: dict[str, Callable[[], None]] = {
        "graphc": lambda: monkeypatch.setattr(sources, "digest", lambda: "another"),
        "python": lambda: monkeypatch.setattr(stepcode.sys, "version", "another"),
        "numpy": lambda: monkeypatch.setattr(stepcode.np, "__version__", "another"),
        "networkx": lambda: monkeypatch.setattr(stepcode.networkx, "__version__", "another"),
        "instructions": lambda: monkeypatch.setattr(cpu, "isa", lambda target: "sse2"),
        "cores": lambda: monkeypatch.setattr(cpu, "cores", lambda: threads + 1),
        "verify": lambda: monkeypatch.setenv("GRAPHC_VERIFY", "1"),
    }
    other[changed]()
    assert traced.lower(threads=threads).known is None


def test_wishes_are_not_looked_up() -> None:
    args, options = arguments(training)
    traced = gx.trace(training, *args, **options)
    traced.lower().compile()
    lowered = traced.lower()
    assert lowered.known is not None
    assert traced.lower(keep=lowered.memory.saved[:1]).known is None


def graphs() -> dict[str, Graph]:
    """Graphs that differ in one thing each."""
    x, y = gx.spec((3, 4)), gx.spec((3, 4))
    double = gx.spec((3, 4), "float64")

    def of(fn: Callable[..., Any], *args: Any, **options: Any) -> Graph:
        return gx.trace(fn, *args, **options).graph

    def text(c: str) -> Any:
        return gx.custom_op("f", type_rule=lambda x: x, reference=np.square, c=c, elementwise=True)

    def loop(length: int, reverse: bool = False) -> Graph:
        rows = gx.spec((length, 3))
        return of(lambda a, r: gx.scan(lambda c, x: (c * x, c), a, r, reverse=reverse),
                  gx.spec((3,)), rows)  # fmt: skip

    def slope(checkpoint: bool, derived: bool) -> Graph:
        def fn(x: Any) -> Any:
            inner = gx.checkpoint(gx.tanh) if checkpoint else gx.tanh
            value = inner(x)
            if derived:
                return gx.grad(gx.sum(value), x)
            return (1 - value * value) * gx.ones_like(x)

        return of(fn, x)

    return {
        "sum": of(lambda x, y: x + y, x, y),
        "difference": of(lambda x, y: x - y, x, y),
        "the other way": of(lambda x, y: y - x, x, y),
        "another input": of(lambda x, y: x + x, x, y),
        "one input": of(lambda x: x + x, x),
        "double": of(lambda x, y: x + y, double, double),
        "another shape": of(lambda x, y: x + y, gx.spec((4, 3)), gx.spec((4, 3))),
        "donated": of(lambda x, y: x + y, x, y, donate_argnums=0),
        "the other donated": of(lambda x, y: x + y, x, y, donate_argnums=1),
        "two results": of(lambda x, y: (x + y, x), x, y),
        "two results turned": of(lambda x, y: (x, x + y), x, y),
        "zero": of(lambda x: x + np.float32(0.0), x),
        "negative zero": of(lambda x: x + np.float32(-0.0), x),
        "an array": of(lambda x: x + gx.asarray(np.arange(4, dtype=np.float32)), x),
        "another array": of(lambda x: x + gx.asarray(np.arange(1, 5, dtype=np.float32)), x),
        "an axis": of(lambda x: gx.sum(x, axis=0), x),
        "another axis": of(lambda x: gx.sum(x, axis=1), x),
        "C": of(text("x0 * x0"), x),
        "other C": of(text("x0 + x0"), x),
        "a loop": loop(3),
        "a longer loop": loop(4),
        "a loop from the end": loop(3, reverse=True),
        "a derivative": slope(checkpoint=False, derived=True),
        "a checkpointed one": slope(checkpoint=True, derived=True),
        "the same written out": slope(checkpoint=False, derived=False),
    }


def test_graphs_that_differ_have_other_fingerprints() -> None:
    of: dict[str | None, str] = {}
    for name, graph in graphs().items():
        found = fingerprint(graph)
        assert found is not None and found not in of, (name, of.get(found))
        of[found] = name


def test_names_and_lines_do_not_count() -> None:
    def one(x: Any, y: Any) -> Any:
        product = x @ y
        return gx.name(gx.tanh(product), "activation")

    def other(a: Any, weights: Any) -> Any:
        return gx.tanh(a @ weights)

    x = gx.spec((3, 3))
    assert fingerprint(gx.trace(one, x, x).graph) == fingerprint(gx.trace(other, x, x).graph)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda op: op.name)
def test_every_operator_has_a_fingerprint(operator: Any) -> None:
    """Equal for equal operators on equal types, and for no others."""
    seen: dict[str | None, Any] = {}
    for sample in operator.samples():
        case, again = Case.of(sample), Case.of(sample)
        found = fingerprint(Graph(case.inputs, case.outputs))
        assert found is not None and found == fingerprint(Graph(again.inputs, again.outputs))
        identity = (sample.op.parameters, len(sample.op.bodies), [v.type for v in case.inputs])
        assert seen.setdefault(found, identity) == identity, str(sample)


def test_operators_from_elsewhere_have_none() -> None:
    class Stranger(Add):
        pass

    x = gx.trace(lambda x: x + x, gx.spec((3,))).graph
    node = x.outputs[0].node
    (foreign,) = gx.ir.graph.apply(Stranger(), *node.inputs)
    assert fingerprint(Graph(x.inputs, (foreign,))) is None


def test_another_process_finds_it(python: Callable[..., Any]) -> None:
    code = """
import numpy as np, graphc as gx
from graphc.build import sources
sources.digest = lambda: "this graphc"
def fn(x):
    return gx.grad(gx.sum(gx.scan(lambda c, r: (gx.tanh(c + r), c * r), x[0], x)[1]), x)
lowered = gx.trace(fn, gx.spec((4, 3))).lower(threads=1)
print(lowered.known is not None, lowered.compile()(np.ones((4, 3), np.float32)).sum())
"""
    runs = [python(code, PYTHONHASHSEED=str(seed)) for seed in (1, 2)]
    first, second = [run.stdout.split() for run in runs]
    assert [first[0], second[0]] == ["False", "True"], [run.stderr for run in runs]
    assert first[1] == second[1]


def test_a_library_that_is_gone_is_compiled_from_what_is_known() -> None:
    args, _ = arguments(capturing)
    first = gx.trace(capturing, *args).lower(threads=1).compile()
    Path(first.library_path).unlink()
    lowered = gx.trace(capturing, *args).lower(threads=1)
    np.testing.assert_array_equal(lowered.compile()(*args), first(*args))
    assert lowered.known is not None and not is_planned(lowered)


def test_a_damaged_one_is_lowered_anew() -> None:
    args, _ = arguments(capturing)
    lowered = gx.trace(capturing, *args).lower(threads=1)
    expected = lowered.compile()(*args)
    assert lowered.key is not None
    path = Cache.default().get_or_build(lowered.key, lambda path: None)
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    again = gx.trace(capturing, *args).lower(threads=1)
    assert again.known is None
    np.testing.assert_array_equal(again.compile()(*args), expected)


def test_lowering_needs_no_cache(cache_folder: Path) -> None:
    cache_folder.write_text("no folder")
    lowered = gx.trace(lambda x: x + 1, gx.spec((3,))).lower()
    assert "graphc_step" in lowered.c_source
    with pytest.raises(CacheError):
        lowered.compile()


def test_constants_keep_their_types_and_bits(tmp_path: Path) -> None:
    arrays = [np.array([np.nan, -0.0]), np.zeros((0, 3), np.uint8), np.array(True), np.eye(3)]
    code = StepCode([], 64, 2, arrays)
    code.write(tmp_path / "code")
    again = StepCode.read((tmp_path / "code").read_bytes())
    for a, b in zip(arrays, again.constants, strict=True):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    assert (again.arena_bytes, again.threads) == (64, 2)


def test_the_digest_is_of_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, runtime = tmp_path / "package", tmp_path / "runtime"
    for folder in (package / "ir", runtime):
        folder.mkdir(parents=True)
    (package / "ir" / "a.py").write_text("x = 1\n")
    (runtime / "pool.h").write_text("int x;\n")
    monkeypatch.setattr(sources, "_PACKAGE", package)
    monkeypatch.setattr(sources, "runtime_dir", lambda: runtime)
    found = []
    for path, text in (
        (package / "ir" / "a.py", "x = 2\n"),
        (package / "ir" / "b.py", ""),
        (runtime / "pool.h", "int y;\n"),
    ):
        _digest.cache_clear()
        assert _digest() is None, "a file is younger than the process"
        for file in [*package.rglob("*.py"), *runtime.iterdir()]:
            os.utime(file, (0, 0))
        _digest.cache_clear()
        found.append(_digest())
        path.write_text(text)
    assert None not in found and len(set(found)) == 3
    _digest.cache_clear()
