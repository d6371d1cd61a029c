"""`jax.jit` over loss, gradient and optax update, with donated state."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import optax

from benchmarks.systems import Program
from benchmarks.systems.jax_models import MODELS
from benchmarks.workloads import Arrays, Workload


def jitted(workload: Workload, arrays: Arrays, threads: int) -> Program:
    """XLA takes its number of threads from the process's affinity."""
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
    state = params, buffers, optimizer.init(params)

    def step() -> jax.Array:
        nonlocal state
        state, loss = train(state, batch)
        return loss

    return Program(step, float)
