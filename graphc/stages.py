"""The stages of a step: traced, lowered to C, compiled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from graphc.build import cpu
from graphc.build.library import Library
from graphc.build.library import Unit as CUnit
from graphc.build.library import load as load_library
from graphc.build.machine import Limits, model
from graphc.build.machine import limits as measure_limits
from graphc.build.pool import check_threads
from graphc.build.runtime_files import runtime_for
from graphc.codegen import unit as c_unit
from graphc.codegen.preamble import CDEF, interface
from graphc.codegen.routines import at_fault
from graphc.debug import STEP_CDEF, Moment, Stepper, Watch, replayed
from graphc.errors import ArgumentError, CompilerError
from graphc.frame import Frame
from graphc.inspect.page import page
from graphc.inspect.record import Step, record
from graphc.ir.graph import Graph, Value
from graphc.ir.site import located
from graphc.kernel_info import KernelInfo, kernel_info
from graphc.memory import Choice, MemoryReport, Saved, byte_count, plans
from graphc.passes.pipeline import Stage
from graphc.profile import Profile, summarize
from graphc.schedule.budget import Plan, Search
from graphc.schedule.kernel import MODEL, Choices
from graphc.schedule.program import Program, schedule
from graphc.schedule.traffic import predicted
from graphc.text import html_table, text_table
from graphc.trace import Signature, Traced
from graphc.transforms import Tapped
from graphc.tuning import measured_choices

P = ParamSpec("P")
R = TypeVar("R")

_PROFILE_CDEF = """
int graphc_profile(void *const *in, void *const *out, void *arena, const void *runtime,
                   int64_t *times);
"""

_KERNEL_HEAD = ("#", "kernel", "operators", "flops", "bytes", "lines")
#: C files that one core compiles: enough that the last one is not waited for long.
_FILES = 2


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
    Raises ArgumentError, and MemoryBudgetError, which says the smallest budget that works.
    """
    budget = None if memory_budget is None else byte_count(memory_budget)
    if threads is None:
        threads = cpu.cores()
    check_threads(threads)
    begin = time.perf_counter()
    optimized, isa = traced.stages[-1].graph, cpu.isa(target)
    settled = time.perf_counter()
    wishes = plans.wishes(optimized, keep, recompute)

    def planned(choices: Choices, budget: int | None = None) -> Lowered[P, R]:
        search = traced.searches.setdefault(
            (wishes, isa, threads, tuple(sorted(choices.items()))),
            Search(optimized, wishes, partial(schedule, isa=isa, threads=threads, choices=choices)),
        )
        if budget is None:
            plan = search.plan(wishes)
        else:
            plan = plans.within(search, budget, traced.signature.name)
        end = time.perf_counter()
        stages = (*traced.stages, Stage("rebuild", plan.program.graph, end - settled))
        return Lowered(traced, stages, plan, target, search, end - begin)

    return planned(measured_choices(planned, _kernel_times) if tune else MODEL, budget)


@dataclass(frozen=True, eq=False)
class Lowered(Generic[P, R]):
    """A step in C, with everything that is known about it before it runs."""

    traced: Traced[P, R]
    stages: tuple[Stage, ...]
    plan: Plan
    target: str
    search: Search
    #: How long it took to lower.
    seconds: float = 0.0

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
        )

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
        """The kernels, one a line: name, the operators fused in it, flops, bytes, user's lines."""
        return text_table(_KERNEL_HEAD, self._rows(), right=(0, 3, 4)) + "\n"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                str(i),
                k.name,
                ", ".join(n.op.name for n in k.nodes),
                f"{k.flops}",
                f"{k.bytes}",
                ", ".join(k.sources),
            )
            for i, k in enumerate(self.kernels)
        ]

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
                [(k.name, k.c_text) for k in self.kernels],
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
            return Debugged(self, _load(c_unit.stepped(self.unit), STEP_CDEF, self.target))
        return Compiled(self, _load(self.unit, CDEF, self.target))

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

        steps = {"train": self, **beside} if beside else {"run": self}
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


def _load(unit: c_unit.Unit, cdef: str, target: str) -> Library:
    """Raises CompilerError, which names the user's operator whose C the compiler refused."""
    texts = c_unit.translation_units(unit, runtime_for, _FILES * cpu.cores())
    # A function that is not declared is an error in C11, but not for every compiler.
    strict = ("-Werror=implicit-function-declaration",) if unit.routines else ()
    units = [CUnit(text, (*flags, *strict)) for text, flags in texts]
    try:
        return load_library(units, cdef, target=target)
    except CompilerError as error:
        routine = at_fault(unit.routines.values(), [text for text, _ in texts], error.stderr)
        if routine is None:
            raise
        raise CompilerError(
            located(f"the C of the operator {routine.label!r} does not compile", routine.site),
            command=error.command,
            stderr=error.stderr,
            source=error.source,
            hint="correct the text that custom_op was given",
        ) from error


def _kernel_times(lowered: Lowered[Any, Any], args: Sequence[Any], runs: int) -> list[list[int]]:
    """Nanoseconds of every kernel in each of some runs of a build with a clock."""
    library = _load(c_unit.profiled(lowered.unit), _PROFILE_CDEF, lowered.target)
    frame = Frame(lowered.program, lowered.signature, library)
    return frame.timed(args, len(lowered.kernels), runs)


class Compiled(Generic[P, R]):
    """A step that runs. Calls from several threads take turns; each `bind` runs on its own."""

    def __init__(self, lowered: Lowered[P, R], library: Library):
        self.lowered = lowered
        self._library = library
        self._frame = self._new_frame()
        self._lock = threading.Lock()

    def _new_frame(self) -> Frame:
        return Frame(self.lowered.program, self.lowered.signature, self._library)

    @property
    def library_path(self) -> str:
        """The compiled library's file."""
        return str(self._library.path)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """One step. Donated leaves come back as the same objects with new values; other results
        are fresh arrays. Raises ArgumentError before anything is written.
        """
        if kwargs:
            raise ArgumentError(f"{self.lowered.signature.name}: arguments are positional")
        with self._lock:
            return self._frame.call(args)

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
        """A callable without arguments over these very arrays: it reads them, updates donated
        ones in place, and gives the same result arrays every time. Its taps are its own.
        """
        if kwargs:
            raise ArgumentError(f"{self.lowered.signature.name}: arguments are positional")
        return self._new_frame().bound(args)

    def taps(self) -> dict[str, Tapped]:
        """What each `tap` saw in the last call, by name; NaN before the first."""
        with self._lock:
            return self._frame.taps()

    def profile(self, *args: Any, runs: int = 20, limits: Limits | None = None) -> Profile:
        """Runs the step with a clock between kernels, in a build of its own: this one carries
        nothing of it. Donated arrays are left as they are. `limits` are what the machine can do at
        most, by default measured now, in about a second. Raises ArgumentError.
        """
        if runs < 1:
            raise ArgumentError(f"profile: at least one run is required, got {runs}")
        lowered = self.lowered
        times = _kernel_times(lowered, args, runs)
        limits = limits or measure_limits(lowered.threads)
        machine = model(limits, lowered.threads)
        model_says = predicted(lowered.program, machine)
        return summarize(lowered.kernels, times, limits, model_says, lowered.memory.timeline)

    def __repr__(self) -> str:
        return f"<Compiled {self.lowered.signature.name}: {self.library_path}>"


class Debugged(Compiled[P, R]):
    """A step that looks at every kernel's results: slow, with equal bits. A call that raises leaves
    donated arrays as they were.
    """

    def __init__(self, lowered: Lowered[P, R], library: Library):
        super().__init__(lowered, library)
        self._frame = self._stepper = Stepper(lowered.program, lowered.signature, library)
        self._watch = Watch(self._stepper, [kernel.name for kernel in lowered.kernels])

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs:
            raise ArgumentError(f"{self.lowered.signature.name}: arguments are positional")
        with self._lock:
            return self._watch.call(args)

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
        return lambda: self(*args, **kwargs)

    def moments(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[Moment]:
        """Runs the step, and stops after every kernel with what it read and wrote."""
        return self._stepper.moments(args)

    def replay(self, path: str | Path) -> R:
        """Calls the step with the arguments that a NonFiniteError saved."""
        with self._lock:
            return self._watch.call(replayed(path, self.lowered.signature))
