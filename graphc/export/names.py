"""C identifiers from users' names: the one place where a user's words become C."""

from __future__ import annotations

import re

#: Characters that are kept of a name; a number that tells equal names apart comes on top.
_LONGEST = 48

#: What a member of a struct cannot be called: keywords of C and C++, and macros of compilers and of
#: the headers that an artifact includes.
_WORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t
char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
constinit continue decltype default delete do double dynamic_cast else enum errno explicit
export extern false float fortran for friend goto i386 if inline int int8_t int16_t int32_t
int64_t linux long mutable namespace near far new noexcept not not_eq null nullptr operator
or or_eq pascal private protected public register reinterpret_cast requires restrict return
short signed sizeof size_t static static_assert static_cast stderr stdin stdout struct switch
template this thread_local throw true try typedef typeid typename typeof typeof_unqual uint8_t
uint16_t uint32_t uint64_t union unix unsigned using virtual void volatile wchar_t while xor
xor_eq nan infinity huge_val
"""
_RESERVED = frozenset(_WORDS.split())

#: Where an identifier may have `_` before a letter. Everything that callers see is NAME_WORD, so a
#: name, even a keyword's or a function's of the C library, meets nothing else as long as what is
#: private to a file has no such `_` or begins with one of these: the runtime's identifiers, the
#: kernels', and those of the headers for threads.
_PREFIXES = re.compile(r"(gx|k[0-9]+|atomic|pthread)(_|$)")

_OWN_TEXT = """
abi_version aligned alignment arena_bytes constants constants_bytes h init message misaligned
not_initialized ok pool pool_destroy pool_init state state_bytes static_assert threads
unsupported c r t
"""
#: What follows NAME_ in each header, and endings of the C library's own names (uint64_t, UINT64_C,
#: rand_r).
OWN_WORDS = frozenset(_OWN_TEXT.split())


def artifact_name(name: str) -> str:
    """The name that an artifact can have, made of any text; an artifact's name is one that it
    leaves as it is.
    """
    base = _identifier(name, "step")
    return f"x_{base}" if _PREFIXES.match(base.lower()) else base


class Identifiers:
    """Distinct identifiers: also when written in capitals, as macros made of them are, and with
    any of the `endings` behind them. None is one of the `reserved` words.

    What cannot stand in an identifier becomes `_`; a name of which nothing is left is called
    `other`.
    """

    def __init__(
        self,
        other: str = "value",
        reserved: frozenset[str] = _RESERVED,
        endings: tuple[str, ...] = (),
    ) -> None:
        self._other = other
        self._endings = ("", *endings)
        self._reserved = reserved
        self._taken: set[str] = set()

    def fresh(self, name: str) -> str:
        base = _identifier(name, self._other)
        if base.lower() in self._reserved:
            base = f"x_{base}"
        found, number = base, 1
        while self._is_taken(found):
            number += 1
            found = f"{base}_{number}"
        self._taken.update(found.lower() + ending for ending in self._endings)
        return found

    def _is_taken(self, name: str) -> bool:
        words = {name.lower() + ending for ending in self._endings}
        return bool(words & (self._taken | self._reserved))


def _identifier(text: str, other: str) -> str:
    """Letters, digits, and single `_` between them; a letter first."""
    base = "_".join(re.findall(r"[A-Za-z0-9]+", text))[:_LONGEST].rstrip("_") or other
    return f"x_{base}" if base[0].isdigit() else base
