from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from graphc import errors


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ShapeError, ValueError),
        (errors.ArgumentError, ValueError),
        (errors.DTypeError, TypeError),
        (errors.TraceError, TypeError),
        (errors.IndexingError, IndexError),
    ],
)
def test_kinds_are_also_the_builtin_ones(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, errors.GraphcError)
    assert issubclass(kind, builtin)


def test_every_public_exception_is_graphcs() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, UserWarning if name.endswith("Warning") else errors.GraphcError)


def test_compiler_error_says_everything_and_survives_pickling() -> None:
    error = errors.CompilerError(
        "it failed",
        command=["cc", "-c", "x.c"],
        stderr="x.c:1: nonsense",
        source=Path("kept/x.c"),
        hint="another compiler",
    )
    for part in ("it failed", "cc -c x.c", "x.c:1: nonsense", str(Path("kept/x.c")), "another"):
        assert part in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert copy.command == ("cc", "-c", "x.c")


def test_compiler_error_keeps_both_ends_of_a_long_text() -> None:
    error = errors.CompilerError("it failed", stderr="FIRST" + "x" * 10**6 + "LAST")
    assert "FIRST" in str(error)
    assert "LAST" in str(error)
    assert len(str(error)) < 10_000
    assert len(error.stderr) > 10**6


def test_facts_of_other_errors() -> None:
    assert errors.NotDifferentiableError("no rule", ["sort", "sign"]).operators == ("sort", "sign")
    budget = errors.MemoryBudgetError("too small", budget_bytes=10, smallest_bytes=20)
    assert (budget.budget_bytes, budget.smallest_bytes) == (10, 20)
