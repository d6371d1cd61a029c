"""The README says what is true: its example runs, prints what stands there, and becomes that C.

`python -m tests.test_readme` writes what the example prints and becomes now into the README.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
LOSS = re.compile(r"loss (\d+\.\d+)")


def blocks(language: str) -> list[str]:
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


@cache
def example() -> tuple[list[str], Any]:
    """What each of the example's parts prints, and what it leaves: run as a file of that name."""
    marker = "=" * 20
    source = f"\nprint({marker!r})\n".join(blocks("python"))
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.py"
        path.write_text(source, encoding="utf-8")
        with contextlib.redirect_stdout(printed):
            names = runpy.run_path(str(path))
        # Names are read from the source, so the C is made while that is there.
        names["lowered"].c_source  # noqa: B018
    return [part.lstrip("\n") for part in printed.getvalue().split(marker)], names["lowered"]


def inner_loop() -> str:
    """The innermost loop of the kernel that updates w2, moved to the left."""
    _, lowered = example()
    target = next(v for v in lowered.graph.inputs if v.node.op.label.endswith('["params"]["w2"]'))
    output = {i: j for j, i in lowered.graph.donated.items()}[lowered.graph.inputs.index(target)]
    result = lowered.graph.outputs[output].node
    text = next(k.c_text for k in lowered.kernels if result in k.nodes)
    lines = text.splitlines()
    begin = max(i for i, line in enumerate(lines) if line.lstrip().startswith("for ("))
    indent = len(lines[begin]) - len(lines[begin].lstrip())
    end = begin + 1
    while len(lines[end]) - len(lines[end].lstrip()) > indent:
        end += 1
    closed = lines[begin].endswith("{")
    return "\n".join(line[indent:] for line in lines[begin : end + closed]) + "\n"


def losses(text: str) -> list[float]:
    return [float(loss) for loss in LOSS.findall(text)]


def test_the_example_prints_what_stands_there() -> None:
    (training, facts), (shown_training, shown_facts) = example()[0], blocks("text")
    assert LOSS.sub("", training) == LOSS.sub("", shown_training)
    # Processors round sums in different orders.
    assert losses(training) == pytest.approx(losses(shown_training), rel=2e-2, abs=1e-4)
    assert facts == shown_facts


def test_the_example_becomes_the_c_that_stands_there() -> None:
    (shown,) = blocks("c")
    assert shown == inner_loop()
    _, lowered = example()
    found = " ".join(lowered.c_source.split())
    assert " ".join(shown.split()) in found


def test_the_quick_start_is_two_commands() -> None:
    install, tests = blocks("sh")
    assert install.count("\n") == 1 and install.rstrip().endswith("graphc train gpt")
    assert tests.count("\n") == 1 and "-m pytest" in tests
    for command in (install, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")


@pytest.mark.parametrize(
    "page", ["README.md", *(f"{d}/README.md" for d in ("graphc", "runtime", "tests", "benchmarks"))]
)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), f"{page} links to {link}"


@pytest.mark.parametrize("page", ["graphc/README.md", "runtime/README.md", "tests/README.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    """What stands in a table's first column, or at the beginning of a line of a floor plan."""
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w/.]+\.\w+|[\w/]+/)`", text, flags=re.M)
    named += re.findall(r"^(?:floor \d|       )  ([\w/]+(?:\.py|/))", text, flags=re.M)
    assert len(named) > 5
    for name in named:
        assert (path.parent / name).exists(), f"{page} names {name}"


def update() -> None:
    """Puts the figures and the C of now in their places."""
    text = README.read_text(encoding="utf-8")
    (training, facts), lowered_c = example()[0], inner_loop()
    for old, new in zip([*blocks("text"), *blocks("c")], [training, facts, lowered_c], strict=True):
        text = text.replace(old, new)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    update()
