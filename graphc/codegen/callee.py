"""Kernels that call the kernels of programs of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments
from graphc.ir.expr import index
from graphc.ir.loops import Do, Only, Stmt
from graphc.schedule.program import Buffer, Memory, Program


@dataclass(frozen=True, slots=True)
class Callee:
    """A kernel of the body: its function, what that is passed, what begins names of tables."""

    name: str
    arguments: Arguments
    scope: str = ""

    def call(self, at: Places, thread: str) -> Do:
        passed = [_address(a.buffer, a.param.dtype.c, at, self.scope) for a in self.arguments.list]
        return Do(self.name, (*passed, thread))


#: C for the addresses of a body's inputs and outputs, and of its memory where that is not `work`.
Places = Mapping[tuple[Memory, int], str]


def run(
    program: Program, calls: Sequence[Callee], at: Places, thread: str, shared: bool
) -> Iterator[Stmt]:
    """The calls of a program's kernels, then its copies; `shared`: several threads run it."""
    yield from (c.call(at, thread) for c in calls)
    for move in program.copies:
        target, source = (_address(b, "uint8_t", at) for b in (move.target, move.source))
        copy = Do("memcpy", (target, source, index(move.target.nbytes)))
        yield Only([copy]) if shared else copy


def _address(buffer: Buffer, c_type: str, at: Places, scope: str = "") -> str:
    """C for the address of a buffer of a body."""
    if buffer.memory is Memory.TABLE:
        return f"{scope}table{buffer.index}"
    if buffer.memory in (Memory.INPUT, Memory.OUTPUT):
        return at[buffer.memory, buffer.index]
    base = at.get((Memory.WORKSPACE, 0), "work")
    start = address(base, index(buffer.offset))
    if c_type == "uint8_t":
        return start
    return f"({c_type} *)({start})" if buffer.offset else f"({c_type} *){base}"
