"""`python -m benchmarks.packing PATH…`: how well and how fast the arena's planner packs instances.

A path is a CSV file `id,lower,upper,size` with half-open lifetimes, as MiniMalloc has them and as
`graphc memory --csv` writes them, or a folder of such. The ratio is the planned peak divided by the
largest sum of live bytes, below which nothing can go; 1 proves the plan optimal. Where a file's
name ends in a capacity, as in `A.1048576.csv`, the last column says whether the plan is within it.
Every plan is replayed by the independent checker.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from graphc.schedule.arena import check, plan, read_csv


def files(paths: list[Path]) -> Iterator[Path]:
    """The CSV files among paths, and those in folders among them."""
    for path in paths:
        yield from sorted(path.glob("*.csv")) if path.is_dir() else [path]


def row(path: Path, alignment: int, effort: float) -> tuple[str, ...]:
    """Buffers, peak, ratio, seconds, whether the capacity is met, and the name."""
    buffers = read_csv(path.read_text(encoding="utf-8").splitlines())
    start = time.perf_counter()
    found = plan(buffers, alignment, effort)
    seconds = time.perf_counter() - start
    check(buffers, found, alignment)
    capacity = path.stem.rpartition(".")[2]
    fits = ("yes" if found.peak <= int(capacity) else "no") if capacity.isdigit() else ""
    figures = (f"{len(buffers):,}", f"{found.peak:,}", f"{found.ratio:.5f}", f"{seconds:.2f}")
    return (*figures, fits, path.stem)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packing", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--alignment", type=int, default=1, help="of offsets (1)")
    parser.add_argument("--effort", type=float, default=1.0, help="of the complete search (1)")
    parsed = parser.parse_args()
    table = Table("buffers", "peak", "ratio", "s", "fits", "instance")
    for path in files(parsed.paths):
        table.add_row(*row(path, parsed.alignment, parsed.effort))
    Console().print(table)


if __name__ == "__main__":
    main()
