"""C of the programs around a step, self-test and example alike."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.export.interface import Field, Interface

#: Characters of a string that every C compiler takes.
_LONGEST = 4095

#: Allocation for programs that own the memory of a step.
MEMORY = """\
/* Memory aligned to 64 bytes, behind the address that it was got with. */
static void *reserve(size_t bytes)
{
    void *const whole = malloc(bytes + 128);
    if (!whole) {
        puts("out of memory");
        exit(2);
    }
    const uintptr_t aligned = ((uintptr_t)whole + sizeof(void *) + 63) / 64 * 64;
    memcpy((void *)(aligned - sizeof whole), &whole, sizeof whole);
    return (void *)aligned;
}

static void release(void *aligned)
{
    void *whole;
    memcpy(&whole, (void *)((uintptr_t)aligned - sizeof whole), sizeof whole);
    free(whole);
}

static void *allocate(uint64_t bytes)
{
    void *const memory = malloc(bytes ? (size_t)bytes : 1);
    if (!memory) {
        puts("out of memory");
        exit(2);
    }
    return memory;
}
"""


def address(owner: str, field: Field) -> str:
    """The address of a field's first element; `owner` ends with `->` or `.`."""
    return f"{owner}{field.name}" if field.type.shape else f"&{owner}{field.name}"


def room(field: Field) -> str:
    """C that allocates a field's array."""
    return f"allocate({field.type.nbytes})"


def tensors(fields: Sequence[Field], owner: str) -> list[str]:
    """The rows of an array of gx_tensor."""
    rows = []
    for f in fields:
        shape = ", ".join(str(n) for n in f.type.shape) or "0"
        rows.append(
            f'        {{{c_string(f.key)}, "{f.code}", {f.type.ndim}, {{{shape}}},'
            f" {f.type.nbytes}, {address(owner, f)}}},"
        )
    return rows


def c_string(text: str) -> str:
    """A C string of any text, in UTF-8: what is no plain character is an octal escape of exactly
    three digits, so that nothing ends the string or joins with what follows.
    """
    codes = text.encode("utf-8")
    plain = [32 <= b < 127 and chr(b) not in "\"'\\?" for b in codes]
    parts = [chr(b) if p else f"\\{b:03o}" for b, p in zip(codes, plain, strict=True)]
    if len(parts) <= _LONGEST:
        return '"' + "".join(parts) + '"'
    return "(const char[]){" + ", ".join([*[f"'{part}'" for part in parts], "0"]) + "}"


def constants_loader(artifact: Interface) -> str:
    """A function that reads the constants or ends the program."""
    return "\n".join(
        [
            f"static void load(const char *path, {artifact.name}_constants *constants)",
            "{",
            "    const gx_tensor tensors[] = {",
            *tensors(artifact.constants, "constants->"),
            "    };",
            "    size_t wrong;",
            "    const char *error = gx_tensors_load(path, tensors, sizeof tensors / "
            "sizeof *tensors, &wrong);",
            "    if (error) {",
            '        printf("%s %s\\n", path, error);',
            "        exit(2);",
            "    }",
            "}",
            "",
        ]
    )
