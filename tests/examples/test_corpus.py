"""The text to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphc.errors import GraphcError
from graphc.examples import corpus


def write(root: Path, names: list[str]) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n", encoding="utf-8")


def test_files_are_for_training_or_for_validation_by_their_names(tmp_path: Path) -> None:
    names = [f"module{i}.py" for i in range(60)]
    write(tmp_path, names)
    text = corpus.load(tmp_path)
    parts = ["".join(map(text.decode, part)) for part in (text.training, text.validation)]
    assert text.files == 60
    assert sorted("".join(parts).split("\n"))[1:] == sorted(f"# {n}" for n in names)
    assert 1 <= parts[1].count("\n") <= 20
    # A file more changes nothing for the others.
    write(tmp_path, ["added.py"])
    more = corpus.load(tmp_path)
    assert set(parts[1].split()) <= set("".join(map(more.decode, more.validation)).split())


def test_tests_and_installed_packages_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, [f"m{i}.py" for i in range(40)])
    write(tmp_path, ["test/a.py", "json/tests/b.py", "site-packages/numpy/c.py", "notes.txt"])
    assert corpus.load(tmp_path).files == 40


def test_rare_characters_share_the_last_number(tmp_path: Path) -> None:
    write(tmp_path, [f"m{i}.py" for i in range(40)])
    common = "".join(chr(0x100 + i) for i in range(95)) * 200
    (tmp_path / "m0.py").write_text(common + "\N{SNOWMAN}", encoding="utf-8")
    text = corpus.load(tmp_path)
    assert len(text.alphabet) == 95 and text.vocabulary == 96
    assert text.encode("\N{SNOWMAN}") == [95]
    assert text.training.max() == 95
    assert [text.decode(n) for n in text.encode("\u0100\u0101")] == ["\u0100", "\u0101"]


def test_a_folder_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphcError, match="no Python sources"):
        corpus.load(tmp_path)


def test_targets_are_the_characters_that_follow() -> None:
    tokens, targets = corpus.windows(np.arange(20, dtype=np.uint8), np.array([0, 7]), 3)
    assert tokens.tolist() == [[0, 1, 2], [7, 8, 9]]
    assert targets.tolist() == [[1, 2, 3], [8, 9, 10]]


def test_the_standard_library_of_this_interpreter() -> None:
    text = corpus.load()
    assert text.vocabulary == 96
    assert {"\n", " ", "(", "_", "e"} <= set(text.alphabet)
    assert len(text.training) > 5 * len(text.validation) > 500_000
