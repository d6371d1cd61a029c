"""Functions that derived Python carries along where a library has none: `in_numpy`, which the
operators' references call too, `in_torch`, which is read and never imported, and what both share.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Plain:
    """A function as text, `import` lines of the modules that it uses, and what else it calls."""

    text: str
    imports: tuple[str, ...]
    calls: tuple[str, ...]


@cache
def functions(library: str) -> dict[str, Plain]:
    """All functions for "numpy" or "torch" by name, those that they call in front of them."""
    found: dict[str, Plain] = {}
    for file in ("in_either", f"in_{library}"):
        text = (files(__package__) / f"{file}.py").read_text(encoding="utf-8")
        module = ast.parse(text)
        modules = {
            alias.asname or alias.name: ast.unparse(statement)
            for statement in module.body
            if isinstance(statement, ast.Import)
            for alias in statement.names
        }
        for statement in module.body:
            if isinstance(statement, ast.FunctionDef):
                used = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
                called = {
                    node.func.id
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                }
                source = ast.get_source_segment(text, statement)
                assert source is not None
                imports = tuple(line for name, line in modules.items() if name in used)
                calls = tuple(name for name in found if name in called)
                found[statement.name] = Plain(source, imports, calls)
    return found
