"""C identifiers from users' names: the one place where a user's words become C."""

from __future__ import annotations

import re

#: Characters that are kept of a name; a number that tells equal names apart comes on top.
_LONGEST = 48

#: What a member of a struct or the name of an artifact cannot be called: keywords of C and C++, and
#: macros of compilers and of the headers that an artifact includes.
_WORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t
char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
constinit continue decltype default delete do double dynamic_cast else enum errno explicit
export extern false float fortran for friend goto i386 if inline int int8_t int16_t int32_t
int64_t linux long main mutable namespace near far new noexcept not not_eq null nullptr operator
or or_eq pascal private protected public register reinterpret_cast requires restrict return
short signed sizeof size_t static static_assert static_cast stderr stdin stdout struct switch
template this thread_local throw true try typedef typeid typename typeof typeof_unqual uint8_t
uint16_t uint32_t uint64_t union unix unsigned using virtual void volatile wchar_t while xor
xor_eq nan infinity huge_val
"""
_RESERVED = frozenset(_WORDS.split())


class Identifiers:
    """Distinct identifiers: also when written in capitals, as macros made of them are.

    What cannot stand in an identifier becomes `_`; a name of which nothing is left is called
    `other`.
    """

    def __init__(self, other: str = "value") -> None:
        self._other = other
        self._taken: set[str] = set()

    def fresh(self, name: str) -> str:
        words = re.findall(r"[A-Za-z0-9]+", name)
        base = "_".join(words)[:_LONGEST].rstrip("_") or self._other
        if base[0].isdigit() or base.lower() in _RESERVED:
            base = f"x_{base}"
        found, number = base, 1
        while found.lower() in self._taken or found.lower() in _RESERVED:
            number += 1
            found = f"{base}_{number}"
        self._taken.add(found.lower())
        return found
