"""A lower bound of the arena over all orders of a program's kernels."""

from __future__ import annotations

import numpy as np

from graphc.ir.graph import Value
from graphc.schedule.program import Memory, Program


def order_lower_bound(program: Program) -> int:
    """Bytes that no order of the same kernels can do without.

    While a kernel runs, what it reads and writes is live, its workspace, and whatever is computed
    before it in every order and read behind it in every order. A result that may be written over an
    operand counts once with it.
    """
    kernels = program.kernels
    producer = {v: k for k, kernel in enumerate(kernels) for v in kernel.writes}
    readers: dict[Value, list[int]] = {}
    for k, kernel in enumerate(kernels):
        for value in kernel.reads:
            readers.setdefault(value, []).append(k)
    before = [0] * len(kernels)
    for k, kernel in enumerate(kernels):
        for p in {producer[v] for v in kernel.reads if v in producer}:
            before[k] |= before[p] | 1 << p
    behind = [0] * len(kernels)
    for k in reversed(range(len(kernels))):
        for r in {r for v in kernels[k].writes for r in readers.get(v, ())}:
            behind[k] |= behind[r] | 1 << r
    live = np.zeros(len(kernels), np.int64)
    for value, k in producer.items():
        buffer = program.buffers[value]
        if buffer.memory is not Memory.ARENA:
            continue
        ends = 1 << k
        for r in readers.get(value, ()):
            ends |= before[r] | 1 << r
        live += kernels[k].storage.nbytes(value) * _bits((behind[k] | 1 << k) & ends, len(kernels))
    for k, kernel in enumerate(kernels):
        work = program.workspaces.get(kernel)
        live[k] += work.nbytes if work is not None else 0
        taken: set[Value] = set()
        for value in kernel.writes:
            for root in kernel.reads:
                if root in producer and root not in taken and kernel.may_overwrite(root, value):
                    taken.add(root)
                    live[k] -= min(root.type.nbytes, value.type.nbytes)
                    break
    return int(live.max(initial=0))


def _bits(mask: int, count: int) -> np.ndarray:
    data = np.frombuffer(mask.to_bytes(-(-count // 8), "little"), np.uint8)
    return np.unpackbits(data, count=count, bitorder="little").astype(np.int64)
