"""PyTorch, eager with fused optimizers, and with `torch.compile` over loss and optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.systems import Program, torch_heldout, torch_models
from benchmarks.workloads import Arrays, Optimizer, Workload

MODELS = torch_models.MODELS | torch_heldout.MODELS
COMPILED_MODELS = torch_models.COMPILED_MODELS | torch_heldout.MODELS


def make_optimizer(chosen: Optimizer, model: torch.nn.Module, fused: bool) -> Any:
    """The optimizer by its PyTorch name; AdamW's weight decay is optax's default."""
    options: dict[str, Any] = {**chosen.options, "fused": fused}
    options["lr"] = options.pop("learning_rate")
    params = [p for p in model.parameters() if p.requires_grad]
    match chosen.name:
        case "sgd":
            return torch.optim.SGD(params, **options)
        case "adam":
            return torch.optim.Adam(params, **options)
        case "adamw":
            return torch.optim.AdamW(params, weight_decay=1e-4, **options)
    raise ValueError(f"no PyTorch counterpart of {chosen.name}")


def make_batch(arrays: Arrays) -> list[torch.Tensor]:
    """PyTorch wants class labels as int64."""
    wide = (a.astype(np.int64) if a.dtype == np.int32 else a for a in arrays.batch)
    return [torch.from_numpy(a) for a in wide]


def eager(workload: Workload, arrays: Arrays, threads: int) -> Program:
    torch.set_num_threads(threads)
    model = MODELS[workload.model](arrays.params, arrays.buffers, **workload.options)
    optimizer, batch = make_optimizer(workload.optimizer, model, fused=True), make_batch(arrays)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(*batch)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, torch.Tensor.item)


def compiled(workload: Workload, arrays: Arrays, threads: int) -> Program:
    """The optimizer is not fused by hand: its loop over parameters is what is compiled."""
    torch.set_num_threads(threads)
    model = COMPILED_MODELS[workload.model](arrays.params, arrays.buffers, **workload.options)
    optimizer, batch = make_optimizer(workload.optimizer, model, fused=False), make_batch(arrays)
    objective = torch.compile(model)
    update = torch.compile(optimizer.step)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = objective(*batch)
        loss.backward()
        update()
        return loss

    return Program(step, torch.Tensor.item)
