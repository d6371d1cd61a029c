"""Transformations: derivatives, batching, the user's own derivative rules, checkpoints."""

from __future__ import annotations

from graphc.transforms.batching import vmap
from graphc.transforms.checkpointing import checkpoint
from graphc.transforms.control import cond, scan, while_loop
from graphc.transforms.custom import custom_vjp
from graphc.transforms.custom_op import custom_op
from graphc.transforms.derivatives import grad, value_and_grad
from graphc.transforms.frozen import stop_gradient
from graphc.transforms.jacobians import hessian, hvp, jacfwd, jacrev, jvp, vjp
from graphc.transforms.microbatching import microbatch
from graphc.transforms.tapping import Tapped, tap

__all__ = [
    "Tapped", "checkpoint", "cond", "custom_op", "custom_vjp", "grad", "hessian", "hvp", "jacfwd",
    "jacrev", "jvp", "microbatch", "scan", "stop_gradient", "tap", "value_and_grad", "vjp",
    "vmap", "while_loop",
]  # fmt: skip
