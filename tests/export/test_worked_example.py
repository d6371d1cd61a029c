"""The page about steps without Python: its programs train to the same bits."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from graphc.build.toolchain import find
from tests.export.building import STRICT, needs, run

PAGE = Path(__file__).resolve().parents[2] / "graphc" / "export" / "README.md"


def test_digits_in_c_in_cpp_and_through_ctypes(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    gcc, gpp, make = needs("gcc"), needs("g++"), needs("make")
    blocks = re.findall(r"```(python|c)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert [language for language, _ in blocks] == ["python", "c", "python"]
    for name, (_, text) in zip(("export.py", "program.c", "call.py"), blocks, strict=True):
        (tmp_path / name).write_text(text)
    root = str(PAGE.parents[2])
    python = [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv.pop(1));"
              " exec(open(sys.argv.pop(1)).read())"]  # fmt: skip
    trained = run([*python, root, "export.py", "."], tmp_path).stdout
    assert int(trained.split()[0]) > 0.93 * 359
    flags = " ".join(find().flags()[1:])
    run([make, "CC=gcc", f"TARGET={flags}", "libdigits.so"], tmp_path)
    run([gcc, *STRICT, "program.c", "digits.o", "-lm", "-o", "in_c"], tmp_path)
    plus = [f for f in STRICT if not f.startswith("-std")]
    run([gpp, *plus, "-x", "c++", "program.c", "-x", "none", "digits.o", "-o", "in_cpp"], tmp_path)
    assert run([tmp_path / "in_c"], tmp_path).stdout == trained
    assert run([tmp_path / "in_cpp"], tmp_path).stdout == trained
    assert run([sys.executable, "call.py"], tmp_path).stdout == trained
