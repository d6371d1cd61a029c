"""What stands around the code of a step: the comment at the head of its file, and its C header."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.codegen.emit_c import comment_text
from graphc.codegen.turns import as_comment
from graphc.dtypes import TensorType, as_dtype
from graphc.schedule.program import Program

#: What cffi is told of a compiled step.
CDEF = """
int graphc_step(void *const *in, void *const *out, void *arena, const void *runtime);
"""

#: Slots of the arena that are shown, with those of loops written once.
_SLOTS = 200


def preamble(program: Program, functions: int) -> str:
    """The comment at the head of the file: signature, counts, the arena's table."""
    naive = sum(v.type.nbytes for k in program.kernels for v in k.writes)
    slots = list(as_comment(list(_slots(program))))
    if len(slots) > _SLOTS:
        slots[_SLOTS:] = [f"  … and {len(slots) - _SLOTS} lines more"]
    lines = [
        "A training step compiled by graphc.",
        "",
        *as_comment(list(_arguments(program))),
        "",
        f"{len(program.kernels)} kernels in {functions} functions."
        f" Arena: {program.plan.peak} bytes; without reuse {naive}.",
        "",
        "Arena slots: offset, bytes, first and last kernel that use it",
        *slots,
    ]
    return "/* " + "\n".join([lines[0], *(f" * {line}".rstrip() for line in lines[1:])]) + " */\n"


def _arguments(program: Program) -> Iterator[str]:
    graph = program.graph
    for i, value in enumerate(graph.inputs):
        label = getattr(value.node.op, "label", "")
        yield _row(f"in[{i}]", value.type, comment_text(label))
    for i, array in enumerate(program.constants, len(graph.inputs)):
        type = TensorType(array.shape, as_dtype(array.dtype))
        yield _row(f"in[{i}]", type, "a constant")
    donated = {j: i for i, j in graph.donated.items()}
    names = graph.output_names or [""] * len(graph.outputs)
    for j, (value, name) in enumerate(zip(graph.outputs, names, strict=True)):
        where = f"written over in[{donated[j]}]" if j in donated else ""
        yield _row(f"out[{j}]", value.type, f"{comment_text(name)}  {where}".rstrip())


def _slots(program: Program) -> Iterator[str]:
    for b in sorted(program.arena_buffers, key=lambda b: (b.first, b.offset)):
        what = str(b.values[-1].type) if b.values else "workspace"
        yield f"  {b.offset:>10} {b.nbytes:>10}  {b.first:>4} to {b.last - 1:<4} {what}"


def _row(place: str, type: TensorType, what: str) -> str:
    return f"  {place:<7} {type!s:24}  {what}"


def interface(program: Program) -> str:
    """The C header of a step."""
    return _INTERFACE.format(
        inputs=len(program.graph.inputs) + len(program.constants),
        outputs=len(program.graph.outputs),
        arena=program.plan.peak,
        threads=program.threads,
    )


_INTERFACE = """\
#ifndef GRAPHC_STEP_H
#define GRAPHC_STEP_H
/* A training step compiled by graphc. The tables of arguments and results stand at the head of the
 * C file. */

#ifdef __cplusplus
extern "C" {{
#endif

#define GRAPHC_STEP_INPUTS {inputs}
#define GRAPHC_STEP_OUTPUTS {outputs}
#define GRAPHC_STEP_ARENA_BYTES {arena}
#define GRAPHC_STEP_THREADS {threads}

/* Runs one step. in and out hold the addresses of the arguments' and results' arrays, arena
 * GRAPHC_STEP_ARENA_BYTES bytes aligned to 64. runtime is a thread pool (struct gx_runtime in the
 * C file), unused with one thread. Returns 0, or an error number of the pool. */
int graphc_step(void *const *in, void *const *out, void *arena, const void *runtime);

#ifdef __cplusplus
}}
#endif

#endif
"""
