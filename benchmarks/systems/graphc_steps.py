"""graphc: the whole step compiled with donated state, called as a function or bound to buffers."""

from __future__ import annotations

from typing import Any

import graphc as gx
from benchmarks.systems import Program, graphc_heldout, graphc_models
from benchmarks.workloads import Arrays, Workload
from graphc import optim

MODELS = graphc_models.MODELS | graphc_heldout.MODELS


def trace_step(workload: Workload, arrays: Arrays) -> tuple[Any, Any]:
    """The traced step and its state."""
    optimizer = getattr(optim, workload.optimizer.name)(**workload.optimizer.options)
    model = MODELS[workload.model]

    def train(state: Any, batch: Any) -> Any:
        params, buffers, opt = state
        loss, buffers = model(params, buffers, batch, **workload.options)
        updates, opt = optimizer.update(gx.grad(loss, params), opt, params)
        return (optim.apply_updates(params, updates), buffers, opt), loss

    state = gx.device_put((arrays.params, arrays.buffers, optimizer.init(arrays.params)))
    return gx.trace(train, state, arrays.batch, donate_argnums=0), state


def compile_step(workload: Workload, arrays: Arrays, threads: int) -> tuple[Any, Any, Any]:
    """The compiled step, its state and its batch."""
    traced, state = trace_step(workload, arrays)
    return traced.lower(threads=threads).compile(), state, arrays.batch


def called(workload: Workload, arrays: Arrays, threads: int) -> Program:
    """The ordinary call, which checks its arguments every time."""
    train, state, batch = compile_step(workload, arrays, threads)

    def step() -> Any:
        return train(state, batch)[1]

    return Program(step, float)


def bound(workload: Workload, arrays: Arrays, threads: int) -> Program:
    """`bind` over fixed buffers."""
    train, state, batch = compile_step(workload, arrays, threads)
    bound_step = train.bind(state, batch)

    def step() -> Any:
        return bound_step()[1]

    return Program(step, float)
