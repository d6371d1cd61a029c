"""Names of a user's, on their way into C, pages, graphs for other tools, data and files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import ArgumentError
from graphc.inspect.page import page
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
    assert set(NAMES) - {""} <= set(record["graph"]["nodes"]["name"])


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
    gx.save(path, STATE)
    found = gx.load(path, STATE)
    assert list(found) == list(NAMES)
    assert all(found[name].tobytes() == STATE[name].tobytes() for name in NAMES)


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
