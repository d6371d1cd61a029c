"""An artifact whose batch has any size up to a largest one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import graphc as gx
from graphc import nn
from tests.export.building import STRICT, needs, run

LARGEST = 6

_PROGRAM = """\
#include <stdio.h>
#include "step.h"

/* Rows that do not count hold what would be seen in any sum. */
int main(void)
{
    static STEP_ALIGNED unsigned char arena[STEP_ARENA_BYTES];
    static float w[STEP_RUN_W_SIZE], x[STEP_RUN_X_SIZE], slope[STEP_RUN_RESULT1_SIZE];
    static float scores[STEP_RUN_RESULT2_SIZE];
    static int32_t y[STEP_RUN_Y_SIZE];
    if (step_init(arena))
        return 1;
    for (int k = 0; k < STEP_RUN_W_SIZE; k++)
        w[k] = (float)(k % 5) / 4;
    for (int64_t size = 1; size <= STEP_RUN_Y_SIZE; size++) {
        for (int k = 0; k < STEP_RUN_X_SIZE; k++)
            x[k] = k < 3 * size ? (float)(k % 7 - 3) / 8 : 1e30f * (float)(k % 3 - 1) / 0.0f;
        for (int k = 0; k < STEP_RUN_Y_SIZE; k++)
            y[k] = k < size ? k % 4 : -1000000 * k;
        const step_run_inputs in = {.w = w, .x = x, .y = y, .B = size};
        step_run_outputs out = {.result1 = slope, .result2 = scores};
        if (step_run(&in, &out, arena))
            return 1;
        printf("%a", (double)out.loss);
        for (int k = 0; k < STEP_RUN_RESULT1_SIZE; k++)
            printf(" %a", (double)slope[k]);
        for (int k = 0; k < 4 * size; k++)
            printf(" %a", (double)scores[k]);
        puts("");
    }
    return 0;
}
"""


def fn(w, x, y):
    logits = x @ w
    loss = gx.mean(nn.softmax_cross_entropy_with_integer_labels(logits, y))
    return loss, gx.grad(loss, w), nn.relu(logits)


def test_the_size_is_an_argument_in_c(tmp_path: Path) -> None:
    w = (np.arange(12) % 5 / 4).astype(np.float32).reshape(3, 4)
    x = gx.spec(("B", 3), max=LARGEST)
    y = gx.spec(("B",), "int32", max=LARGEST)
    lowered = gx.trace(fn, w, x, y).lower(threads=1)
    lowered.export(tmp_path, "step")
    header = (tmp_path / "step.h").read_text()
    assert "const float *x; /* float32[6,3], of which [B,3] counts, x */" in header
    assert "int64_t B; /* int64[], from 1 to 6, B */" in header
    assert "float *result2; /* float32[6,4], of which [B,4] counts */" in header

    (tmp_path / "main.c").write_text(_PROGRAM)
    gcc = (needs("gcc"), *STRICT, "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")
    run([*gcc, "main.c", "step.c", "-lm", "-o", "main"], tmp_path)
    run([*gcc, "selftest.c", "step.c", "-lm", "-o", "selftest"], tmp_path)
    run(["./selftest"], tmp_path)
    rows = run(["./main"], tmp_path).stdout.splitlines()
    assert len(rows) == LARGEST
    compiled = lowered.compile()
    for size, row in enumerate(rows, 1):
        x = ((np.arange(3 * size) % 7 - 3) / 8).astype(np.float32).reshape(size, 3)
        y = (np.arange(size) % 4).astype(np.int32)
        want = np.concatenate([np.ravel(part) for part in compiled(w, x, y)])
        got = np.array([float.fromhex(number) for number in row.split()], np.float32)
        assert got.tobytes() == want.tobytes(), size


def test_the_example_ends_a_file_with_a_smaller_batch(tmp_path: Path) -> None:
    """Batches of 6 and of 3 rows in turn, as in Python, to the bit."""

    def train(w, x, y):
        loss, slope, _ = fn(w, x, y)
        return w - 0.5 * slope, loss

    rng = np.random.default_rng(3)
    w = rng.standard_normal((3, 4), np.float32)
    x = rng.standard_normal((9, 3), np.float32)
    y = rng.integers(0, 4, 9).astype(np.int32)
    specs = gx.spec(("B", 3), max=LARGEST), gx.spec(("B",), "int32", max=LARGEST)
    lowered = gx.trace(train, w, *specs, donate_argnums=0).lower(threads=1)
    lowered.export(tmp_path, "step")
    gx.save(tmp_path / "data", {"x": x, "y": y})
    gx.save(tmp_path / "state", w)
    gcc = (needs("gcc"), *STRICT, "-O1", "-march=native", "-fsanitize=address,undefined")
    run([*gcc, "example.c", "step.c", "-lm", "-o", "example"], tmp_path)
    done = run(["./example", "--steps", 5, "--data", "data", "--state", "state"], tmp_path)
    found = [np.float32(line.split()[-1]) for line in done.stdout.splitlines()]
    step, wanted = lowered.compile(), []
    for k in range(5):
        part = slice(6, 9) if k % 2 else slice(0, 6)
        w, loss = step(w, x[part], y[part])
        wanted.append(loss)
    assert found == wanted
    assert len(run(["./example"], tmp_path).stdout.splitlines()) == 10
