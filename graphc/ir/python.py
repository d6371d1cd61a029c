"""A node as Python: what NumPy and PyTorch call things."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy

from graphc.dtypes import DType, TensorType, bool_
from graphc.errors import ArgumentError
from graphc.ir.plain import functions
from graphc.ir.source import standalone
from graphc.ir.terms import Term, call

if TYPE_CHECKING:
    from graphc.ir.graph import Graph


@dataclass(eq=False)
class Dialect:
    """An array library: its module, and what a text written for it needs in front. Operators write
    themselves with `function`, `dtype`, `axis` and, where a line is not enough, `plain`.

    `written` gives the text of a function of some name that computes a graph.
    """

    name: str
    module: str
    _axis: str
    written: Callable[[Graph, str, Dialect], str]
    helpers: dict[str, str] = field(default_factory=dict)
    imports: dict[str, None] = field(default_factory=dict)
    _names: dict[object, str] = field(default_factory=dict)

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
        if term.text in ("0", "0.0", "False"):
            return self.zeros(TensorType(shape, dtype))
        return call(f"{self.module}.full", Term(str(shape)), term, dtype=self.dtype(dtype))

    def cast(self, term: Term, dtype: DType) -> Term:
        method = self.either("astype", "to")
        return Term(f"{term.atom}.{method}({self.dtype(dtype)})")

    def zeros(self, type: TensorType) -> Term:
        """An array of zeros that may be written to."""
        return call(f"{self.module}.zeros", Term(str(type.shape)), dtype=self.dtype(type.dtype))

    def sequence(self, operands: Sequence[Term]) -> Term:
        """A tuple of operands."""
        comma = "," if len(operands) == 1 else ""
        return Term(f"({', '.join(t.text for t in operands)}{comma})")

    def plain(self, name: str, *operands: Term, **keywords: object) -> Term:
        """A call of a function of `ir/plain`, which goes to the head of the file."""
        self._carry(name)
        return call(name, *operands, **keywords)

    def imported(self, module: str) -> None:
        self.imports[f"import {module}"] = None

    def body(self, graph: Graph, name: str) -> Term:
        """The name of a function that computes a graph and gives a tuple of its results."""
        return self._defined(graph, name, lambda unique: self.written(graph, unique, self))

    def function_of(self, function: Callable[..., Any], label: str) -> Term:
        """The name of a NumPy function of the user's. Raises NotStandaloneError."""
        known = getattr(function, "__name__", "")
        if getattr(numpy, known, None) is function:
            self.imported("numpy as np")
            return Term(f"np.{known}")

        def text(name: str) -> str:
            definition, imports = standalone(function, name)
            self.imports.update(dict.fromkeys(imports))
            return definition

        return self._defined(function, re.sub(r"\W|^(?=\d)", "_", label, flags=re.ASCII), text)

    def _defined(self, key: object, name: str, text: Callable[[str], str]) -> Term:
        """The name, as near to this one as others leave it, of a function that is written once."""
        if key not in self._names:
            unique, number = name, 1
            while unique in self.helpers or keyword.iskeyword(unique):
                number += 1
                unique = f"{name}_{number}"
            self.helpers[unique] = text(unique)
            self._names[key] = unique
        return Term(self._names[key])

    def _carry(self, name: str) -> None:
        if name not in self.helpers:
            found = functions(self.either("numpy", "torch"))[name]
            for other in found.calls:
                self._carry(other)
            self.imports.update(dict.fromkeys(found.imports))
            self.helpers[name] = found.text

    def _tensor(self, term: Term) -> Term:
        return self.scalar(term, term.literal) if term.literal else term


def dialect(name: str, written: Callable[[Graph, str, Dialect], str]) -> Dialect:
    """The library of a name, without helpers yet. Raises ArgumentError."""
    known = {"numpy": ("NumPy", "np", "axis"), "torch": ("PyTorch", "torch", "dim")}
    if name not in known:
        raise ArgumentError(f"to_python: 'numpy' or 'torch' is required, got {name!r}")
    made = Dialect(*known[name], written)
    made.imports[{"np": "import numpy as np", "torch": "import torch"}[made.module]] = None
    return made
