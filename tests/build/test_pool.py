from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphc.build import cpu
from graphc.build.library import Library, load
from graphc.build.pool import MAX_THREADS, RuntimePool, check_status, check_threads, runtime
from graphc.build.runtime_files import include_closure, runtime_dir, select
from graphc.build.toolchain import find
from graphc.errors import ArgumentError, GraphcError

EXPORT = '__attribute__((visibility("default")))'

# As generated code will do it: the runtime's parts pasted, the pool only a pointer.
COUNTER = (
    select(["gx_run", "gx_barrier_wait"])
    + f"""
typedef struct {{ int64_t seen[2000], sum; int count; }} state;

static void task(void *context, gx_thread thread) {{
  state *s = context;
  s->seen[thread.id] = thread.id + 1;
  gx_barrier_wait(thread);
  if (thread.id == thread.count - 1)
    for (int i = 0; i < thread.count; i++)
      s->sum += s->seen[i];
  if (thread.id == 0)
    s->count = thread.count;
}}

{EXPORT} int count(const gx_runtime *runtime, int threads, int *count) {{
  state s = {{0}};
  const int status = gx_run(runtime, task, &s, threads);
  *count = s.sum == (int64_t)s.count * (s.count + 1) / 2 ? s.count : -1;
  return status;
}}
"""
)


SHARES = (
    select(["gx_share"])
    + f"""
{EXPORT} void share(int64_t n, int64_t grain, int id, int count, int64_t *ends) {{
  const gx_range part = gx_share(n, grain, (gx_thread){{.id = id, .count = count}});
  ends[0] = part.begin;
  ends[1] = part.end;
}}
"""
)


def test_shares_follow_one_another_and_are_whole_grains() -> None:
    """All of [0, n), and of sizes that 32 bits do not hold."""
    cdef = "void share(int64_t n, int64_t grain, int id, int count, int64_t *ends);"
    library = load(SHARES, cdef)
    ends = library.ffi.new("int64_t[2]")
    for n in (0, 1, 7, 64, 4099, 2**31 - 1, 2**33 + 5, 2**62 + 3):
        for grain in (1, 64, 4099):
            for count in (1, 2, 3, 7, 64):
                before, sizes = 0, []
                for number in range(count):
                    library.lib.share(n, grain, number, count, ends)
                    first, last = ends
                    assert (first, first <= last) == (before, True), (n, grain, count, number)
                    assert first % grain == 0 or first == n, (n, grain, count, number)
                    sizes.append(-(-(last - first) // grain))
                    before = last
                assert before == n, (n, grain, count)
                assert max(sizes) - min(sizes) <= 1, (n, grain, count)


@pytest.fixture
def counter() -> Library:
    return load(COUNTER, "int count(const void *runtime, int threads, int *count);")


def count(library: Library, handle: Any, threads: int) -> int:
    """How many threads took part in a region; -1 where one did not see what all had written."""
    found = library.ffi.new("int *")
    check_status(library.lib.count(handle, threads, found), threads)
    return int(found[0])


@pytest.mark.parametrize("threads", [1, 2, 3, 40])
def test_generated_code_runs_on_the_pool(counter: Library, threads: int) -> None:
    for _ in range(50):
        assert count(counter, runtime().handle, threads) == threads
    assert runtime().started >= threads - 1


def test_a_region_has_no_more_threads_than_cores(counter: Library) -> None:
    pool = RuntimePool(cores=2)
    # While the machine is busy, regions run on one thread.
    assert {count(counter, pool.handle, 40) for _ in range(50)} <= {1, 2}
    assert pool.started == 1
    with pytest.raises(ArgumentError, match="expected 1 to 1024"):
        count(counter, pool.handle, MAX_THREADS + 1)


def test_one_thread_needs_no_pool(counter: Library) -> None:
    assert count(counter, counter.ffi.NULL, 1) == 1


def test_there_is_one_pool() -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(runtime())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [runtime()] * 4


def test_regions_of_several_python_threads(counter: Library) -> None:
    results: set[int] = set()

    def work() -> None:
        results.update(count(counter, runtime().handle, 3) for _ in range(100))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {3}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_workers_of_its_own(counter: Library) -> None:
    pool = runtime()
    assert count(counter, pool.handle, 3) == 3
    child = os.fork()
    if child == 0:
        right = pool.started == 0 and count(counter, runtime().handle, 4) == 4
        os._exit(0 if right and pool.started == 3 else 1)
    assert count(counter, pool.handle, 3) == 3
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_forked_before_the_first_call_and_many_processes(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = python(
        "import multiprocessing as mp\n"
        "from graphc.build.pool import runtime\n"
        "def work(_):\n"
        "    runtime().start(3)\n"
        "    return runtime().started\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('fork').Pool(3) as pool:\n"
        "        print(pool.map(work, range(6)))\n"
        "    work(0)\n"
        "    with mp.get_context('fork').Pool(2) as pool:\n"
        "        print(pool.map(work, range(2)))\n"
    )
    workers = min(3, cpu.cores()) - 1
    assert done.stdout.splitlines() == [str([workers] * n) for n in (6, 2)], done.stderr
    assert done.returncode == 0


def test_workers_do_not_keep_a_process_from_ending(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = python("from graphc.build.pool import runtime; runtime().start(5); print('end')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_how_many_threads() -> None:
    assert check_threads(MAX_THREADS) == MAX_THREADS
    for threads in (0, -1, MAX_THREADS + 1):
        with pytest.raises(ArgumentError, match=f"threads: expected 1 to 1024, got {threads}"):
            check_threads(threads)
    with pytest.raises(ArgumentError, match="expected 1 to 1024"):
        runtime().start(MAX_THREADS + 1)
    with pytest.raises(GraphcError, match=r"cannot start 8 threads: .*fewer threads"):
        check_status(errno.EAGAIN, 8)


def test_the_system_refuses_threads(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = python(
        "import resource\n"
        "from graphc.build.pool import RuntimePool\n"
        "pool = RuntimePool(cores=1000)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "pool.start(1000)\n"
    )
    assert "graphc.errors.GraphcError: cannot start 1000 threads" in done.stderr


def build(tmp_path: Path, *flags: str) -> Path:
    found = find()
    source, program = Path(__file__).with_name("team_test.c"), tmp_path / "team_test"
    strict = ("-Wall", "-Wextra", "-Werror", "-pthread", f"-I{runtime_dir()}", *flags)
    found.compile({source: strict}, program, found.flags(), shared=False)
    return program


def test_team(any_compiler: str, tmp_path: Path) -> None:
    program = build(tmp_path, "-O3")
    done = subprocess.run([program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "passed\n"), done.stderr


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_team_under_sanitizers(sanitizer: str, tmp_path: Path) -> None:
    if find().kind != "gcc":
        pytest.skip("sanitizers are used with gcc")
    flags = (f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-g", "-O1")
    program = build(tmp_path, *flags)
    command = [str(program), "without fork"]
    # A thread sanitizer of 2022 does not know where newer kernels place a randomised program.
    if shutil.which("setarch"):
        command = ["setarch", "-R", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("the thread sanitizer does not work with this kernel")
    assert (done.returncode, done.stdout) == (0, "passed\n"), done.stderr[-3000:]


def test_pool_and_probe_are_clean_for_strict_compilers(any_compiler: str, tmp_path: Path) -> None:
    found = find()
    strict = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread")
    for name in ("pool.c", "probe.c"):
        for file, text in include_closure(name).items():
            (tmp_path / file).write_text(text)
        for target in ("native", "generic"):
            source = {tmp_path / name: strict}
            found.compile(source, tmp_path / f"{name}.so", found.flags(target))
