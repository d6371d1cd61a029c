"""Algebraic laws of the operators: equations that hold to the bit, and that a pass may apply.

A law is a function that looks at one application of an operator and gives an equal value that is
simpler, or None. It holds for every IEEE number, NaN, infinities and the sign of zero included:
x·0 is not 0, x/x is not 1, and sums are not regrouped. (All NaNs count as equal.) What laws make is
matched against the laws again; each makes its graph smaller, cheaper or nearer to a canonical form,
so that this ends. To add one, write it under `@law(Operator)` in the module of its family, with the
equation as its docstring, and a case in `tests/passes/test_laws.py`, which insists on it.
"""

from graphc.ops.laws import arithmetic, folds, placing, selection, views
from graphc.ops.laws.table import Law, laws_of

__all__ = ["Law", "arithmetic", "folds", "laws_of", "placing", "selection", "views"]
