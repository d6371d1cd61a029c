"""`python -m benchmarks.memory`: what the same steps keep and need in graphc, JAX and PyTorch.

graphc's figures are planned and hold everything that is not an argument or a result, gradients,
workspaces and the optimizer's included. JAX's are XLA's temporaries; PyTorch's, counted by storage
in eager mode, leave the optimizer out. `checkpointed` computes every block of a transformer again
in the backward pass, in each system by its own means; graphc's smallest plan is the last of its
curve. Beside them stand the values of formulas (`formulas.py`). `--fit 1GiB` gives the largest
batch of a transformer that needs no more than that.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec

from rich.console import Console
from rich.table import Table

from benchmarks import formulas
from benchmarks.heldout import ALL
from benchmarks.systems import graphc_steps
from benchmarks.workloads import GPT, Workload
from graphc import memory
from graphc.memory.fitting import largest_fitting
from graphc.memory.sizes import byte_count

#: Bytes kept for the backward pass (None where a system does not say), and peak.
Bytes = tuple[int | None, int]


def planned(workload: Workload) -> Bytes:
    report = graphc_steps.trace_step(workload, workload.arrays())[0].lower().memory
    return report.kept_bytes, report.peak_bytes


def of_jax(workload: Workload) -> Bytes:
    from benchmarks.systems.jax_steps import temporary_bytes

    return None, temporary_bytes(workload, workload.arrays())


def of_torch(workload: Workload) -> Bytes:
    from benchmarks.systems.torch_memory import bytes_of_step

    return bytes_of_step(workload, workload.arrays())


def systems() -> dict[str, Callable[[Workload], Bytes]]:
    """The systems that are installed."""
    found: dict[str, Callable[[Workload], Bytes]] = {"graphc": planned}
    if find_spec("jax") and find_spec("optax"):
        found["jax"] = of_jax
    if find_spec("torch"):
        found["torch"] = of_torch
    return found


def forms(workload: Workload) -> dict[str, Workload]:
    """The workload, and with its blocks checkpointed where it can be."""
    if "remat" not in workload.options:
        return {"": workload}
    again = replace(workload, options={**workload.options, "remat": True})
    return {"": workload, "checkpointed": again}


def rows(workload: Workload, smallest: bool) -> Iterator[tuple[str, int | None, int | None, str]]:
    """System, bytes kept and peak, and a remark, a row for each system and form."""
    by_hand = formulas.of(workload)
    if by_hand is not None:
        yield "formula, naive", by_hand.naive, None, ""
        yield "formula, reachable", by_hand.reachable, None, "no product done again"
    for remark, form in forms(workload).items():
        for name, measure in systems().items():
            yield name, *measure(form), remark
    if smallest:
        traced, _ = graphc_steps.trace_step(workload, workload.arrays())
        choice = memory.pareto(traced)[-1]
        lowered = traced.lower(memory_budget=choice.peak_bytes)
        flops = sum(kernel.flops for kernel in lowered.program.kernels)
        again = f"{100 * lowered.memory.recompute_flops / max(1, flops):.0f} % of the flops again"
        yield "graphc, smallest", lowered.memory.kept_bytes, lowered.memory.peak_bytes, again


def fits(workload: Workload, model: GPT, limit: int) -> Iterator[tuple[str, int, str]]:
    """System, the largest batch whose peak is within the limit, and a remark."""
    for remark, form in forms(workload).items():
        for name, measure in systems().items():

            def fit(
                batch: int,
                form: Workload = form,
                measure: Callable[[Workload], Bytes] = measure,
            ) -> bool:
                return measure(replace(form, make=replace(model, batch=batch)))[1] <= limit

            yield name, largest_fitting(fit), remark


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(ALL))
    parser.add_argument("--smallest", action="store_true", help="also graphc's smallest plan")
    parser.add_argument("--fit", metavar="BYTES", help="the largest batch instead (transformers)")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args()
    for name in parsed.workloads:
        if name not in ALL:
            parser.error(f"no {name!r}; there are {', '.join(ALL)}")
    if parsed.fit is not None:
        _print_fits(parser, parsed.workloads or ["gpt-mini"], byte_count(parsed.fit), parsed.json)
        return
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
            figures = ("" if size is None else _mb(size) for size in (kept, peak))
            table.add_row(system, *figures, remark)
        Console().print(table)


def _print_fits(
    parser: argparse.ArgumentParser, names: list[str], limit: int, as_json: bool
) -> None:
    found = {}
    for name in names:
        model = ALL[name].make
        if not isinstance(model, GPT):
            parser.error(f"--fit: {name} is no transformer with a batch to vary")
        found[name] = list(fits(ALL[name], model, limit))
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for name, lines in found.items():
        table = Table("system", "largest batch", "", title=f"{name}, {_mb(limit)} MB")
        for system, batch, remark in lines:
            table.add_row(system, str(batch), remark)
        Console().print(table)


def _mb(size: int) -> str:
    return f"{size / 1e6:.2f}"


if __name__ == "__main__":
    main()
