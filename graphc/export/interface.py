"""What an artifact shows to its callers: the structs, their fields, and the functions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from graphc import tree
from graphc.build import cpu
from graphc.dtypes import TensorType, as_dtype
from graphc.errors import ArgumentError
from graphc.export.names import OWN_WORDS, Identifiers, artifact_name
from graphc.io import CODES, leaf_names
from graphc.ir.printer import graph_text
from graphc.ir.toposort import toposort
from graphc.schedule.program import ALIGNMENT
from graphc.schedule.tiles import round_up
from graphc.stages import Lowered
from graphc.trace import Leaf, Signature

#: Changes when what callers rely on does: layouts, functions, status codes.
ABI_VERSION = 2


@dataclass(frozen=True)
class Field:
    """A member of a struct: its C name, the leaf's type and place, its name in safetensors files,
    its offset where the struct holds the array itself, and what of it counts, if not all does.
    """

    name: str
    type: TensorType
    path: str
    key: str = ""
    offset: int = 0
    note: str = ""

    @property
    def described(self) -> str:
        return f"{self.type}, {self.note}" if self.note else str(self.type)

    @property
    def extents(self) -> str:
        """The dimensions of a C array. C has no empty ones: an array without elements has one."""
        shape = self.type.shape if self.type.size else (1,)
        return "".join(f"[{n}]" for n in shape)

    @property
    def code(self) -> str:
        return CODES[self.type.dtype.name]


@dataclass(frozen=True)
class Entry:
    """A function of an artifact. `reads` holds, for every input of the program, the struct and the
    field that it comes from; `writes`, for every output, the field, or None where the output is
    written over an input. `modifies` tells whether it changes the state.
    """

    artifact: str
    short: str
    lowered: Lowered[Any, Any]
    reads: tuple[tuple[str, Field], ...]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    writes: tuple[Field | None, ...]

    @property
    def function(self) -> str:
        return f"{self.artifact}_{self.short}"

    @property
    def modifies(self) -> bool:
        return bool(self.lowered.signature.donated)

    @property
    def size(self) -> Field | None:
        """The input that is the size of the batch, where that is open."""
        bound = self.lowered.signature.bound
        return None if bound is None else self.reads[bound.place][1]

    @property
    def loss(self) -> int | None:
        """The number of the output that is a loss: the first floating-point number of its own."""
        for j, field in enumerate(self.writes):
            if field is not None and field.type.shape == () and field.type.dtype.is_float:
                return j
        return None

    def uses(self, struct: str) -> bool:
        return any(kind == struct for kind, _ in self.reads)

    @property
    def updated(self) -> dict[int, Field]:
        """The fields of the state that are written, by the number of the output."""
        return {j: self.reads[i][1] for i, j in self.lowered.signature.donated}


@dataclass(frozen=True)
class Interface:
    """An artifact: `name` begins all of its identifiers, `capitals` its macros. `threads` is the
    largest number of threads of a step, 1 in an artifact without them. One with code for several
    levels of x86-64 is that for the lowest of them, and `levels` are the artifacts of each.
    """

    name: str
    entries: tuple[Entry, ...]
    state: tuple[Field, ...]
    constants: tuple[Field, ...]
    constant_arrays: tuple[np.ndarray, ...]
    target: str
    threads: int
    graph_hash: str
    levels: tuple[Interface, ...] = ()

    @property
    def capitals(self) -> str:
        return self.name.upper()

    @cached_property
    def weights(self) -> frozenset[Field]:
        """What some entry's loss depends on, of the state; the rest are statistics and counters."""
        found: set[Field] = set()
        for entry in self.entries:
            graph = entry.lowered.traced.graph
            needed = graph.outputs if entry.loss is None else [graph.outputs[entry.loss]]
            reached = {v for node in toposort(needed) for v in node.outputs}
            for value, (kind, field) in zip(graph.inputs, entry.reads, strict=False):
                if kind == "state" and value in reached:
                    found.add(field)
        return frozenset(found)

    @property
    def tag_offset(self) -> int:
        """Where in an arena its mark is; behind it stand the tables of addresses."""
        entries = [e for artifact in (self.levels or (self,)) for e in artifact.entries]
        return max(round_up(e.lowered.program.plan.peak, ALIGNMENT) for e in entries)

    @property
    def arena_bytes(self) -> int:
        """Tables are as large as on a machine whose addresses have 8 bytes."""
        table = max(len(e.reads) + len(e.writes) for e in self.entries)
        return self.tag_offset + ALIGNMENT + round_up(8 * table, ALIGNMENT)

    @property
    def tag(self) -> int:
        return int(self.graph_hash[:16], 16)

    @property
    def targets(self) -> str:
        """What the code is for, in words."""
        if self.levels:
            return ", ".join(artifact.target for artifact in self.levels)
        return f"native ({self.isa})" if self.target == "native" else self.target

    @property
    def isa(self) -> str:
        return cpu.isa(self.target)


def with_levels(artifacts: Sequence[Interface]) -> Interface:
    """One artifact of those for several levels, the lowest first."""
    lowest = artifacts[0]
    for other in artifacts:
        assert [e.reads for e in other.entries] == [e.reads for e in lowest.entries]
    return replace(lowest, levels=tuple(artifacts))


def struct_bytes(fields: Sequence[Field]) -> int:
    """The size of a struct that holds arrays, each at a multiple of the alignment."""
    last = fields[-1]
    return round_up(last.offset + max(last.type.nbytes, 1), ALIGNMENT)


def describe(name: str, lowered: Mapping[str, Lowered[Any, Any]], threads: bool) -> Interface:
    """The interface of an artifact with one function for each step, called `name_KEY`.

    Donated arguments are the state. In the other steps an argument that has the name, structure and
    types of a donated one, or of a part of it, is read from the state. Raises ArgumentError.
    """
    chosen = artifact_name(name)
    if chosen != name:
        raise ArgumentError(
            f"export: the name is a C identifier such as {chosen!r}, which does not begin as those"
            f" of graphc's runtime (gx_), of kernels (k00_) or of threads do, got {name!r}"
        )
    targets = sorted({step.target for step in lowered.values()})
    if len(targets) != 1:
        raise ArgumentError(f"export: all steps are for one target, got {', '.join(targets)}")
    state = _State(lowered)
    constants = _Constants()
    functions = Identifiers("step", OWN_WORDS, ("_inputs", "_outputs"))
    entries = tuple(
        _entry(name, functions.fresh(key), step, state, constants) for key, step in lowered.items()
    )
    _check_macros(entries)
    text = "\n".join(graph_text(step.traced.graph) for step in lowered.values())
    return Interface(
        name,
        entries,
        tuple(state.fields),
        _laid_out(constants.fields),
        tuple(constants.arrays),
        targets[0],
        max(step.threads for step in lowered.values()) if threads else 1,
        hashlib.sha256(text.encode()).hexdigest(),
    )


def _check_macros(entries: Sequence[Entry]) -> None:
    """Refuses `a_b` with an argument `c` beside `a` with an argument `b_c`."""
    macros = [f"{e.function}_{f.name}".upper() for e in entries for f in (*e.inputs, *e.outputs)]
    for macro in macros:
        if macros.count(macro) > 1:
            raise ArgumentError(f"export: two arguments would be called {macro}; rename a step")


def _laid_out(fields: Sequence[Field]) -> tuple[Field, ...]:
    placed = []
    end = 0
    for field in fields:
        placed.append(replace(field, offset=end))
        end = round_up(end + max(field.type.nbytes, 1), ALIGNMENT)
    return tuple(placed)


#: An index or attribute in a leaf's place.
_ACCESS = re.compile(r'\["(?:\\.|[^"\\])*"\]|\[[^\]"]*\]|\.\w+')


def _place(leaf: Leaf, signature: Signature) -> tuple[str, ...]:
    """`args[0]["params"][2].w` as ("state", '["params"]', "[2]", ".w"), `state` being the
    parameter's name.
    """
    first, *rest = _ACCESS.findall(leaf.path)
    return (signature.parameters[int(first[1:-1])], *rest)


def _donated(step: Lowered[Any, Any]) -> dict[tuple[str, ...], Leaf]:
    """The leaves of a step's donated arguments, by their places."""
    signature = step.signature
    leaves = [signature.arguments[i] for i, _ in signature.donated]
    return {_place(leaf, signature): leaf for leaf in leaves}


class _State:
    """The donated leaves of all steps as fields.

    A lone argument's name is left out, in C and in files: these hold what `save` writes of it.
    """

    def __init__(self, lowered: Mapping[str, Lowered[Any, Any]]) -> None:
        leaves: dict[tuple[str, ...], Leaf] = {}
        for step in lowered.values():
            for words, leaf in _donated(step).items():
                if leaves.setdefault(words, leaf).type != leaf.type:
                    raise ArgumentError(
                        f"export: the state's {''.join(words)} is {leaves[words].type} in one step"
                        f" and {leaf.type} in another"
                    )
        alone = len({words[0] for words in leaves}) == 1
        keys: dict[tuple[str, ...], str] = {}
        for step in lowered.values():
            names = _file_names(step, alone)
            donated = zip(_donated(step), step.signature.donated, strict=True)
            keys |= {words: names[i] for words, (i, _) in donated}
        identifiers = Identifiers()
        fields = []
        for words, leaf in leaves.items():
            own = words[1:] if alone and len(words) > 1 else words
            name = identifiers.fresh(_spoken(own))
            fields.append(Field(name, leaf.type, "".join(words), keys[words]))
        self.fields = _laid_out(fields)
        self._by_words = dict(zip(leaves, self.fields, strict=True))

    def part(self, words: Sequence[tuple[str, ...]], leaves: Sequence[Leaf]) -> list[Field] | None:
        """The fields that an argument's leaves are, if it is the state or a part of it."""
        name = words[0][0]
        parts: dict[tuple[str, ...], list[tuple[tuple[str, ...], Field]]] = {}
        for known, field in self._by_words.items():
            for k, word in enumerate(known):
                if word in (name, f".{name}", f'["{name}"]'):
                    parts.setdefault(known[: k + 1], []).append((known[k + 1 :], field))
        wanted = [(w[1:], leaf.type) for w, leaf in zip(words, leaves, strict=True)]
        fitting = [
            [field for _, field in part]
            for part in parts.values()
            if [(rest, field.type) for rest, field in part] == wanted
        ]
        return fitting[0] if len(fitting) == 1 else None


class _Constants:
    """Large constants of all steps, equal ones once."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.arrays: list[np.ndarray] = []
        self._known: dict[tuple[TensorType, bytes], Field] = {}

    def add(self, array: np.ndarray) -> Field:
        type = TensorType(array.shape, as_dtype(array.dtype))
        key = type, hashlib.sha256(array.tobytes()).digest()
        if key not in self._known:
            name = f"c{len(self.fields)}"
            self._known[key] = Field(name, type, "a constant of the step", name)
            self.fields.append(self._known[key])
            self.arrays.append(array)
        return self._known[key]


def _entry(
    artifact: str, short: str, step: Lowered[Any, Any], state: _State, constants: _Constants
) -> Entry:
    signature = step.signature
    words = [_place(leaf, signature) for leaf in signature.arguments]
    reads: list[tuple[str, Field]] = []
    inputs: list[Field] = []
    identifiers = Identifiers()
    groups: dict[str, list[int]] = {}
    for i, w in enumerate(words):
        groups.setdefault(w[0], []).append(i)
    for group in groups.values():
        leaves = [signature.arguments[i] for i in group]
        shared = state.part([words[i] for i in group], leaves)
        if shared is not None:
            reads += [("state", field) for field in shared]
            continue
        for i, leaf in zip(group, leaves, strict=True):
            name = identifiers.fresh(_spoken(words[i]))
            note = signature.bound.note(i) if signature.bound is not None else ""
            inputs.append(Field(name, leaf.type, "".join(words[i]), name, note=note))
            reads.append(("in", inputs[-1]))
    reads += [
        ("constants", constants.add(array))
        for array in (*signature.hidden, *step.program.constants)
    ]
    donated = {j for _, j in signature.donated}
    measured = step.traced.graph.outputs[len(signature.results) :]
    results = [*signature.results, *[Leaf('result["taps"]', v.type) for v in measured]]
    names = _result_names(results, donated)
    notes = signature.bound.result_notes(results) if signature.bound is not None else {}
    writes = [
        Field(names[j], leaf.type, leaf.path, names[j], note=notes.get(j, ""))
        if j in names
        else None
        for j, leaf in enumerate(results)
    ]
    outputs = tuple(field for field in writes if field is not None)
    return Entry(artifact, short, step, tuple(reads), tuple(inputs), outputs, tuple(writes))


def _result_names(results: Sequence[Leaf], donated: set[int]) -> dict[int, str]:
    """Names of the results that are not written over the state: their places, and `loss` for the
    only number among them.
    """
    free = [j for j in range(len(results)) if j not in donated]
    scalars = [j for j in free if results[j].type.shape == () and results[j].type.dtype.is_float]
    identifiers = Identifiers("result")
    names = {j: identifiers.fresh("loss") for j in scalars if len(scalars) == 1}
    for j in free:
        if j not in names:
            names[j] = identifiers.fresh(_spoken(("result", *_ACCESS.findall(results[j].path))))
    return {j: names[j] for j in free}


def _file_names(step: Lowered[Any, Any], alone: bool) -> list[str]:
    """Each argument leaf's name in a file of that argument, or of a dict of all arguments."""
    signature = step.signature
    static = {k for k, _ in signature.static}
    parameters = [
        p for k, p in enumerate(signature.parameters[: signature.arity]) if k not in static
    ]
    names = []
    for parameter, part in zip(parameters, signature.in_tree.children(), strict=True):
        whole = tree.unflatten(part, range(part.num_leaves))
        names += leaf_names(part if alone else tree.structure({parameter: whole}))
    return names


def _spoken(place: Sequence[str]) -> str:
    """A place in words, numbers joined to what they count: `params_layers2_w`."""
    text = "".join(word if word[1:-1].isdigit() else f"_{word}" for word in place)
    return re.sub(r"[\[\].\"]", "", text)
