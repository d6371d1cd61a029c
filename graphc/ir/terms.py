"""Expressions as a person writes them: text that knows how tightly it binds."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.dtypes import DType

#: How tightly an infix operator of Python binds.
_RANK = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 1),
    "|": 2,
    "^": 3,
    "&": 4,
    **dict.fromkeys(("<<", ">>"), 5),
    **dict.fromkeys(("+", "-"), 6),
    **dict.fromkeys(("*", "/", "//", "%", "@"), 7),
}
_COMPARISON = 1
_PREFIX = 8
_ATOM = 10


@dataclass(frozen=True, slots=True)
class Term:
    """Text of an expression. `rank` says which operators may stand beside it without parentheses;
    names, calls and numbers are atoms. A number knows its dtype.
    """

    text: str
    rank: int = _ATOM
    literal: DType | None = None

    def within(self, rank: int) -> str:
        """The text as an operand of something that binds as tightly as `rank`."""
        return self.text if self.rank >= rank else f"({self.text})"

    @property
    def atom(self) -> str:
        """The text as something that an attribute or an index may follow."""
        return self.within(_ATOM)


def number(text: str, dtype: DType | None = None) -> Term:
    return Term(text, _PREFIX if text.startswith("-") else _ATOM, dtype)


def infix(symbol: str, left: Term, right: Term) -> Term:
    """`left symbol right`. Floating-point arithmetic is not associative, so a right operand of the
    same rank keeps its parentheses; comparisons chain in Python, so both do.
    """
    rank = _RANK[symbol]
    first = left.within(rank + (rank == _COMPARISON))
    return Term(f"{first} {symbol} {right.within(rank + 1)}", rank)


def prefix(symbol: str, operand: Term) -> Term:
    return Term(f"{symbol}{operand.within(_PREFIX)}", _PREFIX)


def call(function: str, *operands: Term, **keywords: object) -> Term:
    """`function(operands, key=value)`."""
    words = [*[t.text for t in operands], *[f"{k}={v}" for k, v in keywords.items()]]
    return Term(f"{function}({', '.join(words)})")
