"""`python -m tests.fuzz --seconds 600 --seed 1`: random graphs until the time is over."""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from functools import partial
from pathlib import Path

from tests.fuzz.run import own_cases, run, smith_cases


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--graphs", type=float, default=math.inf, help="at most so many")
    parser.add_argument("--nnsmith", action="store_true", help="graphs that NNSmith draws")
    given = parser.parse_args()
    source = smith_cases if given.nnsmith else own_cases
    warnings.simplefilter("ignore")
    say = partial(print, flush=True)
    tally = run(given.seconds, given.seed, given.failures, say, source, given.graphs)
    print(f"{tally.graphs} graphs of {tally.lines} lines: {len(tally.found)} failures")
    return 1 if tally.found else 0


if __name__ == "__main__":
    sys.exit(main())
