"""The C of a step in several files, which compilers work on in parallel."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from graphc.codegen.unit import KernelText, Unit, body, source

#: Letters of code that a word of the runtime's stands for.
_INLINED = 1000
#: How many functions, by the work that they do, are compiled with which flags besides the common
#: ones (-O3): the bits of results do not depend on it.
_EFFORT: tuple[tuple[int | None, tuple[str, ...]], ...] = (
    (128, ()),
    (256, ("-O2",)),
    (None, ("-O1",)),
)


def _by_effort(unit: Unit) -> list[tuple[tuple[str, ...], list[str]]]:
    """The functions in groups with flags of their own: the compiler's full effort goes to those
    that do most of the work, since a program of thousands would take it minutes.
    """
    work: dict[str, int] = {}
    for k in _all_kernels(unit.kernels):
        work[k.name] = work.get(k.name, 0) + k.kernel.flops + 8 * k.kernel.bytes
    names = sorted(unit.functions, key=lambda name: -work[name])
    groups: list[tuple[tuple[str, ...], list[str]]] = []
    start = 0
    for count, flags in _EFFORT:
        group = names[start:] if count is None else names[start : start + count]
        start += len(group)
        if group:
            groups.append((flags, [unit.functions[n] for n in group]))
    return groups


def translation_units(
    unit: Unit, runtime: Callable[[str], str], count: int
) -> list[tuple[str, tuple[str, ...]]]:
    """The same program in several files with flags of their own, for compilers that work in
    parallel: kernels lose their `static`. At most `count` files, of about equal effort, for each
    kind of flags. `runtime` gives the text of the runtime's functions that a file's text uses.
    """
    if min(count, len(unit.functions)) <= 1:
        return [(source(unit, runtime(body(unit))), ())]
    texts = []
    for flags, functions in _by_effort(unit):
        for group in _balanced(functions, min(count, len(functions))):
            bodies = [_external(t) for t in group]
            declared = [_prototype(t) for t in (*_called(unit, group), *bodies)]
            words = set(re.findall(r"\w+", "".join(bodies)))
            defined = [t for n, t in unit.definitions.items() if _is_called(n, words)]
            defined += [t for n, t in unit.tables.items() if n in words]
            own = "\n".join([*defined, *declared, *bodies])
            texts.append((runtime(own) + "\n" + own, flags))
    kernels = [_prototype(_external(t)) for t in unit.functions.values()]
    own = "\n".join([*kernels, *unit.tables.values(), unit.entry])
    return [*texts, (runtime(own) + "\n" + own, ("-O1",))]


def _external(function: str) -> str:
    """A function that other files may call."""
    return re.sub(r"^static void", "void", function, flags=re.M)


def _all_kernels(kernels: Sequence[KernelText]) -> Iterator[KernelText]:
    """Kernels, and those that they call."""
    for kernel in kernels:
        yield kernel
        yield from _all_kernels(kernel.inner)


def _called(unit: Unit, functions: Sequence[str]) -> list[str]:
    """The functions that those of a file call in other files."""
    called = dict.fromkeys(
        inner.text
        for kernel in _all_kernels(unit.kernels)
        if kernel.text in functions
        for inner in kernel.inner
    )
    return [_external(text) for text in called if text not in functions]


def _is_called(name: str, words: Collection[str]) -> bool:
    """Whether a text calls a function, or another that its definition makes, `name_…`."""
    return name in words or any(w.startswith(f"{name}_") for w in words)


def _balanced(texts: list[str], count: int) -> list[list[str]]:
    """Functions dealt into groups of about equal effort for the C compiler."""
    groups: list[list[str]] = [[] for _ in range(count)]
    total = [0] * count
    for text in sorted(texts, key=_letters, reverse=True):
        k = total.index(min(total))
        groups[k].append(text)
        total[k] += _letters(text)
    return groups


def _letters(function: str) -> int:
    """The letters of code that cost the C compiler as much as a function. It inlines what is of the
    runtime; calls of other kernels cost next to nothing.
    """
    code = re.sub(r"/\*.*?\*/|\bk\d+_\w+\(.*?;", "", function, flags=re.S)
    return len(code) + _INLINED * len(set(re.findall(r"\bgx_\w+", code)))


def _prototype(function: str) -> str:
    """The declaration of a function, from its definition."""
    head = re.search(r"^void [^{]*", function, flags=re.M)
    assert head is not None
    return head.group().rstrip() + ";\n"
