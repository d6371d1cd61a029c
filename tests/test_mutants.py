"""The list of equivalent mutants is about code that is there."""

from __future__ import annotations

import inspect

from tests.mutants import equivalent, planned


def test_equivalent_mutants_name_functions_and_lines() -> None:
    sources: dict[str, list[str]] = {}
    for functions, _ in planned():
        for function in functions:
            lines = [line.strip() for line in inspect.getsource(function).splitlines()]
            sources.setdefault(function.__qualname__, []).extend(lines)
    listed = equivalent()
    assert listed and all(listed.values())
    assert [m for m in listed if m[1] not in sources.get(m[0], ())] == []
