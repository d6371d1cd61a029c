"""C identifiers from users' names: the one place where a user's words become C."""

from __future__ import annotations

import re
from collections.abc import Iterable

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

#: What the self-test and the example call their own functions and variables: an artifact, whose
#: functions they call, has another name.
_OWN_WORDS = """
a aligned allocate along altered arena argc argv array at axes b batches begin block bytes c
check compare complain constants count counter data derivative digest digit digits direction e
element error expected failed field file fill fill_state fits found from got header high in
initialize k key kind largest length line load_batches load_constants load_state loss low mark
members mixed move_state name nudge number opaque out part partial path place pool probes read
ready refused release reserve round same save_state seed seen shape shift side small state
status stream text threads to tolerance wanted what whole word words worst write writes wrong
"""
OWN = frozenset(_OWN_WORDS.split())


class Identifiers:
    """Distinct identifiers: also when written in capitals, as macros made of them are.

    What cannot stand in an identifier becomes `_`; a name of which nothing is left is called
    `other`.
    """

    def __init__(self, other: str = "value", taken: Iterable[str] = ()) -> None:
        self._other = other
        self._taken = set(taken)

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
