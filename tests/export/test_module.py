"""The exported Python package, in an environment that has only NumPy and cffi."""

from __future__ import annotations

import re
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from tests.export.building import BATCH, data, initial, loss, run, train

pytest.importorskip("setuptools", minversion="70", reason="setuptools 70 is not installed")

ROWS = 8192  # so many that a plan for two threads keeps them
TRAINS = """
import sys
import numpy as np
import train_step
from safe import refused

step, other = train_step.Step(threads=2), train_step.Step()
train_step.load("state.safetensors", step.state)
train_step.load("state.safetensors", other.state)
x, y = np.load("x.npy"), np.load("y.npy")
for k in range(100):
    part = slice(k % 2 * 8192, k % 2 * 8192 + 8192)
    result = step.train(x[part], y=y[part])
    assert result == other.train(x[part], y[part])
assert list(result) == ["loss"] and result["loss"].dtype == np.float32
print(repr(float(result["loss"])))
train_step.save("end.safetensors", step.state)
print(repr(float(step.evaluate(x[:8192], y[:8192])["loss"])))
gradients = step.gradients(np.asfortranarray(x[:8192]), y[:8192])
assert {g.shape for g in gradients.values()} == {(12, 16), (16,), (16, 5), (5,)}
wide = np.float64(x[:8192])
refused(ValueError, "train: x: expected float32[8192,12], got float64", step.train, wide, y[:8192])
refused(ValueError, "expected int32[8192], got int32[23]", step.train, x[:8192], y[:23])
refused(ValueError, "holds no array", train_step.load, "x.safetensors", step.state)
refused(ValueError, "is not a safetensors file", train_step.load, "x.npy", step.state)
refused(ValueError, "expected 1 to 2, got 3", train_step.Step, 3)
assert "graphc" not in sys.modules and "safetensors" not in sys.modules
"""
SAFE = """
def refused(kind, text, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(text)
"""


def environment(folder: Path, wheel: Path) -> Path:
    """A new environment with NumPy, cffi and a wheel; gives its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in ("numpy", "cffi"):
        for file in distribution(name).files or ():
            top = Path(file).parts[0]
            target = packages / top
            if top not in ("..", "bin") and not target.exists():
                target.symlink_to(Path(str(distribution(name).locate_file(top))))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "bin" / "python"


def test_the_package_trains_without_graphc(tmp_path: Path) -> None:
    x, y = (
        np.tile(data(1)[0], (2 * ROWS // BATCH + 1, 1)),
        np.tile(data(1)[1], 2 * ROWS // BATCH + 1),
    )
    state = initial()

    def evaluate(state: Any, x: Any, y: Any) -> Any:
        return loss(state["params"], x, y)

    beside = {
        "evaluate": gx.trace(evaluate, state, x[:ROWS], y[:ROWS]).lower(threads=2),
        "gradients": gx.trace(gx.grad(loss), state["params"], x[:ROWS], y[:ROWS]).lower(threads=2),
    }
    source = tmp_path / "source folder"
    lowered = gx.trace(train, state, x[:ROWS], y[:ROWS], donate_argnums=0).lower(threads=2)
    lowered.export(source, "train_step", form="cffi", threads=True, beside=beside)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    run([sys.executable, "-c", build], source)
    (wheel,) = (source / "dist").glob("*.whl")
    python = environment(tmp_path / "env", wheel)

    work = tmp_path / "work"
    work.mkdir()
    (work / "safe.py").write_text(SAFE)
    (work / "trains.py").write_text(TRAINS)
    gx.save(work / "state.safetensors", state)
    gx.save(work / "x.safetensors", {"x": x})
    np.save(work / "x.npy", x)
    np.save(work / "y.npy", y)
    graphc = [python, "-c", "import importlib.util as u; print(u.find_spec('graphc'))"]
    assert run(graphc, work).stdout == "None\n"
    found, evaluated = map(float, run([python, "trains.py"], work).stdout.split())

    step = lowered.compile()
    for k in range(100):
        part = slice(k % 2 * ROWS, k % 2 * ROWS + ROWS)
        state, value = step(state, x[part], y[part])
    assert found == float(value)
    assert evaluated == float(beside["evaluate"].compile()(state, x[:ROWS], y[:ROWS]))
    end = gx.load(work / "end.safetensors", state)
    for a, b in zip(tree.leaves(end), tree.leaves(state), strict=True):
        assert a.tobytes() == b.tobytes()


def test_names_of_users_stay_out_of_the_programs_that_build(tmp_path: Path) -> None:
    key = '\\"""); raise SystemExit("""*/'

    def step(state: Any, x: Any) -> Any:
        return {"w": state["w"] + x[key]}, gx.sum(x[key])

    x = np.ones(3, np.float32)
    lowered = gx.trace(step, {"w": x}, {key: x}, donate_argnums=0).lower(threads=1)
    lowered.export(tmp_path, "words", form="cffi")
    for file in ("words_cffi.py", "setup.py", "python/words/__init__.py"):
        text = (tmp_path / file).read_text()
        compile(text, file, "exec")
        assert "SystemExit(" not in text


def test_words_of_python_as_names(tmp_path: Path) -> None:
    def step(state: Any, self: Any, given: Any) -> Any:
        return {"w": state["w"] + self * given["lambda"]}, gx.sum(self)

    x = np.ones(3, np.float32)
    lowered = gx.trace(step, {"w": x}, x, {"lambda": x}, donate_argnums=0).lower(threads=1)
    lowered.export(tmp_path, "words", form="cffi")
    module = (tmp_path / "python" / "words" / "__init__.py").read_text()
    assert re.search(r"def run\(self, self_, given_lambda\):", module)
    compile(module, "words", "exec")
    for name in ("class", "numpy", "json"):
        with pytest.raises(gx.ArgumentError, match="module of Python"):
            lowered.export(tmp_path, name, form="cffi")
    with pytest.raises(gx.ArgumentError, match="expected one of c, cffi, web, got 'rust'"):
        lowered.export(tmp_path, form="rust")
    with pytest.raises(gx.ArgumentError, match="arguments are for form='web'"):
        lowered.export(tmp_path, arguments=())
