"""A node as Python: what NumPy and PyTorch call things."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphc.dtypes import DType, bool_
from graphc.errors import ArgumentError, GraphcError
from graphc.ir.terms import Term, call


@dataclass(eq=False)
class Dialect:
    """An array library: its module, and the helpers that a text written for it uses. Operators
    write themselves with `function`, `dtype`, `axes` and, where a line is not enough, `helper`.
    """

    name: str
    module: str
    _axis: str
    helpers: dict[str, str] = field(default_factory=dict)

    @property
    def is_numpy(self) -> bool:
        return self.module == "np"

    def function(self, name: str, *operands: Term, **keywords: object) -> Term:
        """A call of the library's function. PyTorch takes no numbers where it takes tensors."""
        given = operands if self.is_numpy else [self._tensor(t) for t in operands]
        return call(f"{self.module}.{name}", *given, **keywords)

    def either(self, numpy: str, torch: str) -> str:
        return numpy if self.is_numpy else torch

    def axis(self, *axes: int) -> dict[str, str]:
        """The keyword that names axes."""
        return {self._axis: str(axes[0] if len(axes) == 1 else axes)}

    def dtype(self, dtype: DType) -> str:
        return "np.bool_" if self.is_numpy and dtype is bool_ else f"{self.module}.{dtype}"

    def scalar(self, term: Term, dtype: DType) -> Term:
        """A number of a dtype."""
        if self.is_numpy:
            return call(self.dtype(dtype), term)
        return call("torch.tensor", term, dtype=self.dtype(dtype))

    def full(self, term: Term, shape: tuple[int, ...], dtype: DType) -> Term:
        """An array of one number."""
        return call(f"{self.module}.full", Term(str(shape)), term, dtype=self.dtype(dtype))

    def cast(self, term: Term, dtype: DType) -> Term:
        method = self.either("astype", "to")
        return Term(f"{term.atom}.{method}({self.dtype(dtype)})")

    def helper(self, text: str) -> str:
        """The name of a function whose text goes to the head of the file. It may use nothing but
        the library and builtins.
        """
        name = text.split("def ", 1)[1].split("(", 1)[0]
        self.helpers[name] = text.strip("\n")
        return name

    def refuse(self, what: str) -> GraphcError:
        return GraphcError(f"{what} cannot be written in {self.name}")

    def _tensor(self, term: Term) -> Term:
        return self.scalar(term, term.literal) if term.literal else term


def dialect(name: str) -> Dialect:
    """The library of a name, without helpers yet. Raises ArgumentError."""
    known = {"numpy": ("NumPy", "np", "axis"), "torch": ("PyTorch", "torch", "dim")}
    if name not in known:
        raise ArgumentError(f"to_python: 'numpy' or 'torch' is required, got {name!r}")
    return Dialect(*known[name])
