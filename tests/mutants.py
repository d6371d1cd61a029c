"""`python -m tests.mutants rules` (or `planner`): small changes to the rules of derivatives and to
the planner of memory, one at a time, and whether a test notices. A change is made to a function's
code in a process of its own, so that a mutant costs little more than the tests that kill it.

A mutant that lives and stands in `equivalent_mutants.toml`, with the reason why no test can or
should tell it apart, does not count.
"""

from __future__ import annotations

import argparse
import ast
import copy
import inspect
import itertools
import linecache
import os
import re
import resource
import signal
import sys
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from graphc.ir.graph import Op
from graphc.schedule import (
    arena,
    budget,
    columns,
    kernel,
    loops,
    order,
    packing,
    placement,
    program,
    remat,
    repeat,
    rows,
    segments,
    storage,
)  # fmt: skip
from tests.ops import test_derivatives
from tests.ops.cases import OPERATORS
from tests.schedule import (
    test_arena,
    test_assignment,
    test_chosen_programs,
    test_effort,
    test_golden_plans,
    test_order,
    test_overwrite,
    test_packing,
    test_replay,
    test_segments,
)  # fmt: skip

#: A mutant that takes longer does not end.
_SECONDS = 20
#: Operators that judge a rule that a whole family shares.
_JUDGES = 4
#: Sets of parameters of one test.
_SETS = 8
_RULES = ("partial", "vjp", "jvp")
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
#: Modules of the planner, their functions where not all are meant, and modules of tests.
PLANNER: tuple[tuple[tuple[ModuleType, ...], tuple[str, ...], tuple[ModuleType, ...]], ...] = (
    ((arena, placement, packing), (), (test_arena, test_packing, test_effort, test_golden_plans)),
    (
        (order, program),
        (),
        (test_order, test_replay, test_assignment, test_chosen_programs, test_golden_plans),
    ),
    (
        (kernel, loops, columns, repeat, rows, storage),
        (
            "may_overwrite",
            "reads_beside",
            "same_level",
            "read_before",
            "is_full",
            "roots",
            "nbytes",
        ),
        (test_replay, test_overwrite, test_order, test_golden_plans),
    ),
    ((budget, remat, segments), (), (test_segments, test_golden_plans)),
)

_BINARY: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_COMPARE: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}  # fmt: skip
#: Constructors of operators that are taken for one another.
_CALLS = {
    "add": "subtract", "subtract": "add", "multiply": "divide", "divide": "multiply",
    "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "exp": "expm1", "log": "log1p",
    "negative": "positive", "square": "abs", "sqrt": "square", "rsqrt": "sqrt",
    "reciprocal": "square", "maximum": "minimum", "greater": "less", "less": "greater",
    "equal": "not_equal", "max": "min", "min": "max", "zeros_like": "positive", "tril": "triu",
    "triu": "tril", "sum": "max", "sigmoid": "tanh",
}  # fmt: skip


_COMMUTE = ("add", "multiply", "maximum", "minimum", "max", "min")


@dataclass(frozen=True)
class Mutant:
    function: FunctionType
    line: int
    what: str
    code: CodeType


def mutants(function: FunctionType) -> Iterator[Mutant]:
    """Every change of one place in a function."""
    module = inspect.getmodule(function)
    assert module is not None
    path = inspect.getsourcefile(module)
    assert path is not None
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    first = function.__code__.co_firstlineno
    name = function.__name__
    found = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.FunctionDef)
        and n.name == name
        and min([n.lineno, *[d.lineno for d in n.decorator_list]]) == first
    ]
    for place in [k for n in found for k in _computed(n)]:
        for what, undo in _changes(place):
            code = _find(compile(copy.deepcopy(tree), path, "exec"), name, first)
            undo()
            if code is not None and code.co_freevars == function.__code__.co_freevars:
                yield Mutant(function, getattr(place, "lineno", first), what, code)


def _computed(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """What runs: annotations do not."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.keyword) and node.arg == "strict":
            # Lengths that are equal are equal without the question.
            continue
        yield node
        for name, field in ast.iter_fields(node):
            parts = field if isinstance(field, list) else [field]
            if name not in ("annotation", "returns"):
                stack.extend(p for p in parts if isinstance(p, ast.AST))


def _find(code: CodeType, name: str, first: int) -> CodeType | None:
    if code.co_name == name and code.co_firstlineno == first:
        return code
    inside = (_find(c, name, first) for c in code.co_consts if isinstance(c, CodeType))
    return next((c for c in inside if c is not None), None)


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    """Changes a node in place, says how, and gives what takes it back."""

    def change(field: str, new: object, what: str) -> tuple[str, Callable[[], None]]:
        old = getattr(node, field)
        setattr(node, field, new)
        return what, lambda: setattr(node, field, old)

    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        other = _BINARY[type(node.op)]
        yield change("op", other(), f"{type(node.op).__name__} becomes {other.__name__}")
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARE:
        other = _COMPARE[type(node.ops[0])]
        what = f"{type(node.ops[0]).__name__} becomes {other.__name__}"
        yield change("ops", [other(), *node.ops[1:]], what)
    if isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield change("op", other(), f"becomes {other.__name__}")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield change("op", ast.UAdd(), "no Not")
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield change("value", node.value + 1, f"{node.value} becomes {node.value + 1}")
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield change("value", not node.value, f"{node.value} becomes {not node.value}")
    if isinstance(node, (ast.If, ast.IfExp)):
        test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
        yield change("test", test, "the condition negated")
    called = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    if called and node.value.id == "ops" and node.attr in _CALLS:
        yield change("attr", _CALLS[node.attr], f"{node.attr} becomes {_CALLS[node.attr]}")
    plain = isinstance(node, ast.Call) and not any(isinstance(a, ast.Starred) for a in node.args)
    commutes = plain and getattr(node.func, "attr", getattr(node.func, "id", "")) in _COMMUTE
    if plain and len(node.args) == 2 and not node.keywords and not commutes:
        yield change("args", node.args[::-1], "operands exchanged")


def equivalent() -> dict[tuple[str, str, str], str]:
    """Why a mutant is none: of a function, a line of it without its indentation, and a change."""
    found = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return {(m["function"], m["line"], m["what"]): m["reason"] for m in found}


def identity(mutant: Mutant) -> tuple[str, str, str]:
    """What names a mutant as long as its line stays what it is."""
    function = mutant.function
    line = linecache.getline(function.__code__.co_filename, mutant.line).strip()
    return function.__qualname__, line, mutant.what


def is_killed(mutant: Mutant, tests: Sequence[Callable[[], object]]) -> bool:
    """Whether a test fails, or does not end, in a process in which the mutant lives."""
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        signal.alarm(20 * _SECONDS)
        mutant.function.__code__ = mutant.code
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        for test in tests:
            # An exception ends the child with another status.
            test()
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


def rules(only: str) -> Iterator[tuple[FunctionType, list[Callable[[], object]]]]:
    """The rules of derivatives that are named so, each with the tests of operators that use it."""
    users: dict[FunctionType, list[type[Op]]] = {}
    for operator in OPERATORS:
        for name in _RULES:
            rule = getattr(operator, name, None)
            if isinstance(rule, FunctionType) and re.search(only, rule.__qualname__):
                users.setdefault(rule, []).append(operator)
    for rule, operators in users.items():
        tests: list[Callable[[], object]] = []
        for check in (
            test_derivatives.test_first_derivatives,
            test_derivatives.test_second_derivatives,
        ):
            tests += [lambda c=check, o=o: c(o) for o in operators[:_JUDGES]]
        yield rule, tests


def planner(only: str) -> Iterator[tuple[FunctionType, list[Callable[[], object]]]]:
    """The functions of the planner of memory that are named so, with its tests, the shortest
    first.
    """
    for functions, suites in planned():
        meant = [f for f in functions if re.search(only, f"{f.__module__}.{f.__qualname__}")]
        tests = sorted((t for m in suites for t in _tests(m)), key=_seconds) if meant else []
        yield from ((function, tests) for function in meant)


def planned() -> Iterator[tuple[list[FunctionType], tuple[ModuleType, ...]]]:
    """The functions of each part of the planner, and modules of tests."""
    for modules, names, suites in PLANNER:
        every = itertools.chain(*map(_functions, modules))
        yield [f for f in every if not names or f.__name__ in names], suites


def _seconds(test: Callable[[], object]) -> float:
    """How long a test takes, which passes while nothing is changed."""
    begin = time.perf_counter()
    test()
    return time.perf_counter() - begin


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for value in vars(module).values():
        if inspect.isfunction(value) and value.__module__ == module.__name__:
            yield value
        elif inspect.isclass(value) and value.__module__ == module.__name__:
            members = (m for m in vars(value).values() if isinstance(m, FunctionType))
            yield from (m for m in members if m.__code__.co_filename == module.__file__)


def _tests(module: ModuleType) -> Iterator[Callable[[], object]]:
    """The tests of a module that need no fixture, with their first sets of parameters."""
    for name, test in vars(module).items():
        if name.startswith("test_"):
            yield from _calls(test)
        elif name.startswith("Test"):
            instance = test()
            for method in (n for n in vars(test) if n.startswith("test_")):
                yield from _calls(getattr(instance, method))


def _calls(test: Callable[..., object]) -> Iterator[Callable[[], object]]:
    marks = list(getattr(test, "pytestmark", []))
    if any(m.name == "slow" or (m.name == "skipif" and m.args[0]) for m in marks):
        return
    needed = set(inspect.signature(test).parameters)
    names, values = next((m.args for m in marks if m.name == "parametrize"), ((), [()]))
    names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    if needed - {"monkeypatch"} != set(names):
        return
    for value in list(values)[:_SETS]:
        given = dict(zip(names, value if len(names) != 1 else (value,), strict=True))
        yield partial(_patched, test, given) if "monkeypatch" in needed else partial(test, **given)


def _patched(test: Callable[..., object], given: dict[str, object]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        test(**given, monkeypatch=monkeypatch)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("part", choices=["rules", "planner"])
    parser.add_argument("--every", type=int, default=1, help="every n-th mutant alone")
    parser.add_argument("--only", default="", help="functions whose names this expression finds")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    reasons = equivalent()
    killed = total = number = 0
    for function, tests in (rules if given.part == "rules" else planner)(given.only):
        for mutant in mutants(function):
            number += 1
            if number % given.every:
                continue
            dead = is_killed(mutant, tests)
            reason = None if dead else reasons.get(identity(mutant))
            killed += dead
            total += reason is None
            if not dead:
                file = Path(function.__code__.co_filename).name
                why = "" if reason is None else f": {reason}"
                place = f"{file}:{mutant.line} {function.__qualname__}"
                print(f"{place}: {mutant.what}{why}", flush=True)
            if number % 50 == 0:
                print(f"{killed} of {total} killed", file=sys.stderr, flush=True)
    print(f"{killed} of {total} killed, {100 * killed / max(1, total):.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
