"""The whole C file of a step: kernels once each, then the entry function that calls them."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

from graphc.codegen import correlation, emit_c
from graphc.codegen.alike import likeness
from graphc.codegen.attention import attention_body
from graphc.codegen.callee import Callee
from graphc.codegen.choose import choose_body
from graphc.codegen.columns import columns_body
from graphc.codegen.correlation import correlation_body
from graphc.codegen.entry import entry, pointer, profiled_entry, stepped_entry
from graphc.codegen.kernel import Arguments
from graphc.codegen.loops import loops_body
from graphc.codegen.preamble import preamble
from graphc.codegen.product import panels_body, product_body
from graphc.codegen.repeat import FIRST_LAP, repeat_body
from graphc.codegen.routines import routines_of
from graphc.codegen.score_tiles import tile_functions
from graphc.codegen.single import single_body
from graphc.codegen.split import keep_scalar, split_loops
from graphc.codegen.spread import spread_body
from graphc.codegen.tables import tables
from graphc.codegen.tidy import tidy
from graphc.codegen.tile import tile_function
from graphc.codegen.unswitch import unswitch
from graphc.codegen.weight_gradient import weight_gradient_body
from graphc.dtypes import int64
from graphc.ir.garbage import garbage_kept
from graphc.ir.loops import Function, Param, Stmt, local_bytes
from graphc.ir.spec import Routine
from graphc.schedule.attention import Attention
from graphc.schedule.choose import Choose
from graphc.schedule.columns import Columns
from graphc.schedule.convolution import Correlation
from graphc.schedule.kernel import Kernel
from graphc.schedule.loops import Loops
from graphc.schedule.product import Panels, Product
from graphc.schedule.program import Program
from graphc.schedule.repeat import Repeat
from graphc.schedule.single import Single
from graphc.schedule.spread import Spread
from graphc.schedule.weight_gradient import WeightGradient

_BODIES: dict[type[Kernel], Callable[..., list[Stmt]]] = {
    Loops: loops_body,
    Columns: columns_body,
    Product: product_body,
    Panels: panels_body,
    Attention: attention_body,
    Correlation: correlation_body,
    Spread: spread_body,
    WeightGradient: weight_gradient_body,
    Single: single_body,
}


#: The tile functions of a kernel: names and the lines that define them.
_TILES: dict[type[Kernel], Callable[..., Sequence[tuple[str, str]]]] = {
    Product: lambda kernel: [tile_function(kernel)],
    Attention: tile_functions,
    Correlation: lambda kernel: [correlation.tile_function(kernel)],
    Spread: lambda kernel: [correlation.tile_function(kernel)],
    WeightGradient: lambda kernel: [correlation.tile_function(kernel)],
}


@dataclass(frozen=True, slots=True)
class Written:
    """A kernel's function under no name, its text, the bytes of its local arrays, and what it
    calls: names and lines that define them.
    """

    function: Function
    text: str
    stack_bytes: int
    definitions: Sequence[tuple[str, str]]


@dataclass(slots=True)
class Functions:
    """The functions of a file, each of them once: name and text by the text under no name. What was
    `written` is found by the likeness of kernels.
    """

    named: dict[str, tuple[str, str]] = field(default_factory=dict)
    written: dict[Hashable, Written] = field(default_factory=dict)


@dataclass(slots=True)
class KernelText:
    """A kernel as C: the function that computes it (shared by equal kernels), its call, and the
    bytes of its local arrays. `inner` are the kernels that it calls itself.
    """

    kernel: Kernel
    name: str
    text: str
    stack_bytes: int
    arguments: Arguments
    inner: list[KernelText]
    scope: str

    @property
    def call(self) -> str:
        """The call in the entry of the step."""
        return self.called()

    def called(self, *more: str) -> str:
        """The call with more arguments behind the kernel's own."""
        passed = [pointer(a.buffer, a.param.dtype.c, self.scope) for a in self.arguments.list]
        return f"{self.name}({', '.join([*passed, *more, 't'])});"

    @property
    def laps(self) -> int:
        """The times that it takes of itself where clocks run: those of the kernels of a loop."""
        return FIRST_LAP + len(self.inner) if isinstance(self.kernel, Repeat) else 0


@dataclass(slots=True)
class Unit:
    """A generated C file in parts."""

    program: Program
    kernels: list[KernelText]
    functions: dict[str, str] = field(default_factory=dict)
    #: Functions that kernels call, by name, besides the runtime.
    definitions: dict[str, str] = field(default_factory=dict)
    routines: dict[str, Routine] = field(default_factory=dict)
    #: Constant arrays by name.
    tables: dict[str, str] = field(default_factory=dict)
    entry: str = ""
    header: str = ""


@garbage_kept()
def generate(
    program: Program,
    scope: str = "",
    functions: Functions | None = None,
    clocked: bool = False,
) -> Unit:
    """A program in parts. In a file of several programs each has a `scope`, which begins the names
    of its tables, and they share `functions`: a kernel that another one has is not made again. If
    `clocked`, loops take the times of their kernels, and one more argument for these.
    """
    unit = Unit(program, [])
    functions = Functions() if functions is None else functions
    for kernel in program.kernels:
        text = _kernel(kernel, program, program.threads, functions, unit, scope, clocked)
        unit.kernels.append(text)
    unit.tables = tables(program, scope)
    unit.entry = entry(program, [k.call for k in unit.kernels])
    unit.header = preamble(program, len(unit.functions))
    return unit


def profiled(unit: Unit) -> Unit:
    """The same program with clocks between its kernels, and in loops between those of a step."""
    if any(k.laps for k in unit.kernels):
        unit = generate(unit.program, clocked=True)
    calls = []
    for k, start in zip(unit.kernels, lap_starts(unit), strict=False):
        calls.append(k.called(f"s->times + {start}") if k.laps else k.call)
    return replace(unit, entry=profiled_entry(unit.program, calls))


def lap_starts(unit: Unit) -> list[int]:
    """Where the laps of each kernel begin, behind the times of all kernels; then where they end."""
    return list(accumulate((k.laps for k in unit.kernels), initial=len(unit.kernels)))


def laps_of(unit: Unit, runs: Sequence[Sequence[int]]) -> list[list[int]]:
    """For each kernel the times of those that it runs, in the order of `inner`, the least of some
    runs of the profiled program.
    """
    least = [min(times) for times in zip(*runs, strict=True)]
    ends = pairwise(lap_starts(unit))
    return [least[start + FIRST_LAP : end] for start, end in ends]


def stepped(unit: Unit) -> Unit:
    """The same program with an entry for each kernel."""
    return replace(unit, entry=stepped_entry(unit.program, [k.call for k in unit.kernels]))


def body(unit: Unit) -> str:
    """Everything that is generated, without the runtime."""
    definitions = unit.definitions.values()
    return "\n".join([*definitions, *unit.tables.values(), *unit.functions.values(), unit.entry])


def _kernel(
    kernel: Kernel,
    program: Program,
    threads: int,
    functions: Functions,
    unit: Unit,
    scope: str,
    clocked: bool = False,
) -> KernelText:
    """A kernel of a program that some threads run, and what it calls."""
    panels = program.panels_of(kernel)
    arguments = Arguments(kernel, program.buffers, program.workspaces.get(kernel), panels)
    inner: list[KernelText] = []
    if isinstance(kernel, (Repeat, Choose)):
        body = _around(kernel, arguments, threads, functions, unit, scope, inner, clocked)
        found = _written(kernel, arguments, body, clocked)
    elif panels is not None:
        body = _alone(kernel, arguments)
        # What was packed in front of a loop is not read where it lay.
        arguments.keep(set(re.findall(r"\w+", emit_c.function(Function("?", [], body)))))
        found = _written(kernel, arguments, body)
    else:
        key = likeness(kernel, arguments, threads)
        if key not in functions.written:
            body = _alone(kernel, arguments)
            functions.written[key] = _written(kernel, arguments, body)
        found = functions.written[key]
    unit.definitions.update(found.definitions)
    for routine in routines_of(kernel):
        unit.routines[routine.name] = routine
        unit.definitions[routine.name] = _documented(routine)
    if found.text not in functions.named:
        name = f"k{len(functions.named):02d}_{_suffix(kernel)}"
        text = emit_c.function(
            replace(found.function, name=name, comment=_comment(kernel, arguments))
        )
        functions.named[found.text] = name, text
        unit.functions[name] = text
    name, text = functions.named[found.text]
    stack = found.stack_bytes + max((k.stack_bytes for k in inner), default=0)
    return KernelText(kernel, name, text, stack, arguments, inner, scope)


def _alone(kernel: Kernel, arguments: Arguments) -> list[Stmt]:
    """The body of a kernel that calls no other."""
    return keep_scalar(tidy(unswitch(split_loops(_BODIES[type(kernel)](kernel, arguments)))))


def _around(
    kernel: Repeat | Choose,
    arguments: Arguments,
    threads: int,
    functions: Functions,
    unit: Unit,
    scope: str,
    inner: list[KernelText],
    clocked: bool,
) -> list[Stmt]:
    """The body of a kernel that calls those of its programs, which become `inner`."""
    # What one thread runs alone calls kernels that know of no other.
    apart = isinstance(kernel, Repeat) and kernel.apart
    inside = 1 if apart or kernel.workers(threads) == 1 else threads
    texts = [
        [_kernel(k, own, inside, functions, unit, scope) for k in own.kernels]
        for own in kernel.programs
    ]
    own = kernel.programs[0]
    texts.append([_kernel(k, own, inside, functions, unit, scope) for k in own.panels])
    inner += [k for part in texts for k in part]
    *calls, before = [[Callee(k.name, k.arguments, scope) for k in part] for part in texts]
    if isinstance(kernel, Repeat):
        return repeat_body(kernel, arguments, calls, before, threads, clocked)
    return choose_body(kernel, arguments, calls, threads)


def _written(
    kernel: Kernel, arguments: Arguments, body: list[Stmt], clocked: bool = False
) -> Written:
    find = _TILES.get(type(kernel))
    params = [a.param for a in arguments.list]
    if clocked and isinstance(kernel, Repeat):
        params.append(Param("laps", int64, readonly=False))
    function = Function("?", params, body)
    text = emit_c.function(function)
    tiles = [] if find is None else [tile for tile in find(kernel) if tile[0] in text]
    return Written(function, text, local_bytes(body), tiles)


def _documented(routine: Routine) -> str:
    where = f" ({routine.site})" if routine.site is not None else ""
    return f"/* {emit_c.comment_text(routine.label + where)} */\n{routine.text}\n"


def _suffix(kernel: Kernel) -> str:
    """The kernel's most telling operators, for its name."""
    names = list(dict.fromkeys(n.op.name for n in kernel.nodes))
    head = names[:1] + [n for n in names[-2:] if n not in names[:1]]
    head += [kernel.label] if kernel.label else []
    return re.sub(r"\W", "_", "_".join(head))


def _comment(kernel: Kernel, arguments: Arguments) -> list[str]:
    lines = _fused(kernel)
    seen: set[str] = set()
    for value, name in arguments.names.items():
        role = "writes" if value in kernel.writes else "reads"
        key = f"{name}{role}"
        if key not in seen:
            seen.add(key)
            packed = ", one bit an element" if value in kernel.storage.packed else ""
            lines.append(f"  {name:3} {role} {emit_c.comment_text(str(value.type))}{packed}")
    sites = list(dict.fromkeys(str(n.meta.site) for n in kernel.computed if n.meta.site))
    if sites:
        shown = ", ".join(sites[:6]) + (", …" if len(sites) > 6 else "")
        lines.append(f"from {emit_c.comment_text(shown)}")
    return lines


def _fused(kernel: Kernel) -> list[str]:
    """The operators of a kernel, with repeats counted, a line of at most 90 characters each."""
    counts: dict[str, int] = {}
    for node in kernel.computed:
        counts[node.op.name] = counts.get(node.op.name, 0) + 1
    words = [n if c == 1 else f"{c} {n}" for n, c in counts.items()]
    lines = [""]
    for k, word in enumerate(words):
        text = word + (", " if k + 1 < len(words) else "")
        if len(lines[-1]) + len(text) > 90:
            lines.append("")
        lines[-1] += text
    return lines


def source(unit: Unit, runtime: str) -> str:
    """The text of the file, given the text of the runtime's functions that it uses."""
    parts = [unit.header, runtime, "\n".join(unit.definitions.values()), *unit.tables.values()]
    parts += [*unit.functions.values(), unit.entry]
    return "\n".join(p.rstrip() + "\n" for p in parts if p.strip())
