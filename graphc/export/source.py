"""The C file of an artifact: the kernels of its steps, and the functions that callers see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphc import __version__
from graphc.build.runtime_files import runtime_for
from graphc.codegen import unit as c_unit
from graphc.codegen.emit_c import wrapped
from graphc.codegen.entry import ENTRY_TYPES, region
from graphc.export.header import parameters
from graphc.export.interface import Entry, Field, Interface
from graphc.export.levels import LEVELS, headers, named, number, part, without_headers
from graphc.schedule.program import ALIGNMENT
from graphc.schedule.tiles import vector_bytes


@dataclass(frozen=True)
class _Code:
    """What is generated for the steps of an artifact: comments that describe them, what kernels are
    made of and the kernels themselves, equal ones once, and the functions that threads run.
    """

    comments: str
    kernels: str
    regions: str


def source(artifact: Interface) -> str:
    """The text of NAME.c, which includes NAME.h and the C library's headers alone."""
    guard, public = _guard(artifact), "\n".join(_public(artifact))
    if artifact.levels:
        codes = [_code(one) for one in artifact.levels]
        own = [code.kernels + "\n" + code.regions for code in codes]
        shared = runtime_for("\n".join([guard, ENTRY_TYPES, public]))
        needed = headers([shared, *map(runtime_for, own)])
        parts = [needed, without_headers(shared), guard, ENTRY_TYPES]
        for one, code, text in zip(artifact.levels, codes, own, strict=True):
            width = vector_bytes(one.isa)
            parts.append(part(one.target, width, code.comments, text, shared + ENTRY_TYPES))
        parts.append(public)
    else:
        code = _code(artifact)
        own = [code.kernels, ENTRY_TYPES, code.regions, public]
        limit = f"#define GX_VECTOR_LIMIT {vector_bytes(artifact.isa)}"
        parts = [limit, code.comments, runtime_for("\n".join([guard, *own])), guard, *own]
    return "\n".join(text.rstrip() + "\n" for text in [_head(artifact), *parts] if text.strip())


def _code(artifact: Interface) -> _Code:
    functions = c_unit.Functions()
    units = {
        entry: c_unit.generate(entry.lowered.program, _scope(artifact, entry), functions)
        for entry in artifact.entries
    }
    definitions = {k: text for unit in units.values() for k, text in unit.definitions.items()}
    tables = [table for unit in units.values() for table in unit.tables.values()]
    regions = [
        region(
            entry.lowered.program,
            [k.call for k in unit.kernels],
            artifact.threads,
            _scope(artifact, entry),
        )
        for entry, unit in units.items()
    ]
    kernels = [*definitions.values(), *tables, *(text for _, text in functions.named.values())]
    return _Code(
        *(
            "\n".join(text.rstrip() + "\n" for text in texts)
            for texts in ([unit.header for unit in units.values()], kernels, regions)
        )
    )


def _scope(artifact: Interface, entry: Entry) -> str:
    return "" if len(artifact.entries) == 1 else f"gx_{entry.function}_"


def _head(artifact: Interface) -> str:
    posix = "#define _POSIX_C_SOURCE 200809L\n" if artifact.threads > 1 else ""
    return _HEAD.format(
        name=artifact.name,
        version=__version__,
        target=artifact.targets,
        hash=artifact.graph_hash,
        posix=posix,
    )


def _guard(artifact: Interface) -> str:
    """Refuses compilers' flags that the text was not written for."""
    text = _GUARD.format(name=artifact.name)
    if artifact.levels:
        condition, flag = "!defined(__x86_64__)", "a compiler for x86-64"
        text += _REFUSAL.format(name=artifact.name, condition=condition, flag=flag)
    elif artifact.target in LEVELS:
        condition, flag = f"GX_X86_LEVEL < {number(artifact.target)}", f"-march={artifact.target}"
        text += _REFUSAL.format(name=artifact.name, condition=condition, flag=flag)
    elif artifact.target == "aarch64":
        condition, flag = "!defined(__aarch64__)", "a compiler for aarch64"
        text += _REFUSAL.format(name=artifact.name, condition=condition, flag=flag)
    return text


def _needs(target: str) -> str:
    """What a processor that is refused lacks."""
    if target in LEVELS:
        return f"{LEVELS[target][1]}, or what the compiler's other flags allowed: "
    return "instructions that the compiler's flags allowed: "


def _words(artifact: Interface) -> dict[str, object]:
    numbers = [number(one.target) for one in artifact.levels]
    best = "".join(f"level >= {n} ? {n} : " for n in reversed(numbers[1:]))
    return {
        "name": artifact.name,
        "NAME": artifact.capitals,
        "alignment": ALIGNMENT,
        "offset": artifact.tag_offset,
        "tag": artifact.tag,
        "threads": artifact.threads,
        "needs": _needs(artifact.target),
        "target": artifact.targets,
        "lowest": min(numbers, default=0),
        "best": f"{best}{min(numbers, default=0)}",
    }


def _public(artifact: Interface) -> Iterator[str]:
    words = _words(artifact)
    yield (_INIT_LEVELS if artifact.levels else _INIT).format(**words)
    yield _MESSAGE.format(**words)
    if artifact.threads > 1:
        yield _POOL.format(**words)
    for entry in artifact.entries:
        yield _entry(artifact, entry)


def _entry(artifact: Interface, entry: Entry) -> str:
    capitals = artifact.capitals
    lines = wrapped(f"GX_BASELINE int {entry.function}(", parameters(artifact, entry), ")")
    lines.append("{")
    aligned = [kind for kind in ("state", "constants") if entry.uses(kind)]
    conditions = [f"(uintptr_t){what} % {ALIGNMENT} != 0" for what in (*aligned, "arena")]
    lines.append(f"    if ({' || '.join(conditions)})")
    lines.append(f"        return {capitals}_MISALIGNED;")
    lines.append("    if (!ready(arena))")
    lines.append(f"        return {capitals}_NOT_INITIALIZED;")
    offset = artifact.tag_offset + ALIGNMENT
    lines.append(f"    void **const from = (void **)(void *)((uint8_t *)arena + {offset});")
    lines.append(f"    void **const to = from + {len(entry.reads)};")
    for i, (kind, field) in enumerate(entry.reads):
        lines.append(f"    from[{i}] = (void *){_address(kind, field)};")
    for j, written in enumerate(entry.writes):
        if written is not None:
            lines.append(f"    to[{j}] = {_address('out', written)};")
    lines.append("    gx_step step = {from, to, arena};")
    program = f"{_scope(artifact, entry)}step_region"
    if artifact.levels:
        lines += _chosen(artifact, program)
        program = "region"
    if artifact.threads > 1:
        lines.append("    const struct team *const team = (const struct team *)(void *)pool;")
        lines.append("    const int threads = team ? team->team.threads : 1;")
        lines.append(f"    return gx_run(team ? &team->runtime : NULL, {program}, &step, threads);")
    else:
        lines.append(f"    return gx_run(NULL, {program}, &step, 1);")
    return "\n".join([*lines, "}"]) + "\n"


def _chosen(artifact: Interface, program: str) -> list[str]:
    """Lines that choose between the levels' functions."""
    choice = named(program, artifact.levels[0].target)
    for one in artifact.levels[1:]:
        choice = f"level == {number(one.target)} ? {named(program, one.target)} : {choice}"
    lines = ["    const int level = chosen(arena);"] if len(artifact.levels) > 1 else []
    return [*lines, f"    gx_task *const region = {choice};"]


def _address(kind: str, field: Field) -> str:
    """The address of an array; of a number that a struct holds by value."""
    return f"{kind}->{field.name}" if field.type.shape else f"&{kind}->{field.name}"


_HEAD = """\
/* {name}.c: made by graphc {version} for {target}.
 * Graph: sha256 {hash}
 *
 * C11 and libm; no allocation, no I/O, no global variable. Flags that its speed relies on:
 * -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math. */

{posix}#include "{name}.h"
"""

_GUARD = """\
#if defined(__FAST_MATH__)
#error "{name}.c keeps the rules of floating point: compile it without -ffast-math"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "IEEE 754 binary32 and binary64");
"""

_REFUSAL = """\
#if {condition}
#error "{name}.c was written for another processor than it is compiled for: {flag} is required"
#endif
"""

_INIT = """\
/* The mark of an arena that is ready. */
static const uint64_t mark = UINT64_C({tag});

GX_BASELINE static int ready(const void *arena)
{{
    return *(const uint64_t *)(const void *)((const uint8_t *)arena + {offset}) == mark;
}}

GX_BASELINE int {name}_init(void *arena)
{{
    if ((uintptr_t)arena % {alignment} != 0)
        return {NAME}_MISALIGNED;
    if (gx_x86_level() < GX_X86_LEVEL || !gx_x86_complete())
        return {NAME}_UNSUPPORTED;
    *(uint64_t *)(void *)((uint8_t *)arena + {offset}) = mark;
    return {NAME}_OK;
}}
"""

_INIT_LEVELS = """\
/* The mark of an arena that is ready; the level of the processor stands behind it. */
static const uint64_t mark = UINT64_C({tag});

GX_BASELINE static int ready(const void *arena)
{{
    return *(const uint64_t *)(const void *)((const uint8_t *)arena + {offset}) == mark;
}}

/* The level whose code runs. */
GX_BASELINE static int chosen(const void *arena)
{{
    return (int)((const uint64_t *)(const void *)((const uint8_t *)arena + {offset}))[1];
}}

GX_BASELINE int {name}_init(void *arena)
{{
    if ((uintptr_t)arena % {alignment} != 0)
        return {NAME}_MISALIGNED;
    const int level = gx_x86_level();
    if (level < {lowest} || level < GX_X86_LEVEL || !gx_x86_complete())
        return {NAME}_UNSUPPORTED;
    uint64_t *const made = (uint64_t *)(void *)((uint8_t *)arena + {offset});
    made[0] = mark;
    made[1] = {best};
    return {NAME}_OK;
}}
"""

_MESSAGE = """\
GX_BASELINE const char *{name}_message(int status)
{{
    switch (status) {{
    case {NAME}_OK:
        return "no error";
    case {NAME}_MISALIGNED:
        return "memory is not aligned to {alignment} bytes";
    case {NAME}_NOT_INITIALIZED:
        return "{name}_init has not been called for this arena";
    case {NAME}_UNSUPPORTED:
        return "this processor lacks {needs}{name} was compiled for {target}";
    default:
        return status > 0 ? "the system cannot start threads" : "unknown status";
    }}
}}
"""

_POOL = """\
struct team {{
    gx_runtime runtime;
    gx_team team;
    gx_worker workers[{threads} - 1];
}};

_Static_assert(sizeof(struct team) <= sizeof({name}_pool), "room for the pool");

int {name}_pool_init({name}_pool *pool, int threads)
{{
    struct team *const team = (struct team *)(void *)pool;
    if ((uintptr_t)pool % {alignment} != 0)
        return {NAME}_MISALIGNED;
    if (threads < 1 || threads > {threads})
        return EINVAL;
    team->runtime = (gx_runtime){{gx_team_run, &team->team}};
    return gx_team_init(&team->team, team->workers, threads, threads);
}}

void {name}_pool_destroy({name}_pool *pool)
{{
    gx_team_destroy(&((struct team *)(void *)pool)->team);
}}
"""
