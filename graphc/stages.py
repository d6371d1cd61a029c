"""The stages of a step: traced, lowered to C, compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from graphc import stepcode
from graphc.build import cpu
from graphc.build.pool import check_threads
from graphc.build.runtime_files import runtime_for
from graphc.codegen import unit as c_unit
from graphc.codegen.preamble import CDEF, interface
from graphc.compiled import Compiled, Debugged, code_of, compiled, kernel_times, load
from graphc.debug import STEP_CDEF
from graphc.inspect.page import page
from graphc.inspect.record import Step, record
from graphc.ir.graph import Graph, Value
from graphc.ir.site import required
from graphc.kernel_info import KernelInfo, kernel_info
from graphc.memory import Choice, Frozen, MemoryReport, Saved, byte_count
from graphc.passes.pipeline import Stage
from graphc.planning import Planner, Planning
from graphc.profile import Profile
from graphc.schedule.budget import Plan, Search
from graphc.schedule.kernel import MODEL, Choices
from graphc.schedule.program import Program
from graphc.stepcode import StepCode
from graphc.text import html_table, text_table
from graphc.trace import Signature, Traced
from graphc.tuning import measured_choices

P = ParamSpec("P")
R = TypeVar("R")

_KERNEL_HEAD = ("#", "kernel", "operators", "flops", "bytes", "lines")


def lower(
    traced: Traced[P, R],
    *,
    memory_budget: int | str | None = None,
    target: str = "native",
    threads: int | None = None,
    keep: Sequence[Saved] = (),
    recompute: Sequence[Saved] = (),
    tune: bool = False,
) -> Lowered[P, R]:
    """Optimizes a traced step, plans its memory and writes its C; needs no C compiler.

    `target`: "native", "generic", "x86-64-v2", "-v3", "-v4" or "aarch64". `threads`: how many
    threads run a step, part of the plan; None means one for each core. The bits of the results do
    not depend on it. `memory_budget` (bytes, or text such as "64MB" or "1GiB") is a limit on the
    arena: what is kept for the backward pass is chosen so that the step fits with the least work
    done again. `keep` and `recompute` are rows of `memory.saved` of an earlier lowering of this
    step. With `tune` the kernels' tiles and units are measured on this machine, unless its cache
    knows them: it takes a compiler and some seconds, and changes no bit of the results.

    A step that was compiled before is planned when somebody asks for more than to run it. Raises
    ArgumentError, and MemoryBudgetError, which says the smallest budget that works.
    """
    budget = None if memory_budget is None else byte_count(memory_budget)
    threads = cpu.cores() if threads is None else threads
    check_threads(threads)
    kept, again = (
        tuple(required(r, Sequence, w)) for r, w in ((keep, "keep"), (recompute, "recompute"))
    )
    planner = Planner(cpu.isa(target), threads, kept, again, budget)
    thawed = traced.passing
    passing = None if thawed is None else lambda: lower(thawed(), target=target, threads=threads)

    def planned(choices: Choices) -> Lowered[P, R]:
        free = replace(planner, budget=None)
        return Lowered(traced, target, partial(free.plan, traced, choices))

    def planning() -> Planning:
        return planner.plan(traced, measured_choices(planned, kernel_times) if tune else MODEL)

    key = None
    if not (keep or recompute):
        key = stepcode.key(traced.graph, target, threads, budget, tune)
    known = stepcode.find(key)
    if known is not None:
        return Lowered(traced, target, planning, key, known, passing)
    made = planning()
    return Lowered(traced, target, lambda: made, key, passing=passing)


@dataclass(frozen=True, eq=False)
class Lowered(Generic[P, R]):
    """A step in C, with everything that is known about it before it runs. `planned` gives its plan,
    when somebody asks; `known` is its code where the cache has it under `key`; `passing` the step
    without the user's `stop_gradient`, where there are any.
    """

    traced: Traced[P, R]
    target: str
    planned: Callable[[], Planning]
    key: stepcode.Key | None = None
    known: StepCode | None = None
    passing: Callable[[], Lowered[P, R]] | None = None

    @cached_property
    def _planning(self) -> Planning:
        return self.planned()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The graph as written, after each pass, and as it is scheduled."""
        return self._planning.stages

    @property
    def plan(self) -> Plan:
        return self._planning.plan

    @property
    def search(self) -> Search:
        """Other plans of the step."""
        return self._planning.search

    @property
    def seconds(self) -> float:
        """How long it took to plan."""
        return self._planning.seconds

    @property
    def program(self) -> Program:
        """Kernels in order, and for every value the memory that holds it."""
        return self.plan.program

    @property
    def signature(self) -> Signature:
        return self.traced.signature

    @property
    def graph(self) -> Graph:
        """The optimized graph."""
        return self.stages[-1].graph

    @cached_property
    def unit(self) -> c_unit.Unit:
        """The generated file in parts."""
        return c_unit.generate(self.program)

    @cached_property
    def kernels(self) -> tuple[KernelInfo, ...]:
        """The kernels in the order in which they run."""
        return tuple(kernel_info(text) for text in self.unit.kernels)

    @cached_property
    def c_source(self) -> str:
        """The whole step as one C11 file: `graphc_step` and all that it needs but libm."""
        return c_unit.source(self.unit, runtime_for(c_unit.body(self.unit)))

    @cached_property
    def c_header(self) -> str:
        """The interface of `c_source` for C programs."""
        return interface(self.program)

    @property
    def threads(self) -> int:
        return self.program.threads

    @cached_property
    def memory(self) -> MemoryReport:
        """What the step holds when, and what it keeps for the backward pass."""
        return MemoryReport(
            self.program,
            len(self.signature.arguments),
            self.search.graph,
            self._peak_without,
            lambda: max((k.stack_bytes for k in self.unit.kernels), default=0),
            self._frozen,
        )

    def _frozen(self) -> Frozen | None:
        """What the user's `stop_gradient` saves."""
        if self.passing is None:
            return None
        return Frozen.between(self.traced.stops, self.program, self.passing().program)

    def _peak_without(self, value: Value) -> int:
        """The arena where a value is computed again instead of kept."""
        return self.search.plan(self.plan.policy.without(value)).peak_bytes

    def cost_analysis(self) -> dict[str, float]:
        """Floating-point operations, and bytes moved at least, of one step."""
        return {
            "flops": float(sum(k.flops for k in self.kernels)),
            "bytes accessed": float(sum(k.bytes for k in self.kernels)),
        }

    def as_text(self) -> str:
        """The kernels, one a line: name, the operators fused in it, flops, bytes, user's lines;
        below a loop the kernels that it runs, equal ones on one line.
        """
        return text_table(_KERNEL_HEAD, self._rows(), right=(0, 3, 4)) + "\n"

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for i, k in enumerate(self.kernels):
            lines = ", ".join(k.sources)
            rows.append((str(i), k.name, k.operators, f"{k.flops}", f"{k.bytes}", lines))
            for part in k.parts:
                name = f"  {part.calls} × {part.kernel.name}"
                size = part.calls * part.kernel.bytes
                lines = ", ".join(part.sources)
                rows.append(("", name, part.kernel.operators, f"{part.flops}", f"{size}", lines))
        return rows

    def record(
        self, profile: Profile | None = None, pareto: Sequence[Choice] = ()
    ) -> dict[str, Any]:
        """Everything that is known of the step, as plain data under `inspect/schema.json`.

        `profile` adds the times that `Compiled.profile` measured, `pareto` the other plans that
        `memory.pareto` found.
        """
        return record(
            Step(
                self.signature.name,
                self.stages,
                self.program,
                self.kernels,
                self.memory,
                self.target,
                self.seconds,
                profile,
                [(choice.peak_bytes, choice.recompute_flops) for choice in pareto],
            )
        )

    def report(
        self,
        path: str | Path,
        profile: Profile | None = None,
        pareto: Sequence[Choice] = (),
    ) -> None:
        """Writes one HTML file that shows it all: it needs no network and no other file."""
        Path(path).write_text(page(self.record(profile, pareto)), encoding="utf-8")

    def compile(self, debug: bool = False) -> Compiled[P, R]:
        """Compiles the C (once: the result is kept in the cache) and loads it.

        With `debug` the step stops after every kernel and looks at what it wrote: the first value
        that is not finite, and positions outside their axis, raise NonFiniteError and
        IndexingError. Raises CompilerError and CacheError.
        """
        if debug:
            code = code_of(self, c_unit.stepped(self.unit))
            return Debugged(self, code, load(self, code, STEP_CDEF))
        if self.known is not None:
            return Compiled(self, self.known, load(self, self.known, CDEF))
        code, library = compiled(self)
        stepcode.keep(self.key, code)
        return Compiled(self, code, library)

    def export(
        self,
        directory: str | PathLike[str],
        name: str = "train_step",
        *,
        form: str = "c",
        threads: bool = False,
        beside: Mapping[str, Lowered[Any, Any]] | None = None,
        arguments: Sequence[Any] | None = None,
        levels: Sequence[str] = (),
    ) -> list[Path]:
        """Writes the step as a folder of C that needs no Python: a header and a source file called
        `name`, a self-test, an example, build files, a manifest and a README. Gives their paths.

        The function is `name_run`. With `threads` it takes a pool of at most the threads that it
        was lowered for. Donated arguments are the state, a struct. `beside` gives further steps,
        the functions `name_KEY` beside `name_train`, whose arguments that have the name and
        structure of the state, or of a part of it, are read from it. NumPy computes each step for
        the self-test. Raises ArgumentError for a name that is no C identifier.

        `levels`, some of "x86-64-v2", "x86-64-v3" and "x86-64-v4", gives code for each of them in
        the one file, whatever the step was lowered for: `name_init` chooses by the processor.

        `form="cffi"` adds a Python package that setuptools and cffi build, and that then needs
        NumPy and cffi alone. `form="web"` writes one page of HTML instead, which trains in the
        browser: from `arguments`, what the step is called with (several batches of an input along
        its first axis are taken in turn), or else from random numbers. It is planned anew, for
        WebAssembly and one thread, and compiled by the ziglang package (CompilerError without).
        """
        from graphc.export.folder import write

        others = required(beside or {}, Mapping, "export: beside")
        steps = {"train": self, **others} if others else {"run": self}
        return write(directory, name, steps, threads, form, arguments, levels)

    def __str__(self) -> str:
        return f"{self!r}\n{self.as_text()}"

    def _repr_html_(self) -> str:
        return html_table(_KERNEL_HEAD, self._rows())

    def __repr__(self) -> str:
        return (
            f"<Lowered {self.signature.name}: {len(self.program.kernels)} kernels,"
            f" arena {self.program.plan.peak} bytes, {self.threads} threads>"
        )
