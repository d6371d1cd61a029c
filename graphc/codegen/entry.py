"""The entry of a step: the function that calls the kernels in order, a barrier where data crosses
threads; and its profiled form.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.codegen.emit_c import wrapped
from graphc.codegen.hazards import accesses, barriers
from graphc.codegen.turns import as_loops
from graphc.schedule.program import Buffer, Memory, Program

#: Lines of one function, nearly: a larger one makes the C compiler slow.
_CALLS = 400


def entry(program: Program, kernels: Sequence[str]) -> str:
    """The function that a Python process calls, with the region that it runs."""
    text = ENTRY_TYPES + region(program, kernels, program.threads)
    return text + _ENTRY.format(threads=program.threads, arena=program.plan.peak)


def region(program: Program, kernels: Sequence[str], threads: int, scope: str = "") -> str:
    """`step_region`, what every thread of a step runs: the kernels' calls in order, a barrier where
    data crosses threads, in loops where they repeat. `scope` begins the names of what would
    otherwise stand twice in a file of several programs.
    """
    calls = _calls(program, kernels, threads, scope)
    parts: list[list[str]] = [[]]
    for statements in as_loops(calls):
        if len(parts[-1]) >= _CALLS:
            parts.append([])
        parts[-1] += statements
    text = ""
    names = []
    for k, part in enumerate(parts):
        name = f"{scope}step_region" if len(parts) == 1 else f"{scope}step_part{k}"
        names.append(name)
        text += f"static void {name}(void *context, gx_thread t)\n{{\n"
        text += "    const gx_step *const s = context;\n"
        text += "".join(_wrapped(f"    {line}") for line in part)
        text += "    (void)s;\n    (void)t;\n" if not part else ""
        text += "}\n\n"
    if len(parts) > 1:
        text += f"static void {scope}step_region(void *context, gx_thread t)\n{{\n"
        text += "".join(f"    {name}(context, t);\n" for name in names) + "}\n\n"
    return text


def profiled_entry(program: Program, calls: Sequence[str]) -> str:
    """An entry with a clock read after every kernel, when all threads are done with it: it takes
    one more argument, the nanoseconds of each kernel.
    """
    text = ENTRY_TYPES.replace(
        "    uint8_t *arena;\n", "    uint8_t *arena;\n    int64_t *times;\n"
    )
    text += "static void step_region(void *context, gx_thread t)\n{\n"
    text += "    const gx_step *const s = context;\n    int64_t begin = gx_now(), end;\n"
    for k, call in enumerate(calls):
        text += f"    {call}\n    gx_barrier_wait(t);\n    end = gx_now();\n"
        text += f"    if (t.id == 0) s->times[{k}] = end - begin;\n    begin = end;\n"
    text += "".join(f"    {line}\n" for line in _copies(program, "")) + "}\n\n"
    return text + _PROFILED_ENTRY.format(threads=program.threads)


def stepped_entry(program: Program, calls: Sequence[str]) -> str:
    """An entry that runs one kernel of a number, and after the last one what copies results back to
    donated arrays: for whoever wants to look at memory in between.
    """
    text = ENTRY_TYPES.replace(
        "    uint8_t *arena;\n", "    uint8_t *arena;\n    int64_t kernel;\n"
    )
    text += "static void step_region(void *context, gx_thread t)\n{\n"
    text += "    const gx_step *const s = context;\n    switch (s->kernel) {\n"
    for k, call in enumerate(calls):
        text += f"    case {k}:\n        {call}\n        break;\n"
    text += "    default:\n" + "".join(f"        {line}\n" for line in _copies(program, ""))
    text += "        break;\n    }\n    (void)t;\n}\n\n"
    return text + _STEPPED_ENTRY.format(threads=program.threads)


#: What `region` and its callers share.
ENTRY_TYPES = """\
/* The memory of one call: arguments, results, and the arena of everything between. */
typedef struct {
    void *const *in;
    void *const *out;
    uint8_t *arena;
} gx_step;

"""

_ENTRY = """\
/* Runs one step. in: the arguments' arrays, out: the results' (see the table above; a donated
 * argument's result is written over it). arena: {arena} bytes, aligned to 64. Returns 0, or an
 * error number of the thread pool. */
GX_EXPORT int graphc_step(void *const *in, void *const *out, void *arena, const gx_runtime *runtime)
{{
    gx_step step = {{in, out, arena}};
    return gx_run(runtime, step_region, &step, {threads});
}}
"""


_PROFILED_ENTRY = """\
GX_EXPORT int graphc_profile(void *const *in, void *const *out, void *arena,
                             const gx_runtime *runtime, int64_t *times)
{{
    gx_step step = {{in, out, arena, times}};
    return gx_run(runtime, step_region, &step, {threads});
}}
"""


_STEPPED_ENTRY = """\
GX_EXPORT int graphc_kernel(void *const *in, void *const *out, void *arena,
                            const gx_runtime *runtime, int64_t kernel)
{{
    gx_step step = {{in, out, arena, kernel}};
    return gx_run(runtime, step_region, &step, {threads});
}}
"""


def _calls(program: Program, calls: Sequence[str], threads: int, scope: str) -> list[str]:
    lines: list[str] = []
    waits = barriers(accesses(program))
    for call, wait in zip([*calls, *_copies(program, scope)], waits, strict=True):
        if wait and threads > 1:
            lines.append("gx_barrier_wait(t);")
        lines.append(call)
    return lines


def _wrapped(line: str) -> str:
    """A line of statements; a call that is long goes on under its first argument."""
    head, _, arguments = line.partition("(")
    if not arguments.endswith(");"):
        return line + "\n"
    return "\n".join(wrapped(head + "(", arguments[:-2].split(", "), ");")) + "\n"


def _copies(program: Program, scope: str) -> list[str]:
    """Results that waited for the last reading of the donated arrays that they go to."""
    return [
        f"if (t.id == 0) memcpy({pointer(c.target, 'uint8_t', scope)},"
        f" {pointer(c.source, 'uint8_t', scope)}, {c.target.nbytes});"
        for c in program.copies
    ]


def pointer(buffer: Buffer, c_type: str, scope: str = "") -> str:
    """C for the address of a buffer, as a pointer to a type; `scope` as for `region`."""
    match buffer.memory:
        case Memory.INPUT:
            return f"s->in[{buffer.index}]"
        case Memory.OUTPUT:
            return f"s->out[{buffer.index}]"
        case Memory.TABLE:
            return f"{scope}table{buffer.index}"
        case _:
            if c_type == "uint8_t":
                return f"s->arena + {buffer.offset}"
            return f"({c_type} *)(s->arena + {buffer.offset})"
