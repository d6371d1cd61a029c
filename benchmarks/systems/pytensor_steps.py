"""PyTensor: shared variables with updates, compiled by Numba (its default) or by its C linker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from benchmarks.systems import Program
from benchmarks.workloads import Arrays, Optimizer, Workload


def perceptron(layers: list[Any], x: Any) -> Any:
    for p in layers[:-1]:
        x = pt.maximum(x @ p["weight"] + p["bias"], 0)
    return x @ layers[-1]["weight"] + layers[-1]["bias"]


def hinge(layers: list[Any], x: Any, y: Any) -> Any:
    return pt.maximum(1 - y * perceptron(layers, x)[:, 0], 0).mean()


def classifier(layers: list[Any], x: Any, y: Any) -> Any:
    log_probabilities = pt.special.log_softmax(perceptron(layers, x), axis=-1)
    return -log_probabilities[pt.arange(y.shape[0]), y].mean()


MODELS = {"hinge": hinge, "classifier": classifier}


def sgd(loss: Any, params: list[Any], optimizer: Optimizer) -> dict[Any, Any]:
    """The updates of shared variables, momentum as in optax."""
    rate = np.float32(optimizer.options["learning_rate"])
    momentum = np.float32(optimizer.options.get("momentum", 0))
    updates = {}
    for p, gradient in zip(params, pytensor.grad(loss, params), strict=True):
        if momentum:
            trace = pytensor.shared(np.zeros_like(p.get_value()))
            gradient = updates[trace] = momentum * trace + gradient
        updates[p] = p - rate * gradient
    return updates


def start(mode: str, workload: Workload, arrays: Arrays) -> Program:
    shared = [{k: pytensor.shared(v) for k, v in p.items()} for p in arrays.params["layers"]]
    loss = MODELS[workload.model](shared, *(pytensor.shared(a) for a in arrays.batch))
    params = [v for p in shared for v in p.values()]
    step: Callable[[], Any] = pytensor.function(
        [], loss, updates=sgd(loss, params, workload.optimizer), mode=mode
    )
    return Program(step, float)


def numba(workload: Workload, arrays: Arrays, threads: int) -> Program:
    """BLAS takes its number of threads from the process's affinity; the rest runs on one."""
    return start("NUMBA", workload, arrays)


def c(workload: Workload, arrays: Arrays, threads: int) -> Program:
    """The same, through the C linker."""
    return start("CVM", workload, arrays)
