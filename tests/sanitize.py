"""`python -m tests.sanitize`: every operator and random graphs under AddressSanitizer and
UndefinedBehaviorSanitizer, the pool of threads under ThreadSanitizer. Needs gcc on Linux.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The first finding ends the process, so that its status tells.
FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


def environment(cache: str) -> Mapping[str, str]:
    """Every compiled step is instrumented: Python's own memory is that of the sanitizer. What
    Python never frees is no leak.
    """
    library = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    return {
        **os.environ,
        "CC": " ".join(("gcc", *FLAGS)),
        "LD_PRELOAD": library.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "GRAPHC_CACHE_DIR": cache,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sanitize", description=__doc__)
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--operators", default="", help="those that pytest's -k selects")
    given = parser.parse_args(arguments)
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    fuzz = [sys.executable, "-m", "tests.fuzz", "--seconds", "1e9", "--seed", f"{given.seed}"]
    with tempfile.TemporaryDirectory(prefix="graphc-sanitize-") as cache:
        instrumented = environment(cache)
        runs = [
            ([*pytest, "tests/ops/test_compiled.py", "-k", given.operators], instrumented),
            ([*fuzz, "--graphs", f"{given.graphs}"], instrumented),
            ([*pytest, "tests/build/test_pool.py", "-k", "sanitizers"], os.environ),
        ]
        failed = 0
        for command, variables in runs:
            print(" ".join(command[1:]), flush=True)
            failed += subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode != 0
    print("clean" if not failed else f"{failed} of {len(runs)} runs failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
