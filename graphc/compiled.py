"""A step that runs, and the same one looked at kernel by kernel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from graphc.build import cpu, pool, toolchain
from graphc.build.library import Library, Unit, declarations
from graphc.build.library import load as load_library
from graphc.build.machine import Limits
from graphc.build.machine import limits as measure_limits
from graphc.build.runtime_files import runtime_for
from graphc.codegen import unit as c_unit
from graphc.codegen.files import translation_units
from graphc.codegen.preamble import CDEF
from graphc.codegen.routines import at_fault
from graphc.debug import Moment, Stepper, Watch, replayed
from graphc.errors import ArgumentError, CompilerError
from graphc.frame import Frame
from graphc.ir.site import located, required
from graphc.profile import Profile, summarize
from graphc.stepcode import StepCode
from graphc.transforms import Tapped

if TYPE_CHECKING:
    from graphc.stages import Lowered

P = ParamSpec("P")
R = TypeVar("R")

_PROFILE_CDEF = """
int graphc_profile(void *const *in, void *const *out, void *arena, const void *runtime,
                   int64_t *times);
"""

#: C files that one core compiles: enough that the last one is not waited for long.
_FILES = 2


def code_of(lowered: Lowered[Any, Any], unit: c_unit.Unit) -> StepCode:
    """What a step that is written so needs to run."""
    texts = translation_units(unit, runtime_for, _FILES * cpu.cores())
    # A function that is not declared is an error in C11, but not for every compiler.
    strict = ("-Werror=implicit-function-declaration",) if unit.routines else ()
    return StepCode.of(lowered.program, [Unit(text, (*flags, *strict)) for text, flags in texts])


def compiled(lowered: Lowered[Any, Any]) -> tuple[StepCode, Library]:
    """Writes the C of a step and compiles it. What every step needs besides, and a new cache does
    not have yet, another thread makes meanwhile: it starts compilers, for which the second
    processor has time while text is written.
    """
    cpu.check_runs(lowered.target)
    with ThreadPoolExecutor(1) as aside:
        flags = aside.submit(lambda: toolchain.find(lowered.target).flags(lowered.target))
        shared = aside.submit(_shared, lowered.threads)
        code = code_of(lowered, lowered.unit)
        flags.result()
        library = load(lowered, code, CDEF)
        shared.result()
    return code, library


def _shared(threads: int) -> None:
    """What the frames of all steps share: cffi's declarations and the pool of threads."""
    declarations(CDEF)
    if threads > 1:
        pool.runtime()


def load(lowered: Lowered[Any, Any], code: StepCode, cdef: str) -> Library:
    """Raises CompilerError, which names the user's operator whose C the compiler refused."""
    try:
        return load_library(code.units, cdef, target=lowered.target)
    except CompilerError as error:
        texts = [unit.text for unit in code.units]
        routine = at_fault(lowered.unit.routines.values(), texts, error.stderr)
        if routine is None:
            raise
        raise CompilerError(
            located(f"the C of the operator {routine.label!r} does not compile", routine.site),
            command=error.command,
            stderr=error.stderr,
            source=error.source,
            hint="correct the text that custom_op was given",
        ) from error


def kernel_times(lowered: Lowered[Any, Any], args: Sequence[Any], runs: int) -> list[list[int]]:
    """Nanoseconds of every kernel in each of some runs of a build with a clock."""
    return [times[: len(lowered.kernels)] for times in clock_times(lowered, args, runs)]


def clock_times(lowered: Lowered[Any, Any], args: Sequence[Any], runs: int) -> list[list[int]]:
    """The same, and behind it the laps of kernels that run others (`c_unit.lap_starts`)."""
    code = code_of(lowered, c_unit.profiled(lowered.unit))
    library = load(lowered, code, _PROFILE_CDEF)
    frame = Frame(lowered.signature, code, library, "graphc_profile")
    return frame.timed(args, c_unit.lap_starts(lowered.unit)[-1], runs)


class Compiled(Generic[P, R]):
    """A step that runs. Calls from several threads take turns; each `bind` runs on its own."""

    def __init__(self, lowered: Lowered[P, R], code: StepCode, library: Library):
        self.lowered = lowered
        self._code = code
        self._library = library
        self._frame = self._new_frame()
        self._lock = threading.Lock()

    def _new_frame(self) -> Frame:
        return Frame(self.lowered.signature, self._code, self._library)

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
        lock = self._lock
        lock.acquire()  # `with` takes twice as long, a twentieth of the call.
        try:
            return self._frame.call(args)
        finally:
            lock.release()

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
        most, by default measured before and after, in about two seconds, because what else the
        machine does changes them. Raises ArgumentError.
        """
        if required(runs, int, "profile: runs") < 1:
            raise ArgumentError(f"profile: at least one run is required, got {runs}")
        lowered = self.lowered
        found = [limits or measure_limits(lowered.threads)]
        times = clock_times(lowered, args, runs)
        found.extend([] if limits else [measure_limits(lowered.threads)])
        live = lowered.memory.timeline
        laps = c_unit.laps_of(lowered.unit, times)
        return summarize(lowered.kernels, times, laps, Limits.best(found), lowered.program, live)

    def __repr__(self) -> str:
        return f"<Compiled {self.lowered.signature.name}: {self.library_path}>"


class Debugged(Compiled[P, R]):
    """A step that looks at every kernel's results: slow, with equal bits. A call that raises leaves
    donated arrays as they were.
    """

    def __init__(self, lowered: Lowered[P, R], code: StepCode, library: Library):
        super().__init__(lowered, code, library)
        self._watch = Watch(self._stepper, [kernel.name for kernel in lowered.kernels])

    def _new_frame(self) -> Frame:
        program, signature = self.lowered.program, self.lowered.signature
        self._stepper = Stepper(program, signature, self._code, self._library)
        return self._stepper

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
