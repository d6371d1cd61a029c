from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from graphc.build import runtime_files
from graphc.build.runtime_files import include_closure, runtime_dir, select, used
from graphc.build.toolchain import find
from graphc.errors import CompilerError, GraphcError


def compiles(text: str, target: str, folder: Path) -> str:
    """What the compiler says about a text that should compile without a warning."""
    folder.mkdir(exist_ok=True)
    source = folder / "unit.c"
    source.write_text(text)
    found = find()
    strict = ("-Wall", "-Wextra", "-Werror", "-Wno-unused")
    try:
        found.compile({source: strict}, folder / "unit.so", found.flags(target))
    except CompilerError as error:
        return error.stderr
    return ""


def test_every_part_of_the_runtime_compiles_with_what_it_needs_and_no_more(
    tmp_path: Path,
) -> None:
    found = find()
    if found.kind == "zig":
        pytest.skip("zig has no mode that checks many files quickly")
    texts = {select([name]) for name in runtime_files._library(runtime_dir()).owners}
    for i, text in enumerate(sorted(texts)):
        (tmp_path / f"{i}.c").write_text(text)
    strict = ("-Wall", "-Wextra", "-Werror", "-Wno-unused", "-fsyntax-only")
    command = [*found.command, *found.flags(), *strict, *sorted(map(str, tmp_path.glob("*.c")))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("target", ["generic", "native"])
def test_the_whole_runtime_compiles_everywhere(
    any_compiler: str, target: str, tmp_path: Path
) -> None:
    everything = select(runtime_files._library(runtime_dir()).owners)
    assert compiles(everything, target, tmp_path) == ""


def test_no_macro_has_two_meanings() -> None:
    homes: dict[str, set[int]] = {}
    for i, chunk in enumerate(runtime_files._library(runtime_dir()).chunks):
        for name in re.findall(r"^\s*#\s*define\s+(\w+)", chunk.text, re.M):
            homes.setdefault(name, set()).add(i)
    assert not {name for name, chunks in homes.items() if len(chunks) > 1}


def test_selection_is_small_ordered_and_independent_of_the_order_of_names() -> None:
    text = select(["gx_share", "gx_philox"])
    assert text == select(["gx_philox", "gx_share", "gx_share"])
    assert (
        text.index("#include <stdint.h>") < text.index("gx_philox4x32") < text.index("gx_philox(")
    )
    assert text.index("#include <stdint.h>") < text.index("gx_range;") < text.index("gx_share(")
    assert "gx_team" not in text
    assert "pthread" not in text
    assert "_H" not in text


def test_given_parts_are_left_out(tmp_path: Path) -> None:
    header = select(["gx_thread", "gx_task"])
    rest = select(["gx_run"], given=["gx_thread", "gx_task"])
    assert "gx_run" in rest
    assert "} gx_thread;" in header
    assert "} gx_thread;" not in rest
    assert "#include" not in rest
    assert not compiles(header + rest, "native", tmp_path)


def test_used_sees_code_and_neither_comments_nor_strings() -> None:
    assert used('/* gx_share */ x = gx_run(a, "gx_philox"); // gx_barrier_wait\n gx_mine();') == {
        "gx_run"
    }


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="gx_nothing"):
        select(["gx_share", "gx_nothing"])


def test_include_closure_has_a_file_and_its_headers() -> None:
    assert sorted(include_closure("pool.c")) == ["pool.c", "pool.h", "team.h", "waiting.h"]


HEADERS = {
    "a.h": """#ifndef GX_A_H
#define GX_A_H
/* A heading.
 *
 * With gx_last in it. */

#include "b.h"

#include <math.h>

/* Calls gx_last, says the comment. */
static inline double gx_first(gx_pair p) {
  const char *s = "}{ gx_last";

  return sqrt(gx_second(&p)) + (s == 0);
}

static inline int gx_late(int n);

static inline double gx_last(void) {
  return gx_late(1);
}

static inline int gx_unneeded(void) {
  return 3;
}

static inline int gx_late(int n) {
  return n;
}

#endif
""",
    "b.h": """#ifndef GX_B_H
#define GX_B_H

#include <stddef.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef struct gx_pair gx_pair;

struct gx_pair {
  double x, y;
};

/* The macro makes the function. */
#define GX_MAKE(name) \\
  static inline double name(const gx_pair *p) { \\
    return p->x + p->y; \\
  }

GX_MAKE(gx_second)

GX_MAKE(gx_third)

#endif
""",
}


@pytest.fixture
def small_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in HEADERS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(runtime_files, "runtime_dir", lambda: tmp_path)
    return tmp_path


def test_chunks_follow_names_through_macros_tags_and_late_bodies(small_runtime: Path) -> None:
    first = select(["gx_first"])
    assert first.startswith("#if defined(__x86_64__)\n#include <immintrin.h>\n#endif\n#include <m")
    assert first.index("struct gx_pair {") < first.index("GX_MAKE(gx_second)") < first.index("sqrt")
    assert "gx_third" not in first
    assert "gx_late" not in first
    assert "#include <stddef.h>" in first
    last = select(["gx_late"])
    assert last.count("gx_late(int n)") == 2
    assert "gx_unneeded" not in last
    assert "sqrt" not in last


def test_headers_in_a_circle_and_without_a_guard_are_refused(small_runtime: Path) -> None:
    (small_runtime / "b.h").write_text('#ifndef GX_B_H\n#define GX_B_H\n#include "a.h"\n#endif\n')
    runtime_files._library.cache_clear()
    with pytest.raises(GraphcError, match="include one another"):
        select(["gx_first"])
    (small_runtime / "b.h").write_text("int gx_x;\n")
    with pytest.raises(GraphcError, match="guard"):
        select(["gx_first"])


def test_an_installed_package_finds_its_own_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "graphc"
    (package / "build").mkdir(parents=True)
    monkeypatch.setattr(runtime_files, "__file__", str(package / "build" / "runtime_files.py"))
    with pytest.raises(GraphcError, match="the C runtime is missing"):
        runtime_dir()
    beside, inside = tmp_path / "site" / "runtime", package / "_runtime"
    for folder in (beside, inside):
        folder.mkdir()
        (folder / "pool.h").touch()
        assert runtime_dir() == folder
