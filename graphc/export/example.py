"""The example program of an artifact: state and data from files, steps, the state to a file."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.build.runtime_files import select
from graphc.export.filling import FILL, Filling, fill_call, weight_range
from graphc.export.host import MEMORY, address, constants_loader, room, tensors
from graphc.export.interface import Entry, Field, Interface


def example(artifact: Interface) -> str:
    """The text of example.c, which runs the first entry that changes the state, else the first."""
    entry = next((e for e in artifact.entries if e.modifies), artifact.entries[0])
    saves = bool(artifact.state)
    own = [initializer(artifact), _files(artifact)] if saves else []
    own += [_BATCHES] if entry.inputs else []
    own += [_ROWS] if _open(entry) else []
    own.append(_main(artifact, entry))
    filled = any("    fill(" in part for part in own)
    runtime = ["gx_philox"] if filled else []
    runtime += ["gx_tensors_load"] if saves or entry.uses("constants") else []
    runtime += ["gx_tensors_save"] if saves else []
    runtime += ["gx_tensors_find", "gx_tensors_close"] if entry.inputs else []
    parts = [_HEAD.format(name=artifact.name, usage=_usage(artifact, entry))]
    parts += [select(runtime)] if runtime else []
    parts.append(MEMORY)
    parts += [FILL] if filled else []
    if entry.uses("constants"):
        parts.append(constants_loader(artifact))
    parts += own
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _usage(artifact: Interface, entry: Entry) -> str:
    words = "[--steps N]"
    words += " [--data FILE]" if entry.inputs else ""
    return words + (" [--state FILE] [--save FILE]" if artifact.state else "")


def initializer(artifact: Interface) -> str:
    """Random matrices of weights, vectors of ones (a zero may be a scale that stops everything),
    zeros for what the loss does not depend on: optimizers' statistics, counters.
    """
    lines = [
        "/* A state to begin with where none is given: weights are random matrices and vectors of",
        " * ones, statistics and counters zeros. */",
        f"static void initialize({artifact.name}_state *state)",
        "{",
        "    memset(state, 0, sizeof *state);",
    ]
    for stream, f in enumerate(artifact.state):
        if f.type.dtype.is_float and f in artifact.weights:
            size = weight_range(f.type)
            how = Filling(-size if f.type.ndim > 1 else size, size, stream)
            lines.append(f"    {fill_call(address('state->', f), f.type, how)};")
    return "\n".join([*lines, "}"]) + "\n"


def _files(artifact: Interface) -> str:
    return _STATE_FILES.format(
        name=artifact.name, rows="\n".join(tensors(artifact.state, "state->"))
    )


def _main(artifact: Interface, entry: Entry) -> str:
    name, capitals, function = artifact.name, artifact.capitals, entry.function
    lines = ["int main(int argc, char **argv)", "{"]
    options = {"--data": "data"} if entry.inputs else {}
    options |= {"--state": "from", "--save": "to"} if artifact.state else {}
    for variable in options.values():
        lines.append(f"    const char *{variable} = NULL;")
    lines.append("    long steps = 10;")
    lines.append("    for (int k = 1; k < argc; k += 2) {")
    lines.append('        if (k + 1 < argc && strcmp(argv[k], "--steps") == 0) {')
    lines.append("            steps = strtol(argv[k + 1], NULL, 10);")
    for option, variable in options.items():
        lines.append(f'        }} else if (k + 1 < argc && strcmp(argv[k], "{option}") == 0) {{')
        lines.append(f"            {variable} = argv[k + 1];")
    lines += [
        "        } else {",
        f'            printf("usage: %s {_usage(artifact, entry)}\\n", argv[0]);',
        "            return 2;",
        "        }",
        "    }",
        f"    void *const arena = reserve({capitals}_ARENA_BYTES);",
        f"    check({name}_init(arena));",
    ]
    arguments, freed = [], ["arena"]
    if artifact.state:
        lines += [
            f"    {name}_state *const state = reserve(sizeof *state);",
            "    if (from)",
            "        transfer(from, state, 0);",
            "    else",
            "        initialize(state);",
        ]
        freed.append("state")
        arguments += ["state"] if entry.uses("state") else []
    if entry.uses("constants"):
        lines.append(f"    {name}_constants *const constants = reserve(sizeof *constants);")
        lines.append(f'    load("{name}_constants.safetensors", constants);')
        freed.append("constants")
        arguments.append("constants")
    lines += _given(entry, artifact)
    arguments += ["&in"] if entry.inputs else []
    if entry.outputs:
        lines.append(f"    {function}_outputs out;")
        for f in entry.outputs:
            if f.type.shape:
                lines.append(f"    out.{f.name} = {room(f)};")
        arguments.append("&out")
    arguments.append("arena")
    if artifact.threads > 1:
        lines.append(f"    {name}_pool *const pool = reserve(sizeof *pool);")
        lines.append(f"    check({name}_pool_init(pool, {capitals}_THREADS));")
        freed.append("pool")
        arguments.append("pool")
    lines.append("    for (long step = 0; step < steps; step++) {")
    for k, f in enumerate(_arrays(entry)):
        lines.append(f"        in.{f.name} = {_batch(f, k)};")
    if entry.size is not None:
        lines.append(f"        in.{entry.size.name} = {_size(entry)};")
    lines.append(f"        check({function}({', '.join(arguments)}));")
    lines += _printed(entry.outputs)
    lines.append("    }")
    if artifact.state:
        lines += ["    if (to)", "        transfer(to, state, 1);"]
    if artifact.threads > 1:
        lines.append(f"    {name}_pool_destroy(pool);")
    lines += [f"    free(out.{f.name});" for f in entry.outputs if f.type.shape]
    if entry.inputs:
        lines.append(f"    for (int k = 0; k < {len(_arrays(entry))}; k++)")
        lines.append("        free(inputs[k].data);")
    lines += [f"    release({what});" for what in reversed(freed)]
    return "\n".join([*lines, "    return 0;", "}"]) + "\n"


def _arrays(entry: Entry) -> list[Field]:
    """The inputs that come from a file: all but the size of the batch."""
    return [f for f in entry.inputs if f is not entry.size]


def _open(entry: Entry) -> list[Field]:
    """The inputs whose first axis is the size."""
    bound = entry.lowered.signature.bound
    if bound is None:
        return []
    return [
        entry.reads[i][1]
        for i, kind in bound.arguments.items()
        if [a.axis for a in kind.axes] == [0]
    ]


def _given(entry: Entry, artifact: Interface) -> list[str]:
    """The inputs: batches of a file, or one batch of random numbers."""
    arrays, open_ = _arrays(entry), _open(entry)
    if not arrays:
        return []
    count = len(arrays)
    lines = [f"    gx_tensor inputs[{count}] = {{"]
    for f in arrays:
        shape = ", ".join(str(n) for n in f.type.shape) or "0"
        lines.append(
            f'        {{"{f.key}", "{f.code}", {f.type.ndim}, {{{shape}}}, {f.type.nbytes}, NULL}},'
        )
    lines += ["    };", f"    long batches[{count}];", "    if (data) {"]
    for k, f in enumerate(arrays):
        lines.append(f"        batches[{k}] = collect(data, &inputs[{k}], {int(f in open_)});")
    lines += ["    } else {", f"        for (int k = 0; k < {count}; k++) {{"]
    lines.append("            batches[k] = 1;")
    lines.append("            inputs[k].data = allocate(inputs[k].bytes);")
    lines.append("        }")
    for k, f in enumerate(arrays):
        how = Filling(-1.0, 1.0, len(artifact.state) + k)
        lines.append(f"        {fill_call(f'inputs[{k}].data', f.type, how)};")
    return [*lines, "    }", f"    {entry.function}_inputs in;"]


def _size(entry: Entry) -> str:
    """C for the size of a batch: the largest, of the last batch of a file what is left."""
    bound = entry.lowered.signature.bound
    assert bound is not None
    if not _open(entry):
        return str(bound.largest)
    k = _arrays(entry).index(_open(entry)[0])
    return f"rows(&inputs[{k}], step % batches[{k}], {bound.largest})"


def _batch(f: Field, k: int) -> str:
    array = f"(const {f.type.dtype.c} *)inputs[{k}].data"
    if not f.type.shape:
        return f"*({array})"
    return f"{array} + step % batches[{k}] * {f.type.size}"


def _printed(outputs: Sequence[Field]) -> list[str]:
    numbers = [f for f in outputs if not f.type.shape]
    if not numbers:
        return []
    text = ", ".join(f"{f.name} %.9g" for f in numbers)
    values = ", ".join(f"(double)out.{f.name}" for f in numbers)
    return [f'        printf("step %ld: {text}\\n", step + 1, {values});']


_HEAD = """\
/* Runs {name}: example {usage}
 *
 * A state is a safetensors file with one array for each field. Data is a safetensors file with one
 * array for each input: a batch, or several along the first axis, which are taken in turn. Where a
 * batch may be smaller, the last one is. Without files state and data are random numbers. */

#include "{name}.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program where a status is not 0. */
static void check(int status)
{{
    if (status != 0) {{
        fprintf(stderr, "{name}: %s\\n", {name}_message(status));
        exit(1);
    }}
}}
"""

_STATE_FILES = """\
static void complain(const char *path, const char *name, const char *error)
{{
    fprintf(stderr, "%s: %s: %s\\n", path, name, error);
    exit(1);
}}

/* Reads the state from a file, or writes it to one. */
static void transfer(const char *path, {name}_state *state, int writes)
{{
    const gx_tensor tensors[] = {{
{rows}
    }};
    enum {{ count = sizeof tensors / sizeof *tensors }};
    size_t wrong = count;
    const char *error;
    if (writes) {{
        char *const partial = allocate(strlen(path) + 9);
        strcat(strcpy(partial, path), ".partial");
        error = gx_tensors_save(path, partial, tensors, count);
        free(partial);
    }} else {{
        error = gx_tensors_load(path, tensors, count, &wrong);
    }}
    if (error)
        complain(path, wrong < count ? tensors[wrong].name : "the file", error);
}}
"""

_BATCHES = """\
/* Reads the array that holds batches of `batch` along its first axis; returns how many. With `open`
 * the last of them may be smaller, and the array's extent becomes that of the whole. */
static long collect(const char *path, gx_tensor *batch, int open)
{
    gx_tensor_file file;
    gx_tensor all = *batch;
    const char *error = gx_tensors_open(&file, path);
    if (!error)
        error = gx_tensors_find(&file, &all);
    int fits = !error && all.axes == batch->axes && all.bytes >= (open ? 1 : batch->bytes);
    for (int a = 1; a < batch->axes; a++)
        fits = fits && all.shape[a] == batch->shape[a];
    if (!error && !fits)
        error = "holds it with another shape";
    const uint64_t last = open ? batch->bytes - 1 : 0;
    const uint64_t batches = batch->bytes ? (all.bytes + last) / batch->bytes : 1;
    if (!error) {
        const uint64_t room = all.bytes + last;
        batch->data = memset(allocate(room), 0, room);
        if (open)
            batch->shape[0] = all.shape[0];
        if (fread(batch->data, 1, (size_t)all.bytes, file.file) != all.bytes)
            error = "ends too early";
    }
    gx_tensors_close(&file);
    if (error) {
        fprintf(stderr, "%s: %s: %s\\n", path, batch->name, error);
        exit(1);
    }
    return (long)batches;
}
"""

_ROWS = """\
/* How many rows a batch has of those that a file held. */
static long rows(const gx_tensor *input, long batch, long largest)
{
    const long left = (long)input->shape[0] - batch * largest;
    return left < largest ? left : largest;
}
"""
