"""What a notebook shows."""

from __future__ import annotations

from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

ROOT = Path(__file__).parents[2]
CELLS = (
    """
import sys
sys.path.insert(0, ROOT)
from graphc.build.machine import Limits
from tests.inspect.subjects import arguments, traced
lowered = traced().lower(threads=1)
""",
    "traced().graph",
    "lowered",
    "lowered.kernels[0]",
    "lowered.memory",
    "lowered.compile().profile(*arguments(), runs=1, limits=Limits(1, 50.0, 10.0))",
)


def test_objects_show_themselves_in_a_notebook() -> None:
    cells = [nbformat.v4.new_code_cell(text.replace("ROOT", repr(str(ROOT)))) for text in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=60).execute()
    shown = [cell.outputs[0]["data"]["text/html"] for cell in notebook.cells[1:]]
    graph, lowered, kernel, memory, profile = shown
    assert "matmul" in graph and "<pre" in graph
    # A name that is a program is text.
    assert "&lt;/script&gt;" in graph and "<img" not in "".join(shown)
    assert lowered.startswith("<div") and "<table>" in lowered and "k00_" in lowered
    assert "static void" in kernel
    assert "peak_bytes" in memory and "asked for as" in memory
    assert "GFLOP/s" in profile
