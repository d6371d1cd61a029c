"""An artifact as one page of HTML that trains in the browser: `form="web"`."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from graphc import __version__, tree
from graphc.bounded.sizes import Bound
from graphc.build.runtime_files import select
from graphc.build.toolchain import BASE_FLAGS, find_crossing
from graphc.errors import ArgumentError
from graphc.export.example import initializer
from graphc.export.filling import FILL, Filling, fill_call
from graphc.export.header import header
from graphc.export.interface import Entry, Field, Interface, struct_bytes
from graphc.export.source import source
from graphc.inspect.page import digest, inert, put

_FILES = files("graphc.export") / "shipped"
#: WebAssembly with its vectors of 16 bytes, without a main function, and nothing from outside.
_FLAGS = ("-target", "wasm32-wasi", "-mcpu=generic+simd128+bulk_memory", "-fno-sanitize=undefined")
_LINK = ("-mexec-model=reactor", "-Wl,--export=__heap_base", "-Wl,--strip-all")


def page(artifact: Interface, arguments: Sequence[Any] | None) -> str:
    """The text of the page. Raises ArgumentError for a step that does not train or has no loss."""
    entry = artifact.entries[0]
    if len(artifact.entries) > 1:
        raise ArgumentError("export: a page runs one step; leave out what is beside it")
    if entry.loss is None or not entry.modifies:
        raise ArgumentError(
            f"export: a page shows the loss of a step that trains: {entry.lowered.signature.name}"
            " has to return a number, and to have donated arguments"
        )
    given = {} if arguments is None else dict(_given(entry, arguments))
    record = {
        "name": artifact.name,
        "step": entry.lowered.signature.name,
        "version": __version__,
        "kernels": len(entry.lowered.program.kernels),
        "flops": sum(k.flops for k in entry.lowered.program.kernels),
        "arena_bytes": artifact.arena_bytes,
        "state_bytes": struct_bytes(artifact.state),
        "state": [_placed(f, given.get(("state", f))) for f in artifact.state],
        "constants": [
            _placed(f, array)
            for f, array in zip(artifact.constants, artifact.constant_arrays, strict=True)
        ],
        "inputs": [_batches(f, given.get(("in", f))) for f in entry.inputs],
    }
    script = _text("page.js")
    program = base64.b64encode(_program(artifact)).decode()
    parts = {"record": inert(record), "program": inert(program)}
    data = "\n".join(
        f'<script type="application/json" id="{key}">{text}</script>' for key, text in parts.items()
    )
    return put(
        _text("page.html"),
        TITLE=html.escape(artifact.name),
        DIGEST=digest(script),
        STYLE=_text("page.css"),
        SCRIPT=script,
        WORKER=_text("worker.js"),
        DATA=data,
    )


def _given(entry: Entry, arguments: Sequence[Any]) -> Iterator[tuple[tuple[str, Field], Any]]:
    """The arrays of a call's arguments, by the struct and field that they go to."""
    signature = entry.lowered.signature
    static = {k for k, _ in signature.static}
    leaves, structure = tree.flatten(tuple(a for k, a in enumerate(arguments) if k not in static))
    if structure != signature.in_tree:
        raise ArgumentError(
            f"export: arguments: expected the structure {signature.in_tree}, got {structure}"
        )
    bound = signature.bound
    if bound is not None:
        batches = [bound.fitted(part, signature.arguments) for part in _parts(bound, leaves)]
        for i in (*bound.arguments, bound.place):
            yield entry.reads[i], np.stack([batch[i] for batch in batches])
    for i, (leaf, place, value) in enumerate(
        zip(signature.arguments, entry.reads, leaves, strict=False)
    ):
        if bound is not None and i in bound.arguments:
            continue
        kind, field = place
        plain = isinstance(value, (bool, int, float))
        array = np.asarray(value, field.type.dtype.numpy if plain else None, order="C")
        shape = field.type.shape
        batch = array.shape[:1]
        if kind == "in" and shape and len(batch) and shape[0] and batch[0] % shape[0] == 0:
            batch = shape[:1]
        if array.dtype != field.type.dtype.numpy or (*batch, *array.shape[1:]) != shape:
            raise ArgumentError(
                f"export: {leaf.path}: expected {field.type}, got {array.dtype}{list(array.shape)}"
            )
        yield place, array


def _parts(bound: Bound, leaves: Sequence[Any]) -> Iterator[list[Any]]:
    """The arguments of one call after the other: of what has the open size, at most the largest
    number of rows, and the last time what is left.
    """
    known = {i: np.asarray(leaves[i]) for i in bound.arguments}
    axes = {i: [a.axis for a in kind.axes] for i, kind in bound.arguments.items()}
    rows = max(known[i].shape[a] for i in known for a in axes[i] if a < known[i].ndim)
    for begin in range(0, max(rows, 1), bound.largest):
        part = list(leaves)
        for i, array in known.items():
            cut = slice(begin, begin + bound.largest)
            part[i] = array[tuple(cut if a in axes[i] else slice(None) for a in range(array.ndim))]
        yield part


def _placed(field: Field, array: np.ndarray | None) -> dict[str, Any]:
    """A member of a struct, with what it holds at the beginning where that is not random."""
    return {"name": field.key, "type": str(field.type), "offset": field.offset} | _data(array)


def _batches(field: Field, array: np.ndarray | None) -> dict[str, Any]:
    size = field.type.nbytes
    count = array.nbytes // size if array is not None and size else 1
    return {"name": field.key, "type": str(field.type), "bytes": size, "batches": count} | _data(
        array
    )


def _data(array: np.ndarray | None) -> dict[str, str]:
    return {} if array is None else {"data": base64.b64encode(array.tobytes()).decode()}


def _program(artifact: Interface) -> bytes:
    """The step in WebAssembly."""
    with tempfile.TemporaryDirectory(prefix="graphc-") as name:
        folder = Path(name)
        texts = {
            f"{artifact.name}.h": header(artifact),
            f"{artifact.name}.c": source(artifact),
            "gx_page.c": _around(artifact),
        }
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        sources: dict[Path, tuple[str, ...]] = {
            folder / file: () for file in texts if file.endswith(".c")
        }
        out = folder / "gx_page.wasm"
        find_crossing().compile(sources, out, (*BASE_FLAGS, *_FLAGS, *_LINK), shared=False)
        return out.read_bytes()


def _around(artifact: Interface) -> str:
    """C around the step: the memory of everything but the inputs, and functions without structs."""
    entry, name = artifact.entries[0], artifact.name
    assert entry.loss is not None
    loss = entry.writes[entry.loss]
    assert loss is not None
    memory = [f"static {name}_state state;"]
    memory += [f"static {name}_constants constants;"] if artifact.constants else []
    memory += [f"static {entry.function}_inputs in;"] if entry.inputs else []
    memory += [f"static {entry.function}_outputs out;"]
    arrays = [(k, f) for k, f in enumerate(entry.outputs) if f.type.shape]
    memory += [f"static {f.type.dtype.c} result{k}[{max(f.type.size, 1)}];" for k, f in arrays]
    take = [_taken(f, k) for k, f in enumerate(entry.inputs)]
    passed = ["&state"] if entry.uses("state") else []
    passed += ["&constants"] if entry.uses("constants") else []
    passed += ["&in"] if entry.inputs else []
    fills = [
        f"    case {k}: {_filled(entry, f, len(artifact.state) + k)}; break;"
        for k, f in enumerate(entry.inputs)
    ]
    words = {
        "name": name,
        "NAME": artifact.capitals,
        "function": entry.function,
        "memory": "\n".join(memory),
        "results": "\n".join(f"    out.{f.name} = result{k};" for k, f in arrays),
        "constants": "&constants" if artifact.constants else "0",
        "take": "\n".join(take) or "    (void)arrays;",
        "arguments": ", ".join([*passed, "&out", "arena"]),
        "loss": loss.name,
        "fills": "\n".join(fills) or "    default: (void)array;",
    }
    parts = [_HEAD.format(**words), select(["gx_philox"]), FILL]
    return "\n".join([*parts, initializer(artifact), _FUNCTIONS.format(**words)])


def _filled(entry: Entry, field: Field, stream: int) -> str:
    """C that makes an input where none is given: random numbers, and the largest batch."""
    bound = entry.lowered.signature.bound
    if bound is not None and field is entry.size:
        return f"*(int64_t *)array = {bound.largest}"
    return fill_call("array", field.type, Filling(-1.0, 1.0, stream))


def _taken(field: Field, k: int) -> str:
    array = f"(const {field.type.dtype.c} *)arrays[{k}]"
    return f"    in.{field.name} = {array if field.type.shape else f'*({array})'};"


def _text(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8").rstrip("\n")


_HEAD = """\
#include "{name}.h"

#include <string.h>

"""

_FUNCTIONS = """\
{memory}
static {NAME}_ALIGNED unsigned char arena[{NAME}_ARENA_BYTES];

/* Makes everything ready for the first step, the state random. */
__attribute__((export_name("begin"))) int begin(void)
{{
{results}
    initialize(&state);
    return {name}_init(arena);
}}

__attribute__((export_name("message"))) const char *message(int status)
{{
    return {name}_message(status);
}}

__attribute__((export_name("stateAddress"))) void *address(void)
{{
    return &state;
}}

__attribute__((export_name("constantsAddress"))) void *constant(void)
{{
    return {constants};
}}

/* Fills the array of an input with random numbers. */
__attribute__((export_name("fillInput"))) void randomize(int input, void *array)
{{
    switch (input) {{
{fills}
    }}
}}

/* Runs a step on arrays, one for each input. */
__attribute__((export_name("step"))) int run(const void *const *arrays)
{{
{take}
    return {function}({arguments});
}}

__attribute__((export_name("loss"))) double loss(void)
{{
    return (double)out.{loss};
}}
"""
