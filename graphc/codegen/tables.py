"""The constants that stand in the text of a program."""

from __future__ import annotations

from graphc.codegen import emit_c
from graphc.ir.graph import Node
from graphc.schedule.program import Memory, Program, table_data


def tables(program: Program, scope: str) -> dict[str, str]:
    """The constant tables of a program as C, by name; `scope` begins their names."""
    found = {}
    for part in program.nested():
        for value, buffer in part.buffers.items():
            if buffer.memory is Memory.TABLE:
                name = f"{scope}table{buffer.index}"
                found[name] = _table(value.node, name)
    return found


def _table(node: Node, name: str) -> str:
    values = table_data(node)
    dtype = node.types[0].dtype
    words = [emit_c.literal(v, dtype) for v in values] or ["0"]
    lines = [f"/* {node.types[0]} */", f"static const {dtype.c} {name}[{len(words)}] = {{"]
    line = "   "
    for word in words:
        if len(line) + len(word) > 95:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line, "};"]) + "\n"
