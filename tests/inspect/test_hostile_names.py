"""Names of a user's, on their way into C, pages, graphs for other tools, data and files."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import reference
from graphc.errors import ArgumentError, ShapeError
from graphc.inspect.page import page
from graphc.ir.site import writable
from tests.hostile import NAMES


def step(state: dict[str, Any], x: Any) -> Any:
    """Every name is an argument's, a result's, a value's and a tap's."""
    new, total = {}, x * 0.0
    for k, (key, v) in enumerate(state.items()):
        moved = gx.name(gx.tanh(v) * (k + 1.0), key)
        total = total + gx.sum(moved)
        new[key] = v - 0.5 * moved
    gx.tap(NAMES[30], total)
    return new, total


STATE = {name: np.full((3,), k / 100, np.float32) for k, name in enumerate(NAMES)}
#: The same arrays under names in the same order, which is that of sorting.
ORDER = {name: k for k, name in enumerate(sorted(NAMES))}
HARMLESS = {f"n{ORDER[name]:03}": STATE[name] for name in NAMES}
X = np.float32(2.0)
GIVEN = [*(STATE[name] for name in sorted(STATE)), np.asarray(X)]


@pytest.fixture(scope="module")
def lowered() -> Any:
    step.__name__ = "*/ <script>alert(1)</script>"
    return gx.trace(step, STATE, X).lower(threads=1)


def test_there_are_a_hundred() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 100


def test_the_step_computes_what_it_should(
    lowered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    new, total = lowered.compile()(STATE, X)
    want, expected = lowered.traced.evaluate(STATE, X)
    assert list(new) == list(want) == list(NAMES)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    for name in NAMES:
        np.testing.assert_allclose(new[name], want[name], rtol=1e-5)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("command", ["gcc", "clang"])
def test_outside_comments_and_strings_c_is_that_of_harmless_names(
    lowered: Any, tmp_path: Path, command: str
) -> None:
    harmless = gx.trace(step, HARMLESS, X).lower(threads=1)
    texts = [_code(part.c_source, command, tmp_path) for part in (lowered, harmless)]
    assert texts[0] == texts[1]


def _code(text: str, command: str, folder: Path) -> str:
    """What the preprocessor leaves, without strings."""
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    (folder / "step.c").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [command, "-std=c11", "-Wall", "-Wextra", "-Werror", "-E", "-P", "step.c"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return re.sub(r'"(\\.|[^"\\])*"', '""', done.stdout)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def _tags(text: str) -> list[tuple[str, tuple[str, ...]]]:
    parser = _Tags()
    parser.feed(text)
    parser.close()
    return parser.found


def test_pages_have_the_elements_of_harmless_names(lowered: Any) -> None:
    def harmless(state: dict[str, Any], x: Any) -> Any:
        return step(state, x)

    plain = gx.trace(harmless, HARMLESS, X).lower(threads=1)
    assert _tags(page(lowered.record())) == _tags(page(plain.record()))
    assert _tags(lowered._repr_html_()) == _tags(plain._repr_html_())
    assert _tags(lowered.graph._repr_html_()) == _tags(plain.graph._repr_html_())
    assert _tags(lowered.memory._repr_html_()) == _tags(plain.memory._repr_html_())


def test_data_says_the_names_as_they_are(lowered: Any) -> None:
    record = json.loads(json.dumps(lowered.record()))
    assert {writable(name) for name in NAMES} - {""} <= set(record["graph"]["nodes"]["name"])


def test_dot_is_quoted_strings(lowered: Any) -> None:
    """Without its strings the text has nothing that a name could have put there."""
    rest = re.sub(r'"(\\.|[^"\\])*"', "S", lowered.graph.to_dot())
    line = re.compile(
        r"digraph graphc \{|\}|  node \[fontname=S, shape=ellipse\];|  \w+ -> \w+;"
        r"|  \w+ \[label=S(, tooltip=S)?(, shape=box|, color=gray, fontcolor=gray40)?\];"
    )
    wrong = [text for text in rest.split("\n") if not line.fullmatch(text)]
    assert not wrong


def test_files_keep_the_names(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    state = {name: array for name, array in STATE.items() if name == writable(name)}
    assert len(state) < len(NAMES)
    gx.save(path, state)
    for name in STATE.keys() - state.keys():
        with pytest.raises(ArgumentError, match="cannot be written as UTF-8"):
            gx.save(path, {name: X})
    found = gx.load(path, state)
    assert list(found) == list(state)
    assert all(found[name].tobytes() == state[name].tobytes() for name in state)


def _calls(text: str) -> Counter[str]:
    """What a text of Python calls and imports, and how often."""
    nodes = list(ast.walk(ast.parse(text.encode())))
    called = [ast.unparse(n.func) for n in nodes if isinstance(n, ast.Call)]
    return Counter(called + [ast.unparse(n) for n in nodes if isinstance(n, ast.Import)])


def test_graphs_as_python_compute_what_the_graph_does(
    lowered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = dict(zip(lowered.graph.inputs, GIVEN, strict=True))
    wanted = reference.evaluate(lowered.graph.outputs, given)
    harmless = gx.trace(step, HARMLESS, X).lower(threads=1)
    for to in ("numpy", "torch"):
        texts = (lowered.graph.to_python(to), harmless.graph.to_python(to))
        assert _calls(texts[0]) == _calls(texts[1]), to
    names: dict[str, Any] = {}
    exec(compile(lowered.graph.to_python().encode(), "derived", "exec"), names)
    for found, want in zip(names["step"](*GIVEN), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5)
    assert os.listdir(tmp_path) == []


def test_onnx_has_the_names(lowered: Any) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = lowered.traced.graph.to_onnx()
    onnx.checker.check_model(onnx.load_from_string(model.SerializeToString()))
    assert len(model.graph.output) == len(lowered.traced.graph.outputs)


def test_text_for_people_can_be_written(lowered: Any) -> None:
    for text in (str(lowered), str(lowered.graph), str(lowered.memory), lowered.as_text()):
        assert text.encode()


def test_only_identifiers_name_a_size() -> None:
    for name in NAMES:
        if not name.isidentifier():
            with pytest.raises(ShapeError, match="one name of a size"):
                gx.spec((name, 3), max=4)
    names = [name for name in NAMES if name.isidentifier()]
    assert {"int", "asm", "main", "errno", "x0", "None", "é"} <= set(names)
    for name in names:
        lowered = gx.trace(lambda x: x * 2.0, gx.spec((name, 3), max=4)).lower(threads=1)
        assert lowered.c_source.encode()


def test_names_of_operators_and_taps_are_text(tmp_path: Path) -> None:
    operators = [
        gx.custom_op(
            name, type_rule=lambda t: t, reference=lambda x: x * 2, c="x0 * 2", elementwise=True
        )
        for name in NAMES
    ]

    def named(x: Any) -> Any:
        return [gx.tap(name, operator(x)) for name, operator in zip(NAMES, operators, strict=True)]

    step = gx.compile(named, np.ones(3, np.float32), threads=1)
    assert all((y == 2).all() for y in step(np.ones(3, np.float32)))
    seen = step.taps()
    assert set(seen) >= {writable(name) for name in NAMES}
    assert all(tapped.maximum == 2 for tapped in seen.values())
    assert str(step.lowered.graph).encode() and step.lowered.graph.to_dot().encode()


def test_no_script_runs_in_a_browser(lowered: Any, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium on the PATH")
    lowered.report(tmp_path / "report.html")
    parts = (lowered, lowered.graph, lowered.memory)
    text = "".join(part._repr_html_() for part in parts)
    (tmp_path / "parts.html").write_text(f"<!doctype html>{text}", encoding="utf-8")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        complaints: list[str] = []
        page.on("dialog", lambda d: (complaints.append(d.message), d.dismiss()))
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("request", lambda r: complaints.append(r.url) if "file:" not in r.url else None)
        for name in ("report.html", "parts.html"):
            page.goto((tmp_path / name).as_uri())
            for key in "12345":
                page.keyboard.press(key)
            assert page.locator("img, a[href^=javascript], svg[onload]").count() == 0
        browser.close()
    assert complaints == []


def test_only_identifiers_name_an_artifact(tmp_path: Path) -> None:
    lowered = gx.trace(lambda x: x + 1.0, X).lower(threads=1)
    for number, name in enumerate(NAMES):
        folder = tmp_path / str(number)
        try:
            lowered.export(folder, name)
        except ArgumentError:
            assert not folder.exists(), name
            continue
        assert name.isidentifier() and name.isascii(), name
        assert all(p.resolve().is_relative_to(folder) for p in folder.rglob("*"))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        str(k) for k, _ in enumerate(NAMES) if (tmp_path / str(k)).exists()
    )
