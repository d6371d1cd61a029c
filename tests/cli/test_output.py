"""How lines are printed: in colours where the terminal has them."""

from __future__ import annotations

import re

import pytest

from graphc.commands.output import show

LINES = """\
 #  kernel      operators  lines
 0  k00_matmul  matmul     model.py:12
h: float32[3,4] = relu(v0)   # model.py:13
"""


def test_what_is_piped_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    show(LINES)
    assert capsys.readouterr().out == LINES


@pytest.mark.parametrize("colours", [True, False])
def test_colours_follow_the_environment(
    colours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    show(LINES)
    text = capsys.readouterr().out
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == LINES
    marks = set(re.findall(r"\x1b\[3\dm([^\x1b]*)\x1b", text))
    wanted = {"k00_matmul", "model.py:12", "model.py:13", "float32[3,4]"}
    assert marks == (wanted if colours else set())


def test_text_of_the_users_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show('w = input args[0]["[bold]x[/]"]   \\[red]')
    assert capsys.readouterr().out == 'w = input args[0]["[bold]x[/]"]   \\[red]\n'
