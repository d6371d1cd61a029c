"""The catalogue of faults fits the code, and one of them is planted for real."""

from __future__ import annotations

import pytest

from tests.faults import ROOT, catalogue
from tests.faults.__main__ import _caught


@pytest.mark.parametrize("fault", catalogue(), ids=lambda f: f"{f.kind}: {f.name}")
def test_a_fault_can_be_planted(fault):
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    assert fault.planted(text) != text
    for test in fault.tests:
        assert (ROOT / test).exists(), test


def test_there_are_enough_of_each_class():
    faults = catalogue()
    assert len(faults) >= 60
    assert len({f.kind for f in faults}) == 15
    assert len({(f.kind, f.name) for f in faults}) == len(faults)


def test_a_planted_fault_is_caught(tmp_path):
    fault = next(f for f in catalogue() if f.name == "operators of one class with other parameters")
    assert "test_cse.py" in str(_caught(fault, tmp_path, jobs=0, seconds=120))
