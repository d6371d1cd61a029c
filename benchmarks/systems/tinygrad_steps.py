"""tinygrad: `TinyJit` over forward, backward and optimizer on its CPU device."""

from __future__ import annotations

from typing import Any

from tinygrad import Context, Tensor, TinyJit
from tinygrad.nn.optim import SGD

from benchmarks.systems import Program
from benchmarks.workloads import Arrays, Workload


def perceptron(layers: list[Any], x: Tensor) -> Tensor:
    for p in layers[:-1]:
        x = (x @ p["weight"] + p["bias"]).relu()
    return x @ layers[-1]["weight"] + layers[-1]["bias"]


def hinge(layers: list[Any], x: Tensor, y: Tensor) -> Tensor:
    return (1 - y * perceptron(layers, x)[:, 0]).relu().mean()


def classifier(layers: list[Any], x: Tensor, y: Tensor) -> Tensor:
    return perceptron(layers, x).sparse_categorical_crossentropy(y)


MODELS = {"hinge": hinge, "classifier": classifier}


def jitted(workload: Workload, arrays: Arrays, threads: int) -> Program:
    options = workload.optimizer.options
    layers = [{k: Tensor(v).realize() for k, v in p.items()} for p in arrays.params["layers"]]
    batch = [Tensor(a).realize() for a in arrays.batch]
    params = [v for p in layers for v in p.values()]
    optimizer = SGD(params, lr=options["learning_rate"], momentum=options.get("momentum", 0.0))

    @TinyJit
    @Context(TRAINING=1)
    def step() -> Tensor:
        optimizer.zero_grad()
        loss = MODELS[workload.model](layers, *batch).backward()
        return loss.realize(*optimizer.schedule_step())

    return Program(step, Tensor.item)
