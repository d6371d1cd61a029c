"""Einstein summation by permutations, diagonals, reshapes and matrix products."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

from graphc import ops
from graphc.errors import ShapeError
from graphc.functions.promotion import promoted
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor


def einsum(subscripts: Any, /, *arrays: Any) -> Tensor:
    """Σ over the letters that the result does not have: `einsum("bij,bjk->bik", a, b)`, or with
    numbers for letters, `einsum(a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3])`.

    Letters may repeat within an operand (a diagonal), `...` stands for axes that broadcast, and a
    result that is left out has the letters that occur once, in alphabetic order. More than two
    operands are contracted pair by pair, always the pair with the smallest result.
    """
    if not isinstance(subscripts, str) and len(arrays) > 0:
        subscripts, arrays = _spelled(subscripts, *arrays)
    if not isinstance(subscripts, str) or not arrays:
        raise ShapeError(
            located(f"einsum: an equation and its operands required, got {subscripts!r}")
        )
    values = promoted("einsum", *arrays)
    inputs, output = _parsed(subscripts, values)
    sizes = _sizes(subscripts, inputs, values)
    terms = [
        _stretched(*_diagonal(v, letters), sizes) for v, letters in zip(values, inputs, strict=True)
    ]
    while len(terms) > 1:
        i, j = _smallest_pair(terms, output, sizes)
        right, left = terms.pop(j), terms.pop(i)
        needed = set(output).union(*[letters for _, letters in terms])
        terms.append(_contracted(left, right, needed, sizes))
    value, letters = _summed(*terms[0], set(output))
    return Tensor(ops.permute(value, tuple(letters.index(c) for c in output)))


def _spelled(*operands: Any) -> tuple[str, tuple[Any, ...]]:
    """Operands with lists of numbers as operands with letters; a last list is the result's."""
    arrays, lists = operands[0 : len(operands) // 2 * 2 : 2], operands[1::2]
    written = []
    for numbers in (*lists, *operands[len(arrays) * 2 :]):
        if not isinstance(numbers, (list, tuple)) or not all(
            n is Ellipsis or (isinstance(n, int) and 0 <= n < len(ascii_letters)) for n in numbers
        ):
            raise ShapeError(
                located(f"einsum: an equation, or after each operand a list, got {numbers!r}")
            )
        written.append("".join("..." if n is Ellipsis else ascii_letters[n] for n in numbers))
    inputs, output = ",".join(written[: len(lists)]), written[len(lists) :]
    return "->".join((inputs, *output)), arrays


Term = tuple[Value, str]


def _parsed(subscripts: str, values: Sequence[Value]) -> tuple[list[str], str]:
    """The letters of every axis; the axes of `...` get upper letters that are not used."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(values):
        raise ShapeError(
            located(f"einsum({subscripts!r}): {len(inputs)} operands required, got {len(values)}")
        )
    free = [chr(c) for c in range(0x100, 0x180)]
    widest = 0
    for letters, value in zip(inputs, values, strict=True):
        named = len(letters.replace("...", ""))
        covered = len(value.shape) - named
        if covered < 0 or (covered and "..." not in letters) or letters.count("...") > 1:
            raise ShapeError(
                located(f"einsum({subscripts!r}): {letters!r} does not fit {value.type}")
            )
        widest = max(widest, covered if "..." in letters else 0)
    batch = "".join(free[:widest])
    full = []
    for letters, value in zip(inputs, values, strict=True):
        covered = len(value.shape) - len(letters.replace("...", ""))
        full.append(letters.replace("...", batch[widest - covered :] if covered else ""))
    count = Counter("".join(inputs).replace("...", ""))
    if not arrow:
        output = batch + "".join(sorted(c for c in count if count[c] == 1))
    output = output.replace("...", batch)
    bad = [c for c in count if not c.isalpha()]
    unknown = [c for c in output if c not in count and c not in batch]
    if bad or unknown or len(set(output)) != len(output):
        raise ShapeError(located(f"einsum({subscripts!r}): not a valid equation"))
    return full, output


def _sizes(subscripts: str, inputs: Sequence[str], values: Sequence[Value]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for letters, value in zip(inputs, values, strict=True):
        for c, n in zip(letters, value.shape, strict=True):
            known = sizes.get(c, 1)
            if n != known and 1 not in (n, known):
                raise ShapeError(
                    located(f"einsum({subscripts!r}): sizes {known} and {n} of one letter differ")
                )
            sizes[c] = n if known == 1 else known
    return sizes


def _diagonal(value: Value, letters: str) -> Term:
    """Each letter once: two axes of one letter give their diagonal, a slice of every (n+1)-th."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            a = letters.index(c)
            b = letters.index(c, a + 1)
            n = value.shape[a]
            if value.shape[b] != n:
                raise ShapeError(
                    located(f"einsum: a repeated letter has the sizes {n} and {value.shape[b]}")
                )
            rest = [k for k in range(len(letters)) if k not in (a, b)]
            value = ops.permute(value, (*rest, a, b))
            lead = tuple(value.shape[:-2])
            value = ops.reshape(value, (*lead, n * n))
            starts, steps = (0,) * (len(lead) + 1), (*(1,) * len(lead), n + 1)
            value = ops.slice(value, starts, (*lead, n), steps)
            letters = "".join(letters[k] for k in rest) + c
    return value, letters


def _summed(value: Value, letters: str, needed: set[str]) -> Term:
    """Without the axes that nothing else needs."""
    axes = tuple(k for k, c in enumerate(letters) if c not in needed)
    return ops.sum(value, axes), "".join(c for c in letters if c in needed)


def _smallest_pair(terms: Sequence[Term], output: str, sizes: dict[str, int]) -> tuple[int, int]:
    def size_after(i: int, j: int) -> tuple[int, int, int]:
        others = set(output).union(*[t[1] for k, t in enumerate(terms) if k not in (i, j)])
        both = set(terms[i][1]) | set(terms[j][1])
        return (math.prod(sizes[c] for c in both & others), math.prod(sizes[c] for c in both), i)

    pairs = [(i, j) for i in range(len(terms)) for j in range(i + 1, len(terms))]
    return min(pairs, key=lambda pair: size_after(*pair))


def _contracted(left: Term, right: Term, needed: set[str], sizes: dict[str, int]) -> Term:
    """Two terms as one batched product: shared letters that are needed are the batch, shared
    letters that are not are summed over.
    """
    x, a = _summed(*left, needed | set(right[1]))
    y, b = _summed(*right, needed | set(a))
    batch = [c for c in a if c in b and c in needed]
    inner = [c for c in a if c in b and c not in needed]
    rows = [c for c in a if c not in b]
    columns = [c for c in b if c not in a]
    if not inner and not (rows and columns):
        return _multiplied(x, a, y, b, batch + rows + columns, sizes)
    lead = tuple(sizes[c] for c in batch)
    m, k, n = (math.prod(sizes[c] for c in group) for group in (rows, inner, columns))
    x = ops.permute(x, tuple(a.index(c) for c in batch + rows + inner))
    y = ops.permute(y, tuple(b.index(c) for c in batch + inner + columns))
    product = ops.matmul(ops.reshape(x, (*lead, m, k)), ops.reshape(y, (*lead, k, n)))
    letters = batch + rows + columns
    return ops.reshape(product, tuple(sizes[c] for c in letters)), "".join(letters)


def _multiplied(
    x: Value, a: str, y: Value, b: str, letters: list[str], sizes: dict[str, int]
) -> Term:
    """An elementwise product, where there is nothing to sum over."""
    shape = tuple(sizes[c] for c in letters)
    sides = []
    for value, own in ((x, a), (y, b)):
        order = [c for c in letters if c in own]
        turned = ops.permute(value, tuple(own.index(c) for c in order))
        sides.append(ops.broadcast(turned, shape, tuple(letters.index(c) for c in order)))
    return ops.multiply(*sides), "".join(letters)


def _stretched(value: Value, letters: str, sizes: dict[str, int]) -> Term:
    """Axes of extent 1 that broadcast against another operand's take the full extent."""
    shape = tuple(sizes[c] for c in letters)
    return ops.broadcast(value, shape, tuple(range(len(shape)))), letters
