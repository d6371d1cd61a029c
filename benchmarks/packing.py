"""`python -m benchmarks.packing PATH…`: how well and how fast the arena's planner packs instances.

A path is a CSV file `id,lower,upper,size` with half-open lifetimes, as MiniMalloc has them and as
`graphc memory --csv` writes them, or a folder of such. The ratio is the planned peak divided by the
largest sum of live bytes, below which nothing can go; 1 proves the plan optimal. Where a file's
name ends in a capacity, as in `A.1048576.csv`, the last column says whether the plan is within it.
Every plan is replayed by the independent checker.

A plan that is not within the capacity, or else within a thousandth of the least, is made again with
four times the effort of the complete search, until `--seconds` would not be enough: `effort` is
that of the plan. A step is planned with an effort of 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from graphc.schedule.arena import check, plan, read_csv

#: How much more effort the next plan takes.
MORE = 4
#: The ratio that is enough where no capacity is asked for.
CLOSE = 1.001


def files(paths: list[Path]) -> Iterator[Path]:
    """The CSV files among paths, and those in folders among them."""
    for path in paths:
        yield from sorted(path.glob("*.csv")) if path.is_dir() else [path]


def row(path: Path, alignment: int, effort: float, limit: float) -> tuple[str, ...]:
    """Buffers, peak, ratio, seconds, the effort, whether the capacity is met, and the name."""
    buffers = read_csv(path.read_text(encoding="utf-8").splitlines())
    name = path.stem.rpartition(".")[2]
    capacity = int(name) if name.isdigit() else 0
    start = time.perf_counter()
    while True:
        found = plan(buffers, alignment, effort)
        seconds = time.perf_counter() - start
        enough = found.peak <= max(capacity or CLOSE * found.max_live, found.max_live)
        if enough or (1 + MORE) * seconds > limit:
            break
        effort *= MORE
    check(buffers, found, alignment)
    fits = ("yes" if found.peak <= capacity else "no") if capacity else ""
    figures = (f"{len(buffers):,}", f"{found.peak:,}", f"{found.ratio:.5f}", f"{seconds:.2f}")
    return (*figures, f"{effort:g}", fits, path.stem)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packing", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--alignment", type=int, default=1, help="of offsets (1)")
    parser.add_argument("--effort", type=float, default=1.0, help="at first, of the search (1)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for an instance (60)")
    parsed = parser.parse_args()
    table = Table("buffers", "peak", "ratio", "s", "effort", "fits", "instance")
    for path in files(parsed.paths):
        table.add_row(*row(path, parsed.alignment, parsed.effort, parsed.seconds))
    Console().print(table)


if __name__ == "__main__":
    main()
