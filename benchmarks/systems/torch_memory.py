"""The bytes of a PyTorch step, counted by storage: what is kept for backward, and the peak."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.systems.torch_steps import MODELS, make_batch
from benchmarks.workloads import Arrays, Workload


class Tracker(TorchDispatchMode):
    """Follows the storages that operators make, until they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if _is_tensor(x)}
        result = func(*args, **(kwargs or {}))
        for x in tree_leaves(result):
            if _is_tensor(x) and x.untyped_storage()._cdata not in given | self.known:
                self._follow(x.untyped_storage())
        return result

    def _follow(self, storage: Any) -> None:
        size, key = storage.nbytes(), storage._cdata
        self.known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)

        def freed() -> None:
            self.known.discard(key)
            self.live -= size

        weakref.finalize(storage, freed)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, torch.Tensor)


def bytes_of_step(workload: Workload, arrays: Arrays) -> tuple[int, int]:
    """Bytes that autograd keeps from the forward pass beside parameters and the batch, and the peak
    of forward and backward with the gradients, in eager mode.
    """
    model = MODELS[workload.model](arrays.params, arrays.buffers, **workload.options)
    batch = make_batch(arrays)
    outside = {p.untyped_storage()._cdata for p in (*model.parameters(), *model.buffers(), *batch)}
    saved: dict[int, int] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage._cdata not in outside:
            saved[storage._cdata] = storage.nbytes()
        return x

    tracker = Tracker()
    with tracker:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            loss = model(*batch)
        kept = sum(saved.values())
        loss.backward()
    return kept, tracker.peak
