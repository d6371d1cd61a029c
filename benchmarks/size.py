"""`python -m benchmarks.size`: how much C the steps are, and what a compiler makes of it.

For each workload the exported NAME.c for this processor, runtime included, without threads: bytes
and lines of its text, bytes of code and constants in the object, seconds to lower the step and
write the text, and seconds of one run of the compiler (one core, the artifact's own flags).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.systems import graphc_steps
from benchmarks.workloads import WORKLOADS, Workload
from graphc.build.toolchain import find
from graphc.export.building import flags
from graphc.export.header import header
from graphc.export.interface import describe
from graphc.export.source import source


@dataclass(frozen=True)
class Size:
    """One workload: sizes in bytes, times in seconds."""

    nodes: int
    kernels: int
    functions: int
    text: int
    lines: int
    object: int
    write: float
    compile: float


def measure(workload: Workload) -> Size:
    arrays = workload.arrays()
    begin = time.perf_counter()
    traced, _ = graphc_steps.trace_step(workload, arrays)
    lowered = traced.lower(threads=1)
    artifact = describe("step", {"run": lowered}, False)
    texts = {"step.h": header(artifact), "step.c": source(artifact)}
    written = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="graphc-") as name:
        for file, text in texts.items():
            (Path(name) / file).write_text(text, encoding="utf-8")
        begin_compiler = time.perf_counter()
        command = [*find().command, *flags(artifact), "-c", "step.c"]
        subprocess.run(command, cwd=name, check=True)
        end = time.perf_counter()
        listed = subprocess.run(
            ["size", "step.o"], cwd=name, check=True, capture_output=True, text=True
        )
    (_, row) = listed.stdout.splitlines()
    return Size(
        len(lowered.graph),
        len(lowered.program.kernels),
        len(lowered.unit.functions),
        len(texts["step.c"].encode()),
        texts["step.c"].count("\n"),
        int(row.split()[0]),
        written - begin,
        end - begin_compiler,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.size", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args()
    for name in parsed.workloads:
        if name not in WORKLOADS:
            parser.error(f"no {name!r}; there are {', '.join(WORKLOADS)}")
    found = {name: measure(WORKLOADS[name]) for name in parsed.workloads or WORKLOADS}
    if parsed.json:
        print(json.dumps({name: asdict(size) for name, size in found.items()}, indent=1))
        return
    table = Table(
        "", "nodes", "kernels", "functions", "C kB", "lines", "object kB", "write s", "compile s"
    )
    for name, s in found.items():
        counts = (s.nodes, s.kernels, s.functions, round(s.text / 1e3), s.lines)
        sizes = (round(s.object / 1e3), f"{s.write:.2f}", f"{s.compile:.2f}")
        table.add_row(name, *map(str, (*counts, *sizes)))
    Console().print(table)


if __name__ == "__main__":
    main()
