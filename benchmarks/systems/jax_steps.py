"""`jax.jit` over loss, gradient and optax update, with donated state."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import optax

from benchmarks.systems import Program, jax_heldout, jax_models
from benchmarks.workloads import Arrays, Workload

MODELS = jax_models.MODELS | jax_heldout.MODELS


def make_step(workload: Workload, arrays: Arrays) -> tuple[Any, Any, Any]:
    """The jitted step, its state and its batch."""
    optimizer = getattr(optax, workload.optimizer.name)(**workload.optimizer.options)
    model = partial(MODELS[workload.model], **workload.options)

    @partial(jax.jit, donate_argnums=0)
    def train(state: Any, batch: Any) -> Any:
        params, buffers, opt = state
        gradient = jax.value_and_grad(model, has_aux=True)
        (loss, buffers), grads = gradient(params, buffers, batch)
        updates, opt = optimizer.update(grads, opt, params)
        return (optax.apply_updates(params, updates), buffers, opt), loss

    params, buffers, batch = jax.device_put((arrays.params, arrays.buffers, arrays.batch))
    return train, (params, buffers, optimizer.init(params)), batch


def temporary_bytes(workload: Workload, arrays: Arrays) -> int:
    """XLA's temporaries: what a step needs beside its arguments and results."""
    train, state, batch = make_step(workload, arrays)
    return train.lower(state, batch).compile().memory_analysis().temp_size_in_bytes


def jitted(workload: Workload, arrays: Arrays, threads: int) -> Program:
    """XLA takes its number of threads from the process's affinity."""
    train, state, batch = make_step(workload, arrays)

    def step() -> jax.Array:
        nonlocal state
        state, loss = train(state, batch)
        return loss

    return Program(step, float)
