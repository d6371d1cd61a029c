"""The exceptions and warnings of graphc.

Every message says what was required, what came, and, where it is known, the line of the
user's file: ``matmul(float32[3,4], float32[3,4]): inner sizes differ, 4 != 3   (model.py:12)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = [
    "ArgumentError",
    "CacheError",
    "CompilerError",
    "ConstantWarning",
    "DTypeError",
    "DisconnectedGradientWarning",
    "GraphcError",
    "IndexingError",
    "MemoryBudgetError",
    "NonFiniteError",
    "NotDifferentiableError",
    "PrecisionWarning",
    "ShapeError",
    "TraceError",
]


class GraphcError(Exception):
    """The base of everything that graphc raises on purpose."""


class ShapeError(GraphcError, ValueError):
    """Shapes, axes or sizes that do not fit an operator."""


class ArgumentError(GraphcError, ValueError):
    """A call's arguments do not match the signature that was traced, or an option is unknown."""


class DTypeError(GraphcError, TypeError):
    """Element types that do not fit an operator, or that would need a conversion across kinds."""


class TraceError(GraphcError, TypeError):
    """Python that a static graph cannot express; the message says what to write instead."""


class IndexingError(GraphcError, IndexError):
    """An index that is outside its axis, or an index expression of an unsupported form."""


class NotDifferentiableError(GraphcError):
    """A derivative was asked for through operators that have no rule for it.

    `operators` names all of them at once, so that one run shows the whole of the work.
    """

    def __init__(self, message: str, operators: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.operators = tuple(operators)


class MemoryBudgetError(GraphcError):
    """No plan fits the memory budget.

    `budget_bytes` is what was allowed, `smallest_bytes` the least budget that works.
    """

    def __init__(
        self, message: str, *, budget_bytes: int | None = None, smallest_bytes: int | None = None
    ) -> None:
        super().__init__(message)
        self.budget_bytes = budget_bytes
        self.smallest_bytes = smallest_bytes


class NonFiniteError(GraphcError, ArithmeticError):
    """A step that is compiled with `debug=True` met NaN or an infinity.

    `kernel` is the C function, `node` the node as text, `line` the user's line, `arguments` the
    file that holds the arguments, for `Compiled.replay`.
    """

    def __init__(
        self,
        message: str,
        *,
        kernel: str = "",
        node: str = "",
        line: str = "",
        arguments: Path | None = None,
    ) -> None:
        super().__init__(message)
        self.kernel = kernel
        self.node = node
        self.line = line
        self.arguments = arguments


class CompilerError(GraphcError):
    """The C compiler is missing, failed, or produced something that cannot be loaded.

    `command` is the command line, `stderr` what the compiler printed, `source` the path of the C
    file that was kept for inspection, `hint` what to try. The message contains all four.
    """

    def __init__(
        self,
        message: str,
        *,
        command: Sequence[str] = (),
        stderr: str = "",
        source: Path | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.command = tuple(command)
        self.stderr = stderr
        self.source = source
        self.hint = hint

    def __str__(self) -> str:
        parts = [str(self.args[0])]
        if self.command:
            parts.append("command: " + " ".join(self.command))
        if self.source is not None:
            parts.append(f"source kept at: {self.source}")
        if self.stderr.strip():
            parts.append("the compiler said:\n" + _shortened(self.stderr.strip()))
        if self.hint:
            parts.append("try: " + self.hint)
        return "\n".join(parts)


class CacheError(GraphcError):
    """The cache of compiled libraries cannot be used as it is; the message says why."""


class PrecisionWarning(UserWarning):
    """An array from outside widened a computation, as float64 does to float32."""


class DisconnectedGradientWarning(UserWarning):
    """A gradient was asked for with respect to a value on which the result does not depend."""


class ConstantWarning(UserWarning):
    """A large array that a function closes over became a hidden input."""


def _shortened(text: str, limit: int = 4000) -> str:
    """The beginning and the end of a long text: compilers put the cause first, linkers last."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - limit} characters ...]\n{text[-half:]}"
