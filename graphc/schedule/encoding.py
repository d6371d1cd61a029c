"""Packed predicates: truth values that wait for the backward pass, one bit an element.

A byte holds one column of eight rows, where the last axis numbers columns and all others rows. So
neighbours in a row are neighbours in memory, and a loop along the row reads and writes bytes with
one shift for all, as vectors do; whoever writes a row of bits has written the seven before it. The
encoding is a property of a buffer, which kernels read and write through: to the graph the value is
an array of bool.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphc.dtypes import bool_
from graphc.ir.expr import Expr
from graphc.ir.graph import Graph, Value
from graphc.ir.phases import Phase, phases
from graphc.ir.spec import Strided

if TYPE_CHECKING:
    from graphc.schedule.kernel import Kernel

#: Rows of which a byte holds one bit each.
ROWS = 8
#: Shorter rows are not worth a loop of their own.
MIN_COLUMNS = 16


@dataclass(frozen=True, slots=True)
class Bits:
    """An array of rows and columns of bits."""

    rows: int
    columns: int

    @property
    def nbytes(self) -> int:
        return -(-self.rows // ROWS) * self.columns

    @property
    def span(self) -> int:
        """Elements, counted row by row, that share their bytes with no others."""
        return ROWS * self.columns

    def parts(self, strides: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Steps over elements as steps over rows and over columns."""
        rows = tuple(0 if s < self.columns else s // self.columns for s in strides)
        columns = tuple(s if s < self.columns else 0 for s in strides)
        return rows, columns

    def divides(self, shape: Sequence[int], strides: Sequence[int], start: int = 0) -> bool:
        """Whether every axis of an access goes along rows or along columns."""
        reach = start % self.columns
        for extent, step in zip(shape, strides, strict=True):
            if step < 0 or (step >= self.columns and step % self.columns):
                return False
            reach += step * (extent - 1) if step < self.columns else 0
        return reach < self.columns

    def byte(self, row: Expr, column: Expr) -> Expr:
        """The offset of the byte that holds a bit, which is number row % ROWS in it."""
        return row // ROWS * self.columns + column

    def unpacked(self, data: np.ndarray) -> np.ndarray:
        """The bools, flat, of bytes."""
        planes = data.reshape(-1, 1, self.columns) >> np.arange(ROWS, dtype=np.uint8)[:, None] & 1
        return planes.reshape(-1)[: self.rows * self.columns].view(np.bool_)


def is_predicate(value: Value) -> bool:
    return value.dtype is bool_ and value.type.size > 1


def is_encoding(value: Value) -> bool:
    """Whether a value stands for another one where a derivative asks, in a few bits an element."""
    return is_predicate(value) or value.node.op.compact


def bits_of(value: Value) -> Bits | None:
    """How a value is packed; None where it stays as it is."""
    if not is_predicate(value) or not value.shape or value.shape[-1] < MIN_COLUMNS:
        return None
    bits = Bits(math.prod(value.shape[:-1]), value.shape[-1])
    return bits if bits.rows >= ROWS else None


def encoded_bytes(value: Value) -> int:
    """Bytes that a value takes while it waits for the backward pass."""
    bits = bits_of(value)
    return value.type.nbytes if bits is None else bits.nbytes


def packed(graph: Graph, kernels: Sequence[Kernel]) -> dict[Value, Bits]:
    """The predicates that forward kernels pack and backward kernels unpack. A kernel that can do
    neither leaves them as bytes.
    """
    phase = phases(graph)
    outputs = set(graph.outputs)
    readers: dict[Value, list[Kernel]] = {}
    for kernel in kernels:
        for value in kernel.reads:
            readers.setdefault(value, []).append(kernel)
    found = {}
    for kernel in kernels:
        for value in kernel.writes:
            bits = bits_of(value) if value not in outputs else None
            if bits is None or phase[value.node] is not Phase.FORWARD:
                continue
            reading = readers.get(value, [])
            waits = any(phase[n] is not Phase.FORWARD for k in reading for n in k.nodes)
            place = kernel.storage.places[value].strided
            plain = place == Strided.contiguous(value.shape)
            if (
                waits
                and plain
                and kernel.can_pack(value, bits)
                and all(k.can_unpack(value, bits) for k in reading)
            ):
                found[value] = bits
    return found
