"""The results of a call: memory for them, and the structure that they come back in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.arrays import PAGE, empty
from graphc.trace import Signature
from graphc.treecode import unflattener

#: Results of at most so many bytes are computed in memory that stays, and copied: that takes less
#: time than to find out where a fresh array lies.
_SMALL = 4096


class Results:
    """The results of one place that calls, and the table of addresses that its C code writes.

    Results that are not donated arguments are fresh arrays: `large` ones, in which they are
    computed, and copies of `small` ones, whose addresses stay the same.
    """

    def __init__(self, signature: Signature, ffi: Any, table: Any):
        self._signature = signature
        self._table = table
        self._address = ffi.from_buffer
        donors = {j for _, j in signature.donated}
        types = {j: leaf.type for j, leaf in enumerate(signature.results) if j not in donors}
        self._large = {
            j: (_maker(kind.nbytes), kind.shape, kind.dtype.numpy)
            for j, kind in types.items()
            if kind.nbytes > _SMALL
        }
        self._small = {
            j: np.empty(kind.shape, kind.dtype.numpy)
            for j, kind in types.items()
            if j not in self._large
        }
        for j, array in self._small.items():
            table[j] = self._address(array)
        self._arrays = list(self._small.values())
        self._copied = self._tree("small[{}].copy()")

    def _tree(self, small: str) -> Callable[..., Any]:
        """`f(leaves, large, small)` gives the tree of the results."""
        sources = {j: f"leaves[{i}]" for i, j in self._signature.donated}
        sources |= {j: f"large[{k}]" for k, j in enumerate(self._large)}
        sources |= {j: small.format(k) for k, j in enumerate(self._small)}
        parameters = "leaves", "large", "small"
        return unflattener(
            self._signature.out_tree, parameters, [sources[j] for j in range(len(sources))]
        )

    def place(self) -> list[np.ndarray]:
        """Fresh arrays for the large results, entered into the table."""
        made = []
        for j, (make, shape, dtype) in self._large.items():
            array = make(shape, dtype)
            self._table[j] = self._address(array)
            made.append(array)
        return made

    def copied(self, leaves: Sequence[Any], large: Sequence[np.ndarray]) -> Any:
        """What a call gives back: `leaves` are its arguments', `large` is what `place` gave."""
        if self._signature.bound is not None:
            return self._copied(leaves, *self._counted(leaves, large))
        return self._copied(leaves, large, self._arrays)

    def in_place(self, leaves: Sequence[Any], large: Sequence[np.ndarray]) -> Any:
        """The same in the very memory that the C code writes."""
        return self._tree("small[{}]")(leaves, *self._counted(leaves, large))

    def _counted(
        self, leaves: Sequence[Any], large: Sequence[np.ndarray]
    ) -> list[list[np.ndarray]]:
        """The parts of large and of small results that count."""
        both = (self._large, large), (self._small, self._arrays)
        bound = self._signature.bound
        if bound is None:
            return [list(arrays) for _, arrays in both]
        size, axes = int(leaves[-1]), bound.results
        return [
            [bound.rows(array, axes.get(j, ()), size) for j, array in zip(*group, strict=True)]
            for group in both
        ]


def _maker(size: int) -> Callable[..., np.ndarray]:
    """What makes an array of a result: a good place costs a microsecond, as much as a small one."""
    return empty if size >= 4 * PAGE else np.empty
