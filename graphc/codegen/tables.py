"""Constant arrays as C."""

from __future__ import annotations

import numpy as np

from graphc.codegen import emit_c
from graphc.ir.graph import Node
from graphc.ir.spec import Table
from graphc.schedule.program import Memory, Program


def tables(program: Program) -> dict[str, str]:
    """The constant arrays of a program and of those inside of it, by their names."""
    found = {}
    for part in program.nested():
        for value, buffer in part.buffers.items():
            if buffer.memory is Memory.TABLE:
                found[f"table{buffer.index}"] = _table(value.node, buffer.index)
    return found


def _table(node: Node, index: int) -> str:
    spec = node.op.spec(*[v.type for v in node.inputs])
    assert isinstance(spec, Table)
    dtype = node.types[0].dtype
    values = np.frombuffer(spec.data, dtype.numpy)
    words = [emit_c.literal(v, dtype) for v in values] or ["0"]
    lines = [f"/* {node.types[0]} */", f"static const {dtype.c} table{index}[{len(words)}] = {{"]
    line = "   "
    for word in words:
        if len(line) + len(word) > 95:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line, "};"]) + "\n"
