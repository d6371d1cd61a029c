"""`python -m benchmarks.memory`: what the same steps keep and need in graphc, JAX and PyTorch.

graphc's figures are planned and hold everything that is not an argument or a result, gradients,
workspaces and the optimizer's included. JAX's are XLA's temporaries; PyTorch's, counted by storage
in eager mode, leave the optimizer out. `checkpointed` computes the whole loss again in the backward
pass; graphc's smallest plan is the last of its curve.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from importlib.util import find_spec

from rich.console import Console
from rich.table import Table

from benchmarks.heldout import ALL
from benchmarks.systems import graphc_steps
from benchmarks.workloads import Workload
from graphc import memory

#: System, bytes kept for the backward pass (None where it does not say), peak, and a remark.
Row = tuple[str, int | None, int, str]


def rows(workload: Workload, smallest: bool) -> Iterator[Row]:
    """One row for each system that is installed."""
    traced, _ = graphc_steps.trace_step(workload, workload.arrays())
    lowered = traced.lower()
    report = lowered.memory
    yield "graphc", report.kept_bytes, report.peak_bytes, ""
    if smallest:
        choice = memory.pareto(traced)[-1]
        least = traced.lower(memory_budget=choice.peak_bytes).memory
        flops = sum(kernel.flops for kernel in lowered.program.kernels)
        more = f"{100 * least.recompute_flops / max(1, flops):.0f} % of the flops again"
        yield "graphc, smallest", least.kept_bytes, least.peak_bytes, more
    for checkpointed in (False, True):
        remark = "checkpointed" if checkpointed else ""
        if find_spec("jax") and find_spec("optax"):
            from benchmarks.systems.jax_steps import temporary_bytes

            yield "jax", None, temporary_bytes(workload, workload.arrays(), checkpointed), remark
        if find_spec("torch"):
            from benchmarks.systems.torch_memory import bytes_of_step

            yield "torch", *bytes_of_step(workload, workload.arrays(), checkpointed), remark


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(ALL))
    parser.add_argument("--smallest", action="store_true", help="also graphc's smallest plan")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args()
    for name in parsed.workloads:
        if name not in ALL:
            parser.error(f"no {name!r}; there are {', '.join(ALL)}")
    found = {
        name: list(rows(ALL[name], parsed.smallest))
        for name in parsed.workloads or ("moons", "mlp", "gpt-nano", "gpt-mini")
    }
    if parsed.json:
        print(json.dumps(found, indent=1))
        return
    for name, lines in found.items():
        table = Table("system", "kept MB", "peak MB", "", title=name)
        for system, kept, peak, remark in lines:
            table.add_row(system, "" if kept is None else _mb(kept), _mb(peak), remark)
        Console().print(table)


def _mb(size: int) -> str:
    return f"{size / 1e6:.2f}"


if __name__ == "__main__":
    main()
