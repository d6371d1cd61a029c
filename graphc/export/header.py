"""The header of an artifact."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.codegen.emit_c import comment_text, wrapped
from graphc.export.interface import ABI_VERSION, Entry, Field, Interface, struct_bytes
from graphc.schedule.program import ALIGNMENT

#: Bytes of a pool of threads: more than any system's mutexes need (the C file asserts it).
_POOL_BYTES, _WORKER_BYTES = 2048, 768
#: Comments of members stand in one column, those of longer ones behind them.
_COLUMN = 60


def header(artifact: Interface) -> str:
    """The text of NAME.h: structs, constants, functions."""
    parts = [_HEAD.format(**_words(artifact))]
    if artifact.state:
        parts.append(_struct(artifact, "state", artifact.state, _STATE))
    if artifact.constants:
        parts.append(_struct(artifact, "constants", artifact.constants, _CONSTANTS))
    if artifact.threads > 1:
        parts += [_POOL.format(**_words(artifact)), _POOL_FUNCTIONS.format(**_words(artifact))]
    parts.append(_FUNCTIONS.format(**_words(artifact)))
    parts += [_entry(artifact, entry) for entry in artifact.entries]
    parts.append(_FOOT.format(**_words(artifact)))
    return "\n".join(parts)


def parameters(artifact: Interface, entry: Entry) -> list[str]:
    """The parameters of an entry's function, as C declares them."""
    declared = []
    if entry.uses("state"):
        const = "" if entry.modifies else "const "
        declared.append(f"{const}{artifact.name}_state *state")
    if entry.uses("constants"):
        declared.append(f"const {artifact.name}_constants *constants")
    if entry.inputs:
        declared.append(f"const {entry.function}_inputs *in")
    if entry.outputs:
        declared.append(f"{entry.function}_outputs *out")
    declared.append("void *arena")
    if artifact.threads > 1:
        declared.append(f"{artifact.name}_pool *pool")
    return declared


def _words(artifact: Interface) -> dict[str, object]:
    return {
        "name": artifact.name,
        "NAME": artifact.capitals,
        "abi": ABI_VERSION,
        "arena": artifact.arena_bytes,
        "alignment": ALIGNMENT,
        "threads": artifact.threads,
        "pool": _POOL_BYTES + _WORKER_BYTES * artifact.threads,
        "memory": "the state, an arena, inputs and outputs"
        if artifact.state
        else "an arena, inputs and outputs",
        "target": artifact.targets,
    }


def _struct(artifact: Interface, kind: str, fields: Sequence[Field], comment: str) -> str:
    lines = [comment.format(**_words(artifact)), f"typedef struct {artifact.name}_{kind} {{"]
    members = [
        f"{artifact.capitals}_ALIGNED {f.type.dtype.c} {f.name}{f.extents if f.type.shape else ''};"
        for f in fields
    ]
    width = min(max(map(len, members)), _COLUMN)
    for f, member in zip(fields, members, strict=True):
        lines.append(f"    {member:{width}} /* {comment_text(f.path)}, {_described(f)} */")
    lines.append(f"}} {artifact.name}_{kind};")
    size = struct_bytes(fields)
    lines += [
        "",
        f"#define {artifact.capitals}_{kind.upper()}_BYTES {size}",
        f"{artifact.capitals}_STATIC_ASSERT(",
        f"    sizeof({artifact.name}_{kind}) == {artifact.capitals}_{kind.upper()}_BYTES,",
        f'    "the layout of {artifact.name}_{kind}");',
    ]
    return "\n".join(lines) + "\n"


def _described(f: Field) -> str:
    empty = "" if f.type.size else ", no elements"
    return f"offset {f.offset}{empty}" if f.type.size else f"{f.type}{empty}"


def _entry(artifact: Interface, entry: Entry) -> str:
    capitals = entry.function.upper()
    lines = call_types(entry)
    sizes = [f for f in (*entry.inputs, *entry.outputs) if f.type.shape]
    for f in sizes:
        lines.append(f"#define {capitals}_{f.name.upper()}_SIZE {f.type.size}")
    if sizes:
        lines.insert(-len(sizes), "/* How many elements these arrays have. */")
        lines.append("")
    what = comment_text(entry.lowered.signature.name)
    change = "updates the state" if entry.modifies else "changes nothing but its outputs"
    lines.append(
        f"/* Runs {what}: {change}. Returns a status, on an error before anything changes."
    )
    if artifact.threads > 1:
        lines.append(" * pool may be NULL: then it runs on the calling thread alone.")
    lines[-1] += " */"
    lines += [*_prototype(artifact, entry), ""]
    return "\n".join(lines)


def call_types(entry: Entry) -> list[str]:
    """The lines of the structs that an entry takes."""
    function = entry.function
    lines = []
    if entry.inputs:
        lines.append(f"/* What {function} reads: arrays by the address of their first element. */")
        lines.append(f"typedef struct {function}_inputs {{")
        for f in entry.inputs:
            star = f"const {f.type.dtype.c} *" if f.type.shape else f"{f.type.dtype.c} "
            lines.append(f"    {star}{f.name}; /* {f.described}, {comment_text(f.path)} */")
        lines += [f"}} {function}_inputs;", ""]
    if entry.outputs:
        lines.append(
            f"/* What {function} writes: numbers here, arrays to memory of the caller's. */"
        )
        lines.append(f"typedef struct {function}_outputs {{")
        for f in entry.outputs:
            star = f"{f.type.dtype.c} *" if f.type.shape else f"{f.type.dtype.c} "
            lines.append(f"    {star}{f.name}; /* {f.described} */")
        lines += [f"}} {function}_outputs;", ""]
    return lines


def prototypes(artifact: Interface) -> list[str]:
    """The declarations of all functions, without comments."""
    texts = [_FUNCTIONS, *([_POOL_FUNCTIONS] if artifact.threads > 1 else [])]
    lines = [
        line
        for text in texts
        for line in text.format(**_words(artifact)).splitlines()
        if line.endswith(";")
    ]
    return lines + [line for e in artifact.entries for line in _prototype(artifact, e)]


def _prototype(artifact: Interface, entry: Entry) -> list[str]:
    return wrapped(f"int {entry.function}(", parameters(artifact, entry), ");")


_HEAD = """\
#ifndef {NAME}_H
#define {NAME}_H
/* {name}: a step compiled by graphc for {target}.
 * README.md beside this file says how to build and call it.
 *
 * The caller owns all memory: {memory}.
 * {name}_init makes an arena ready, once, and any number of calls may use it then.
 * Arrays are C-contiguous. A call reads and writes what it is given and nothing else, so calls with
 * different arenas, states and outputs may run at the same time. */

#include <stddef.h>
#include <stdint.h>

/* Aligned memory: stands before a type. */
#if defined(__GNUC__)
#define {NAME}_ALIGNED __attribute__((aligned({alignment})))
#elif defined(__cplusplus)
#define {NAME}_ALIGNED alignas({alignment})
#else
#define {NAME}_ALIGNED _Alignas({alignment})
#endif

#ifdef __cplusplus
#define {NAME}_STATIC_ASSERT static_assert
extern "C" {{
#else
#define {NAME}_STATIC_ASSERT _Static_assert
#endif

/* The version of what generated headers promise: layouts, functions, what they return. */
#define {NAME}_ABI_VERSION {abi}

/* Bytes of an arena, the memory that a step works in, and the alignment of arenas and structs. */
#define {NAME}_ARENA_BYTES {arena}
#define {NAME}_ALIGNMENT {alignment}

/* Threads of a step at most. */
#define {NAME}_THREADS {threads}

/* What functions return; a positive status is an error number of the system's threads. */
enum {{
    {NAME}_OK = 0,
    {NAME}_MISALIGNED = -1,      /* state, constants, arena or pool: not aligned */
    {NAME}_NOT_INITIALIZED = -2, /* {name}_init was not called for this arena */
    {NAME}_UNSUPPORTED = -3      /* the processor lacks what the code was compiled for */
}};
"""

_STATE = """\
/* What a step updates. Every array begins at a multiple of {alignment} bytes, on every machine at
 * the same offset. */"""

_CONSTANTS = """\
/* Constants, to be read from {name}_constants.safetensors; laid out as a state is. */"""

_POOL = """\
/* Threads, to be made once and used by many steps, one at a time. */
typedef struct {name}_pool {{
    {NAME}_ALIGNED unsigned char opaque[{pool}];
}} {name}_pool;
"""

_POOL_FUNCTIONS = """\
/* Prepares a pool of 1 to {NAME}_THREADS threads, the caller's among them; the others start with
 * the first step. Returns a status. */
int {name}_pool_init({name}_pool *pool, int threads);

/* Ends the threads of a pool that no step uses any more. */
void {name}_pool_destroy({name}_pool *pool);
"""

_FUNCTIONS = """\
/* Makes an arena ready for steps: looks at its alignment and at the processor. Returns a status. */
int {name}_init(void *arena);

/* What a status means, in English. */
const char *{name}_message(int status);
"""

_FOOT = """\
#ifdef __cplusplus
}}
#endif

#endif
"""
