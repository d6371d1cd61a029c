"""`Choose` kernels: an `if` around the kernels of two programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphc.codegen.callee import Callee, run
from graphc.codegen.hazards import accesses, barriers
from graphc.codegen.kernel import Arguments
from graphc.ir.expr import Load, index
from graphc.ir.loops import Barrier, If, Only, Stmt
from graphc.schedule.choose import Choose
from graphc.schedule.program import Memory


def choose_body(
    kernel: Choose, arguments: Arguments, calls: Sequence[Sequence[Callee]], threads: int
) -> list[Stmt]:
    """The statements of a choice in a program that some threads run; `calls` are the kernels of
    each branch. Branches without work for two threads are left to one of them.
    """
    alone = threads > 1 and kernel.workers(threads) == 1
    names = arguments.names
    place = kernel.operand(-1)
    verdict = Load(place.root.dtype, names[place.root], index(place.strided.offset))
    yes, no = (list(_branch(kernel, arguments, k, part, alone)) for k, part in enumerate(calls))
    body: list[Stmt] = [If(verdict, yes, no)]
    return [Only(body)] if alone else body


def _branch(
    kernel: Choose, arguments: Arguments, number: int, calls: Sequence[Callee], alone: bool
) -> Iterator[Stmt]:
    program = kernel.programs[number]
    at: dict[tuple[Memory, int], str] = {}
    for k in range(len(program.graph.inputs)):
        at[Memory.INPUT, k] = arguments.names[kernel.operand(k).root]
    for k, value in enumerate(kernel.node.outputs):
        at[Memory.OUTPUT, k] = arguments.names[value]
    shared = any(p.threads > 1 for p in kernel.programs)
    done = run(program, calls, at, "gx_alone()" if alone else "t", shared)
    for stmt, wait in zip(done, barriers(accesses(program)), strict=True):
        if wait and shared:
            yield Barrier()
        yield stmt
