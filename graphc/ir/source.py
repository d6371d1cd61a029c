"""A function of the user's as text that stands alone."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any


class NotStandaloneError(Exception):
    """Why a function means nothing without the program in which it stands."""


def standalone(function: Callable[..., Any], name: str) -> tuple[str, list[str]]:
    """A definition of the function under another name, and the `import` lines that it needs.

    Numbers that it uses from outside stand in front of it. Raises NotStandaloneError for a function
    without source text, and for one that uses other objects than modules and numbers.
    """
    if not isinstance(function, FunctionType):
        raise NotStandaloneError("it is not written in Python")
    definition = _definition(function)
    used = inspect.getclosurevars(function)
    if used.unbound - _attributes(definition):
        raise NotStandaloneError(f"it uses {min(used.unbound)}, which is not defined")
    imports, lines = [], []
    for word, value in {**used.globals, **used.nonlocals}.items():
        if isinstance(value, ModuleType):
            module = value.__name__
            imports.append(f"import {module}" + (f" as {word}" if word != module else ""))
        elif isinstance(value, (bool, int, float)):
            lines.append(f"{word} = {value!r}")
        else:
            raise NotStandaloneError(f"it uses {word}, which is neither a module nor a number")
    return "\n".join([*lines, _renamed(definition, name)]), imports


def _definition(function: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """The syntax of a function, found by its file and line."""
    code = function.__code__
    try:
        module = ast.parse("".join(linecache.getlines(code.co_filename)))
    except SyntaxError as error:
        raise NotStandaloneError("its file cannot be read") from error
    here: list[ast.FunctionDef | ast.Lambda] = []
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            if (first, node.name) == (code.co_firstlineno, code.co_name):
                here.append(node)
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
            words = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
            if (node.lineno, words) == (
                code.co_firstlineno,
                [*code.co_varnames[: code.co_argcount]],
            ):
                here.append(node)
    if len(here) != 1:
        raise NotStandaloneError("its text is not found" if not here else "two stand in one line")
    return here[0]


def _attributes(definition: ast.FunctionDef | ast.Lambda) -> set[str]:
    """Names behind a dot, which are no variables."""
    return {node.attr for node in ast.walk(definition) if isinstance(node, ast.Attribute)}


def _renamed(definition: ast.FunctionDef | ast.Lambda, name: str) -> str:
    """Without decorators and annotations, which may name what is not there."""
    arguments = definition.args
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    if isinstance(definition, ast.Lambda):
        return f"def {name}({ast.unparse(arguments)}):\n    return {ast.unparse(definition.body)}"
    definition.name, definition.decorator_list, definition.returns = name, [], None
    return ast.unparse(definition)
