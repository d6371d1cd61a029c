"""What people and programs read about an artifact: README.md and manifest.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from graphc import __version__
from graphc.codegen.emit_c import comment_text
from graphc.export.building import flags
from graphc.export.header import parameters
from graphc.export.interface import ABI_VERSION, Entry, Field, Interface, struct_bytes


def manifest(artifact: Interface) -> str:
    """The text of manifest.json; `state` and `constants` tell the layout of the structs."""
    record: dict[str, Any] = {
        "name": artifact.name,
        "graphc": __version__,
        "abi": ABI_VERSION,
        "graph": f"sha256:{artifact.graph_hash}",
        "target": ", ".join(one.target for one in artifact.levels) or artifact.target,
        "flags": list(flags(artifact)),
        "threads": artifact.threads,
        "arena_bytes": artifact.arena_bytes,
        "alignment": 64,
        "state_bytes": struct_bytes(artifact.state) if artifact.state else 0,
        "constants_bytes": struct_bytes(artifact.constants) if artifact.constants else 0,
        "state": [_placed(f) for f in artifact.state],
        "constants": [_placed(f) for f in artifact.constants],
        "entries": [_entry(e) for e in artifact.entries],
    }
    return json.dumps(record, indent=1) + "\n"


def _placed(f: Field) -> dict[str, Any]:
    return _field(f) | {"file_name": f.key, "offset": f.offset}


def _field(f: Field) -> dict[str, Any]:
    return {
        "name": f.name,
        "path": f.path,
        "dtype": f.type.dtype.name,
        "shape": list(f.type.shape),
        "bytes": f.type.nbytes,
    }


def _entry(e: Entry) -> dict[str, Any]:
    return {
        "function": e.function,
        "modifies_state": e.modifies,
        "uses": [kind for kind in ("state", "constants") if e.uses(kind)],
        "inputs": [_field(f) for f in e.inputs],
        "outputs": [_field(f) for f in e.outputs],
        "kernels": len(e.lowered.program.kernels),
        "flops": sum(k.flops for k in e.lowered.program.kernels),
        "planned_bytes": e.lowered.program.plan.peak,
    }


def readme(artifact: Interface) -> str:
    """The text of README.md, for the person who builds and calls this step."""
    words = {
        "name": artifact.name,
        "NAME": artifact.capitals,
        "version": __version__,
        "target": artifact.targets,
        "flags": " ".join(flags(artifact)),
        "link": "-lm -pthread" if artifact.threads > 1 else "-lm",
        "arena": artifact.arena_bytes,
    }
    parts = [_README.format(**words)]
    parts += [_call(artifact, e) for e in artifact.entries]
    if artifact.state:
        parts.append(_STATE.format(bytes=struct_bytes(artifact.state), **words))
        parts.append(_table(artifact.state))
    if artifact.constants:
        parts.append(_CONSTANTS.format(**words))
    if artifact.threads > 1:
        parts.append(_THREADS.format(threads=artifact.threads, **words))
    parts.append(_ERRORS.format(**words))
    return "\n".join(parts)


def _call(artifact: Interface, e: Entry) -> str:
    flops = sum(k.flops for k in e.lowered.program.kernels)
    lines = [
        f"## `{e.function}`",
        "",
        f"{comment_text(e.lowered.signature.name)}: {len(e.lowered.program.kernels)} kernels,"
        f" {flops} floating-point operations.",
        "",
        "```c",
        f"int {e.function}({', '.join(parameters(artifact, e))});",
        "```",
        "",
    ]
    for title, fields in (("Inputs", e.inputs), ("Outputs", e.outputs)):
        if fields:
            lines += [f"{title}:", "", *[f"- `{f.name}`: {f.described}" for f in fields], ""]
    return "\n".join(lines)


def _table(fields: Sequence[Field]) -> str:
    rows = ["| field | type | offset | name in files |", "|---|---|---|---|"]
    for f in fields:
        key = comment_text(f.key).replace("|", "\\|").replace("`", "'")
        rows.append(f"| `{f.name}` | {f.type} | {f.offset} | `{key}` |")
    return "\n".join(rows) + "\n"


_README = """\
# {name}

A step compiled by graphc {version} for `{target}`: C11 and libm, nothing else.

```sh
make check                        # builds everything and runs the self-test
./example --steps 100             # runs the step; --state, --data and --save name files
```

or with CMake: `cmake -B out && cmake --build out && ctest --test-dir out`. By hand:

```sh
cc {flags} -c {name}.c
cc -std=c11 selftest.c {name}.o {link} -o selftest && ./selftest
```

`{name}.h` is the interface, and `manifest.json` holds the same facts for programs. The caller owns
all memory. Before its first step an arena of `{NAME}_ARENA_BYTES` ({arena}) bytes, aligned to 64,
is made ready:

```c
static {NAME}_ALIGNED unsigned char arena[{NAME}_ARENA_BYTES];
int status = {name}_init(arena);
if (status != 0)
    fputs({name}_message(status), stderr);
```

Calls with different arenas, states and outputs may run at the same time.
"""

_STATE = """\
## The state

`{name}_state` ({bytes} bytes) is the memory that a step updates. In Python
`graphc.save(path, state)` writes a file that `example --state` reads, and
`graphc.load(path, like=state)` reads what `example --save` wrote.
"""

_CONSTANTS = """\
## Constants

`{name}_constants.safetensors` holds the arrays of `{name}_constants`, which steps read and never
change.
"""

_THREADS = """\
## Threads

A pool belongs to the caller: `{name}_pool_init(&pool, n)` with 1 to {threads} threads before the
first step that is given it, `{name}_pool_destroy(&pool)` after the last one. A step with NULL for
its pool runs on the calling thread. Results are the same bits in any case.
"""

_ERRORS = """\
## Errors

Functions return 0 or a status that `{name}_message` explains: memory that is not aligned, an arena
that was not made ready, or a processor that lacks what the code was compiled for. Indices outside
their axis are moved to the nearest element.
"""
