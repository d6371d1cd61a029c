"""The rules of the house that a machine can hold; `graphc/README.md` says them in words."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "graphc"

#: What stands on which floor: a file imports from its own floor and from those below.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "dtypes"),
    ("ir",),
    ("ops",),
    ("reference", "autodiff", "control", "passes"),
    ("schedule",),
    ("codegen", "build"),
    (
        "argument_names",
        "arguments",
        "arrays",
        "bounded",
        "compat",
        "compiled",
        "debug",
        "export",
        "frame",
        "functions",
        "inspect",
        "io",
        "jit",
        "kernel_info",
        "lint",
        "memory",
        "nn",
        "optim",
        "planning",
        "profile",
        "random",
        "results",
        "sample_arguments",
        "stages",
        "stepcode",
        "tensor",
        "testing",
        "text",
        "trace",
        "tuning",
        "transforms",
        "tree",
        "treecode",
    ),
    ("examples", "commands", "cli"),
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}

MAX_LINES = 400
TOP_LEVEL = {"LICENSE", "README.md", "benchmarks", "graphc", "pyproject.toml", "runtime", "tests"}
#: Left behind by tools and by the README's first command; `.gitignore` names them.
ARTEFACTS = ("build", "dist", "__pycache__", "gpt.safetensors")
SOURCES = (".py", ".c", ".h", ".md", ".toml", ".yml", ".yaml", ".cfg", ".txt", ".html", ".js")


def files(*suffixes: str, under: Path = ROOT) -> list[Path]:
    found = [
        path
        for path in under.rglob("*")
        if path.suffix in suffixes
        and path.is_file()
        and not any(
            part.startswith(".") or part in ARTEFACTS or part.endswith(".egg-info")
            for part in path.relative_to(ROOT).parts[:-1]
            if part != ".ci"
        )
        and path.relative_to(ROOT).parts[0] in TOP_LEVEL
    ]
    return sorted(found)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything of graphc that a file imports, also inside functions."""
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "graphc":
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module.split(".")[0] == "graphc":
                for alias in node.names:
                    yield node.lineno, f"{module}.{alias.name}"


def part_of(module: str) -> str:
    """The file or folder of graphc that a full name leads into; "" for graphc itself."""
    parts = module.split(".")
    if len(parts) > 1 and ((PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()):
        return parts[1]
    return ""


def names_an_operator(expression: ast.AST) -> bool:
    """Whether an expression contains `op.name` or the name of an operator's class."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Attribute) and node.attr in ("name", "__name__"):
            owner = node.value
            if isinstance(owner, ast.Call) and owner.args:
                owner = owner.args[0]
            if getattr(owner, "id", getattr(owner, "attr", "")) == "op":
                return True
    return False


def test_every_part_has_a_floor() -> None:
    parts = {p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__"}
    parts |= {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    assert parts - set(FLOOR_OF) == set()


@pytest.mark.parametrize("path", files(".py", under=PACKAGE), ids=name_of)
def test_imports_go_downwards(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        pytest.skip("the package's face imports every floor")
    upwards = []
    for line, module in imports(path):
        part = part_of(module)
        # The package itself is the face of floor 6, which is also its Array API namespace.
        floor = FLOOR_OF[part or "tensor"]
        if floor > FLOOR_OF[own]:
            upwards.append(f"{name_of(path)}:{line} imports {module}")
    assert upwards == []


def test_passes_do_not_import_each_other() -> None:
    for path in files(".py", under=PACKAGE / "passes"):
        if path.stem not in ("__init__", "pipeline"):
            others = [m for _, m in imports(path) if part_of(m) == "passes"]
            assert others == [], name_of(path)


def test_the_printer_of_c_knows_no_operator_and_no_graph() -> None:
    path = PACKAGE / "codegen" / "emit_c.py"
    known = {".".join(module.split(".")[:3]) for _, module in imports(path)}
    forbidden = {m for m in known if part_of(m) in ("ops", "passes", "schedule", "autodiff")}
    assert forbidden | (known & {"graphc.ir.graph", "graphc.ir.spec"}) == set()


@pytest.mark.parametrize("folder", ["passes", "schedule", "codegen"])
def test_compiling_looks_at_declarations_not_at_operators(folder: str) -> None:
    """From floor 3 on the constructors and the laws of operators are used, never their classes."""
    for path in files(".py", under=PACKAGE / folder):
        for line, module in imports(path):
            allowed = module == "graphc.ops" or module.startswith("graphc.ops.laws")
            assert part_of(module) != "ops" or allowed, f"{name_of(path)}:{line} imports {module}"


def decisions(path: Path) -> Iterator[tuple[int, ast.AST]]:
    """Expressions on which something is decided: comparisons, matches, keys of constant tables."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Compare):
            yield node.lineno, node
        elif isinstance(node, ast.Match):
            yield node.lineno, node.subject
        elif isinstance(node, ast.Subscript) and is_table(node.value):
            yield node.lineno, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asks = node.func.attr in ("startswith", "endswith")
            if asks or (node.func.attr == "get" and is_table(node.func.value)):
                yield node.lineno, node


def is_table(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id.lstrip("_").isupper()


@pytest.mark.parametrize("path", files(".py", under=PACKAGE), ids=name_of)
def test_nothing_is_decided_by_the_name_of_an_operator(path: Path) -> None:
    for line, expression in decisions(path):
        assert not names_an_operator(expression), f"{name_of(path)}:{line} looks at a name"


def test_files_are_short() -> None:
    long = {
        name_of(path): count
        for path in files(".py", ".c", ".h")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}


def definitions(names: Iterable[str]) -> list[str]:
    return [
        name_of(path)
        for path in files(".py", under=PACKAGE)
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names
    ]


def test_one_topological_sort() -> None:
    names = ("toposort", "topological_sort", "topological_order", "topo_sort")
    assert definitions(names) == ["graphc/ir/toposort.py"]
    for path in files(".py", under=PACKAGE):
        for node in ast.walk(tree(path)):
            called = node.func if isinstance(node, ast.Call) else None
            name = getattr(called, "attr", getattr(called, "id", ""))
            assert not name.startswith("topological"), f"{name_of(path)}:{node.lineno}"


def test_one_printer_of_graphs_and_one_of_c() -> None:
    assert definitions(("graph_text",)) == ["graphc/ir/printer.py"]
    assert [name_of(p) for p in files(".py", under=PACKAGE) if "emit" in p.stem] == [
        "graphc/codegen/emit_c.py"
    ]


def handlers(path: Path) -> Iterator[ast.ExceptHandler]:
    return (n for n in ast.walk(tree(path)) if isinstance(n, ast.ExceptHandler))


@pytest.mark.parametrize("path", files(".py"), ids=name_of)
def test_exceptions_are_caught_by_name(path: Path) -> None:
    for handler in handlers(path):
        kinds = [] if handler.type is None else list(ast.walk(handler.type))
        names = {k.id for k in kinds if isinstance(k, ast.Name)}
        broad = handler.type is None or names & {"Exception", "BaseException"}
        assert not broad, f"{name_of(path)}:{handler.lineno} catches everything"


@pytest.mark.parametrize("path", files(".py", under=PACKAGE), ids=name_of)
def test_nothing_is_left_to_do(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Name):
            assert node.id != "NotImplementedError", f"{name_of(path)}:{node.lineno}"
    text = path.read_text(encoding="utf-8")
    assert not any(word in text for word in ("TO" + "DO", "FIX" + "ME", "X" + "XX"))


@pytest.mark.parametrize("path", files(".py", under=PACKAGE), ids=name_of)
def test_nothing_that_can_run_code_is_unpickled(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert module not in ("pickle", "marshal", "shelve", "dill"), name_of(path)


def test_nothing_refers_to_places_outside_the_project() -> None:
    outside = ["/" + folder for folder in ("work/", "root/", "home/", "mnt/", "Users/")]
    outside.append(".." + "/shared")
    for path in files(*SOURCES):
        text = path.read_text(encoding="utf-8")
        for place in outside:
            assert place not in text, f"{name_of(path)} refers to {place}"


def test_fast_math_is_never_asked_for() -> None:
    flag = "-ffast" + "-math"
    for path in files(".py", under=PACKAGE):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant):
                assert node.value != flag, f"{name_of(path)}:{node.lineno}"


def test_the_top_level_is_what_it_says() -> None:
    found = {
        entry.name
        for entry in ROOT.iterdir()
        if not entry.name.startswith(".")
        and entry.name not in ARTEFACTS
        and not entry.name.endswith(".egg-info")
    }
    assert found <= TOP_LEVEL
