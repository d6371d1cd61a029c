"""The systems under measurement: a line each in `SYSTEMS`, a module or two for each framework.

`*_models.py` holds the models as the framework's users write them, `*_steps.py` the training step
around them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Program:
    """A training step with its state inside.

    `step` runs one step, perhaps asynchronously, and returns its loss in the framework's own type;
    `wait` turns a loss into a float, when it and everything before it are computed.
    """

    step: Callable[[], Any]
    wait: Callable[[Any], float]


@dataclass(frozen=True)
class System:
    """How to start a system.

    `entry` is `module:function` below `benchmarks.systems`, a function of workload, arrays and
    number of threads that returns a `Program`. `environment` sends every cache of the system below
    the directory `{cache}`. `workloads` of None means all of them.
    """

    name: str
    entry: str
    packages: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    workloads: frozenset[str] | None = None

    def supports(self, workload: str) -> bool:
        return self.workloads is None or workload in self.workloads


GRAPHC = {"GRAPHC_CACHE_DIR": "{cache}"}
JAX = {
    "JAX_COMPILATION_CACHE_DIR": "{cache}",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
TORCH = {"TORCHINDUCTOR_CACHE_DIR": "{cache}"}
PYTENSOR = {"PYTENSOR_FLAGS": "base_compiledir={cache}"}
TINYGRAD = {"CACHEDB": "{cache}/tinygrad.db"}
PERCEPTRONS = frozenset({"moons", "mlp"})

SYSTEMS = {
    system.name: system
    for system in (
        System("graphc", "graphc_steps:called", ("graphc",), GRAPHC),
        System("graphc.bind", "graphc_steps:bound", ("graphc",), GRAPHC, PERCEPTRONS),
        System("jax", "jax_steps:jitted", ("jax", "jaxlib", "optax"), JAX),
        System("torch", "torch_steps:eager", ("torch",)),
        System("torch.compile", "torch_steps:compiled", ("torch",), TORCH),
        System("pytensor", "pytensor_steps:numba", ("pytensor", "numba"), PYTENSOR, PERCEPTRONS),
        System("pytensor.c", "pytensor_steps:c", ("pytensor",), PYTENSOR, PERCEPTRONS),
        System("tinygrad", "tinygrad_steps:jitted", ("tinygrad",), TINYGRAD, PERCEPTRONS),
    )
}
"""Every system by name, in the order of the table."""
