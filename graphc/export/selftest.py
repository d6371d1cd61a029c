"""The self-test of an artifact: the C code against numbers that NumPy computed."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from graphc.build.runtime_files import select
from graphc.export.expectations import Check, Expectation, Slope, expect
from graphc.export.filling import FILL, Filling, fill_call
from graphc.export.host import MEMORY, address, constants_loader, room
from graphc.export.interface import Interface

_PRIME, _BASIS = 0x100000001B3, 0xCBF29CE484222325


def selftest(artifact: Interface) -> str:
    """The text of selftest.c. Evaluates the reference: takes as long as NumPy needs for a step."""
    state, expectations = expect(artifact)
    reads_file = bool(artifact.constants)
    runtime = ["gx_philox", *(["gx_tensors_load"] if reads_file else [])]
    parts = [
        _HEAD.format(name=artifact.name, hash=_digest(expectations)),
        select(runtime),
        MEMORY,
        FILL,
        _TOOLS,
    ]
    if any(e.slope for e in expectations):
        parts.append(_NUDGE)
    if reads_file:
        parts.append(constants_loader(artifact))
    if artifact.state:
        parts.append(_fill_state(artifact, state))
    for number, e in enumerate(expectations):
        parts += _tables(e, number)
        parts.append(_test(artifact, e, number))
    parts.append(_main(artifact, expectations))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _fill_state(artifact: Interface, fillings: Sequence[Filling]) -> str:
    lines = [f"static void initialize({artifact.name}_state *state)", "{"]
    for field, how in zip(artifact.state, fillings, strict=True):
        lines.append(f"    {fill_call(address('state->', field), field.type, how)};")
    return "\n".join([*lines, "}"]) + "\n"


def _numbers(e: Expectation, number: int) -> dict[str, list[tuple[int, float]]]:
    """All that the test of a number expects, as C arrays of places and numbers: every result's
    elements, the errors allowed, and the derivative.
    """
    found = {
        f"wanted{number}_{k}": list(zip(check.places, check.wanted, strict=True))
        for k, check in enumerate(e.checks)
    }
    found[f"allowed{number}"] = [(k, check.tolerance) for k, check in enumerate(e.checks)]
    if e.slope is not None:
        found[f"slope{number}"] = [(0, e.slope.wanted), (1, e.slope.tolerance)]
    return {name: rows for name, rows in found.items() if rows}


def _tables(e: Expectation, number: int) -> Iterator[str]:
    for name, rows in _numbers(e, number).items():
        lines = [f"static const struct probe {name}[] = {{", "   "]
        for place, value in rows:
            row = f"{{{place}, {_literal(value)}}}"
            if len(lines[-1]) + len(row) > 96:
                lines.append("   ")
            lines[-1] += f" {row},"
        yield "\n".join([*lines, "};"]) + "\n"


def _test(artifact: Interface, e: Expectation, number: int) -> str:
    """The function that runs an entry once and compares, then takes the difference quotient."""
    entry = e.entry
    lines = [f"static int test{number}({_context(artifact)})", "{", "    int failed = 0;"]
    arguments = []
    if entry.uses("state"):
        lines.append("    initialize(state);")
        arguments.append("state")
    if entry.uses("constants"):
        arguments.append("constants")
    if entry.inputs:
        lines.append(f"    {entry.function}_inputs in;")
        for k, (field, how) in enumerate(zip(entry.inputs, e.inputs, strict=True)):
            if field.type.shape:
                lines.append(f"    {field.type.dtype.c} *const given{k} = {room(field)};")
                lines.append(f"    {fill_call(f'given{k}', field.type, how)};")
                lines.append(f"    in.{field.name} = given{k};")
            else:
                lines.append(f"    {fill_call(f'&in.{field.name}', field.type, how)};")
        arguments.append("&in")
    if entry.outputs:
        lines.append(f"    {entry.function}_outputs out;")
        for field in entry.outputs:
            if field.type.shape:
                lines.append(f"    out.{field.name} = {room(field)};")
        arguments.append("&out")
    arguments.append("arena")
    if artifact.threads > 1:
        arguments.append("pool")
    call = f"{entry.function}({', '.join(arguments)})"
    lines.append(f'    failed |= refused("{entry.function}", {call});')
    for k, check in enumerate(e.checks):
        if check.places:
            lines.append(f"    failed |= {_compare(number, k, check)};")
    if e.slope is not None:
        lines += _difference(number, e.slope, call)
    else:
        lines.append(f'    puts("  no difference quotient: {_plain(e.reason)}");')
    for prefix, fields in (("(void *)in.", entry.inputs), ("out.", entry.outputs)):
        lines += [f"    free({prefix}{field.name});" for field in fields if field.type.shape]
    return "\n".join([*lines, "    return failed;", "}"]) + "\n"


def _plain(text: str) -> str:
    """Text inside a C string: printable ASCII without quotes, backslashes and trigraphs."""
    return "".join(c if 32 <= ord(c) < 127 and c not in '"\\?' else "." for c in text[:120])


def _compare(number: int, k: int, check: Check) -> str:
    owner = "state->" if check.updated else "out."
    field = check.field
    kind = field.type.dtype.name.upper()
    return (
        f'compare("{field.name}", {address(owner, field)}, {kind}, wanted{number}_{k},'
        f" {len(check.places)}, allowed{number}[{k}].wanted)"
    )


def _difference(number: int, slope: Slope, call: str) -> Iterator[str]:
    yield "    double along[2];"
    yield "    for (int side = 0; side < 2; side++) {"
    yield f"        const double shift = side ? -{slope.step!r} : {slope.step!r};"
    yield "        initialize(state);"
    for field, how in slope.directions:
        where, kind = address("state->", field), field.type.dtype.name.upper()
        size, most = field.type.size, f"shift * {how.high!r}"
        yield f"        nudge({where}, {kind}, {size}, {most}, {how.stream});"
    yield f'        failed |= refused("a moved step", {call});'
    yield f"        along[side] = (double)out.{slope.loss.name};"
    yield "    }"
    yield (
        f"    failed |= derivative((along[0] - along[1]) / {2 * slope.step!r},"
        f" slope{number}[0].wanted, slope{number}[1].wanted);"
    )


def _context(artifact: Interface) -> str:
    """The parameters of every test, whether an entry uses them or not."""
    words = []
    if artifact.state:
        words.append(f"{artifact.name}_state *state")
    if artifact.constants:
        words.append(f"const {artifact.name}_constants *constants")
    words.append("void *arena")
    if artifact.threads > 1:
        words.append(f"{artifact.name}_pool *pool")
    return ", ".join(words)


def _main(artifact: Interface, expectations: Sequence[Expectation]) -> str:
    name, capitals = artifact.name, artifact.capitals
    parameter = "int argc, char **argv" if artifact.constants else "void"
    lines = [f"int main({parameter})", "{", "    int failed = 0;"]
    arguments, free = [], ["arena"]
    if artifact.state:
        lines.append(f"    {name}_state *const state = reserve(sizeof *state);")
        arguments.append("state")
        free.append("state")
    if artifact.constants:
        lines.append(f"    {name}_constants *const constants = reserve(sizeof *constants);")
        lines.append(f'    load(argc > 1 ? argv[1] : "{name}_constants.safetensors", constants);')
        arguments.append("constants")
        free.append("constants")
    lines.append(f"    void *const arena = reserve({capitals}_ARENA_BYTES);")
    arguments.append("arena")
    lines.append(f"    const int status = {name}_init(arena);")
    lines += [
        "    if (status != 0) {",
        f'        printf("{name}: %s\\n", {name}_message(status));',
        "        return 2;",
        "    }",
    ]
    if artifact.threads > 1:
        lines.append(f"    {name}_pool *const pool = reserve(sizeof *pool);")
        lines.append(f'    failed |= refused("pool", {name}_pool_init(pool, {artifact.threads}));')
        arguments.append("pool")
        free.append("pool")
    lines.append("    failed |= altered();")
    for number, e in enumerate(expectations):
        lines.append(f'    puts("{e.entry.function}");')
        lines.append(f"    failed |= test{number}({', '.join(arguments)});")
    if artifact.threads > 1:
        lines.append(f"    {name}_pool_destroy(pool);")
    lines += [f"    release({what});" for what in free]
    lines += ['    puts(failed ? "FAILED" : "passed");', "    return failed;", "}"]
    return "\n".join([_digest_code(expectations), *lines]) + "\n"


def _literal(value: float) -> str:
    """A double that C reads back to the same bits."""
    if value != value:
        return "NAN"
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(float(value))


def _digest(expectations: Sequence[Expectation]) -> int:
    """FNV-1a of every number of the test, as `_digest_code` computes it."""
    digest = _BASIS
    for number, e in enumerate(expectations):
        for rows in _numbers(e, number).values():
            for place, value in rows:
                digest = _mixed(_mixed(digest, float(place)), value)
    return digest


def _mixed(digest: int, value: float) -> int:
    for byte in struct.pack("<d", value if value == value else 0.0):
        digest = ((digest ^ byte) * _PRIME) & 0xFFFFFFFFFFFFFFFF
    return digest


def _digest_code(expectations: Sequence[Expectation]) -> str:
    lines = [
        "/* Whether the numbers above are still those that graphc wrote. */",
        "static int altered(void)",
        "{",
        f"    uint64_t digest = UINT64_C({_BASIS});",
    ]
    for number, e in enumerate(expectations):
        for name, rows in _numbers(e, number).items():
            lines.append(f"    digest = mixed(digest, {name}, {len(rows)});")
    lines += [
        "    if (digest == DIGEST)",
        "        return 0;",
        '    puts("the expected numbers were changed after they were written");',
        "    return 1;",
        "}",
        "",
    ]
    return "\n".join(lines)


_HEAD = """\
/* The self-test of {name}: exit status 0 if it computes what the NumPy reference did.
 *
 * Arrays are filled with random bits of Philox4x32-10, the same ones as in Python. Some elements of
 * every result are compared with the reference's, and the loss's difference quotient along a
 * direction with the inner product of the reference's gradient and that direction. */

#include "{name}.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a of all expected numbers and their places. */
#define DIGEST UINT64_C({hash})
"""

_TOOLS = """\
/* An expected element of an array. */
struct probe {
    uint64_t place;
    double wanted;
};

/* Element e of an array as a double. */
static double element(const void *array, enum kind kind, uint64_t e)
{
    switch (kind) {
    case FLOAT32: return (double)((const float *)array)[e];
    case FLOAT64: return ((const double *)array)[e];
    case INT32: return (double)((const int32_t *)array)[e];
    case INT64: return (double)((const int64_t *)array)[e];
    case UINT32: return (double)((const uint32_t *)array)[e];
    default: return (double)((const uint8_t *)array)[e];
    }
}

static int compare(const char *name, const void *array, enum kind kind, const struct probe *probes,
                   size_t count, double tolerance)
{
    double worst = 0;
    int wrong = 0;
    for (size_t k = 0; k < count; k++) {
        const double found = element(array, kind, probes[k].place), wanted = probes[k].wanted;
        if (found == wanted || (isnan(found) && isnan(wanted)))
            continue;
        const double error = fabs(found - wanted);
        worst = error > worst || isnan(error) ? error : worst;
        wrong += !(error <= tolerance);
    }
    printf("  %-32s %2zu elements, largest error %.2e of %.2e allowed%s\\n", name, count, worst,
           tolerance, wrong ? "  WRONG" : "");
    return wrong != 0;
}

static int refused(const char *what, int status)
{
    if (status != 0)
        printf("  %s: status %d\\n", what, status);
    return status != 0;
}

static uint64_t mixed(uint64_t digest, const struct probe *probes, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const double place = (double)probes[k].place;
        const double wanted = isnan(probes[k].wanted) ? 0 : probes[k].wanted;
        uint64_t words[2];
        memcpy(&words[0], &place, 8);
        memcpy(&words[1], &wanted, 8);
        for (int b = 0; b < 16; b++)
            digest = (digest ^ (words[b / 8] >> 8 * (b % 8) & 255)) * UINT64_C(0x100000001B3);
    }
    return digest;
}
"""

_NUDGE = """\
/* Adds to every element a number between -shift and shift from a stream of random bits. */
static void nudge(void *array, enum kind kind, uint64_t count, double shift, uint32_t stream)
{
    double *const direction = allocate(count * sizeof(double));
    fill(direction, FLOAT64, count, -shift, shift, stream);
    for (uint64_t e = 0; e < count; e++) {
        if (kind == FLOAT32)
            ((float *)array)[e] = (float)((double)((float *)array)[e] + direction[e]);
        else
            ((double *)array)[e] += direction[e];
    }
    free(direction);
}

static int derivative(double found, double wanted, double tolerance)
{
    const int wrong = !(fabs(found - wanted) <= tolerance);
    printf("  difference quotient %.6g, gradient times direction %.6g%s\\n", found, wanted,
           wrong ? "  WRONG" : "");
    return wrong;
}
"""
