"""Code for several levels of x86-64 in one file, which chooses by the processor it runs on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from graphc.build.runtime_files import select, used
from graphc.errors import ArgumentError
from graphc.export.retarget import retargeted
from graphc.stages import Lowered

#: The levels: their numbers, and what a processor of each has, for messages.
LEVELS = {
    "x86-64-v2": (2, "SSE4.2 and POPCNT"),
    "x86-64-v3": (3, "AVX2, FMA and BMI2"),
    "x86-64-v4": (4, "AVX-512"),
}

#: What compilers are told of a level besides its name: where a command line lists features one by
#: one, as zig's does, the name alone does not bring them back.
_FEATURES = {
    2: "sse3,ssse3,sse4.1,sse4.2,popcnt",
    3: "avx,avx2,bmi,bmi2,f16c,fma,lzcnt,movbe",
    4: "avx512f,avx512bw,avx512cd,avx512dq,avx512vl",
}
#: Names of what a file defines: the runtime's, kernels, tables, and the region that threads run.
_OWN = re.compile(r"\b(?:(?:gx|GX|custom|k\d+)_\w+|table\d+|step_region|step_part\d+)\b")
#: The headers of the C library in front of the runtime's text.
_INCLUDES = re.compile(r"\A(?:#include <[^>]+>\n|\n)+")


def planned(step: Lowered[Any, Any], levels: Sequence[str]) -> list[Lowered[Any, Any]]:
    """The step for each level, the lowest first. Raises ArgumentError for anything else."""
    unknown = [level for level in levels if level not in LEVELS]
    if unknown or len(set(levels)) != len(levels):
        raise ArgumentError(
            f"export: levels: expected some of {', '.join(LEVELS)}, got {', '.join(levels)}"
        )
    return [retargeted(step, level, step.threads) for level in sorted(levels)]


def number(target: str) -> int:
    return LEVELS[target][0]


def named(name: str, target: str) -> str:
    """What a name of the code for a level is called in the file."""
    return f"{name}_v{number(target)}"


def part(target: str, width: int, comments: str, body: str, shared: str) -> str:
    """The code of one level: comments, what the body needs of the runtime beyond the text that is
    shared, and the body. All of its own names end with the level's.
    """
    known = set(_OWN.findall(shared))
    runtime = select(used(body), given=used(shared))
    limits = f"#define GX_X86_PART {number(target)}\n#define GX_VECTOR_LIMIT {width}\n\n"
    text = _OWN.sub(
        lambda m: m[0] if m[0] in known else named(m[0], target),
        limits + without_headers(runtime) + "\n" + body,
    )
    features = ",".join([f"arch={target}", *(_FEATURES[n] for n in range(2, number(target) + 1))])
    wide = width == 64
    words = {
        "target": target,
        "clang": _push(f'target("{features}")') + _push("min_vector_width(512)") * wide,
        "gcc": features + ",prefer-vector-width=512" * wide,
        "pop": "#pragma clang attribute pop\n" * (1 + wide),
    }
    return "\n".join([comments, _BEGIN.format(**words), text, _END.format(**words)])


def _push(attribute: str) -> str:
    return f"#pragma clang attribute push(__attribute__(({attribute})), apply_to = function)\n"


def headers(runtimes: Sequence[str]) -> str:
    """The lines that include headers of the C library, of several texts of the runtime."""
    found = [_INCLUDES.match(text) for text in runtimes]
    lines = {line for match in found if match for line in match[0].splitlines() if line}
    return "\n".join(sorted(lines)) + "\n"


def without_headers(runtime: str) -> str:
    return _INCLUDES.sub("", runtime)


_BEGIN = """\
/* Code for {target}. */
#if defined(__clang__)
{clang}#else
#pragma GCC push_options
#pragma GCC target("{gcc}")
#endif
"""

_END = """\
#if defined(__clang__)
{pop}#else
#pragma GCC pop_options
#endif
"""
