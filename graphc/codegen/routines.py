"""C functions with bodies of a user's: which ones a kernel calls, and which one is at fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from graphc.ir.spec import Native, Routine, Scalar
from graphc.schedule.kernel import Kernel

#: `…/unit0.c:12:34: error: …`, as gcc and clang say it.
_ERROR = re.compile(r"unit(\d+)\.c:(\d+)(?::\d+)?: (?:fatal )?error")


def routines_of(kernel: Kernel) -> Iterator[Routine]:
    for node in kernel.nodes:
        spec = kernel.spec(node)
        if isinstance(spec, Native):
            yield spec.routine
        elif isinstance(spec, Scalar):
            yield from spec.routines


def at_fault(routines: Iterable[Routine], texts: Sequence[str], stderr: str) -> Routine | None:
    """The routine in which a compiler found the first of its errors that are in one; `texts` are
    the files that it compiled.
    """
    for file, line in _ERROR.findall(stderr):
        text = texts[int(file)]
        for routine in routines:
            begin = text.find(routine.text)
            if begin >= 0:
                first = text.count("\n", 0, begin) + 1
                if first <= int(line) <= first + routine.text.count("\n"):
                    return routine
    return None
