"""Several functions in one artifact, threads, names, constants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from tests.export.building import STRICT, initial, loss, make, needs, run, scores, traced, train

GCC = ("gcc", "-O1", "-march=native")

CALLER = """
#include "digits.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 50 };
static float x[DIGITS_TRAIN_X_SIZE];
static int32_t y[DIGITS_TRAIN_Y_SIZE];
static digits_state states[3];
static DIGITS_ALIGNED unsigned char arenas[3][DIGITS_ARENA_BYTES];
static float losses[3];

static int train(int which, digits_pool *pool)
{
    const digits_train_inputs in = {.x = x, .y = y};
    digits_train_outputs out;
    int status = digits_init(arenas[which]);
    for (int k = 0; k < STEPS && !status; k++)
        status = digits_train(&states[which], &in, &out, arenas[which], pool);
    losses[which] = out.loss;
    return status;
}

static void *alone(void *argument)
{
    static int status[3];
    const int which = *(int *)argument;
    status[which] = train(which, NULL);
    return &status[which];
}

int main(void)
{
    static int first = 0, second = 1;
    static digits_pool pool;
    pthread_t other;
    void *status;
    for (int k = 0; k < DIGITS_TRAIN_X_SIZE; k++)
        x[k] = (float)(k * 37 % 101) / 101 - 0.5f;
    for (int k = 0; k < DIGITS_TRAIN_Y_SIZE; k++)
        y[k] = x[12 * k] > 0;
    for (int s = 0; s < 3; s++)
        for (int k = 0; k < 192; k++)
            (&states[s].params_w1[0][0])[k] = (float)(k * 29 % 97) / 97 - 0.5f;
    const digits_train_inputs in = {.x = x, .y = y};
    digits_train_outputs out;
    if (digits_train(&states[0], &in, &out, arenas[0], NULL) != DIGITS_NOT_INITIALIZED)
        return 1;
    if (digits_init(arenas[0] + 8) != DIGITS_MISALIGNED)
        return 2;
    /* Two steps at once, then one on two threads. */
    if (pthread_create(&other, NULL, alone, &second) || *(int *)alone(&first) ||
        pthread_join(other, &status) || *(int *)status)
        return 3;
    if (digits_pool_init(&pool, 2) || train(2, &pool))
        return 4;
    digits_pool_destroy(&pool);
    if (memcmp(&states[0], &states[1], sizeof states[0]) ||
        memcmp(&states[0], &states[2], sizeof states[0]) || losses[0] != losses[2])
        return 5;
    /* What was trained is what evaluate and infer read. */
    static digits_state before;
    before = states[0];
    digits_evaluate_outputs end;
    const digits_evaluate_inputs given = {.x = x, .y = y};
    if (digits_evaluate(&states[0], &given, &end, arenas[0], NULL) || !(end.loss < losses[0]))
        return 6;
    float found[DIGITS_INFER_RESULT_SIZE];
    const digits_infer_inputs images = {.x = x};
    digits_infer_outputs answer = {.result = found};
    if (digits_infer(&states[0], &images, &answer, arenas[1], NULL))
        return 7;
    printf("%.9g\\n", (double)end.loss);
    return memcmp(&before, &states[0], sizeof before) ? 8 : 0;
}
"""


def test_several_functions_share_the_state(tmp_path: Path) -> None:
    """`evaluate` takes the whole state, `infer` a part of it, `grad` gives gradients of it."""
    needs("gcc")
    rows = 8192  # so many that a plan for two threads keeps them
    x, y = np.zeros((rows, 12), np.float32), np.zeros(rows, np.int32)
    state = initial()

    def evaluate(state: Any, x: Any, y: Any) -> Any:
        return loss(state["params"], x, y)

    def infer(params: Any, x: Any) -> Any:
        return scores(params, x)

    beside = {
        "evaluate": gx.trace(evaluate, state, x, y).lower(threads=2),
        "infer": gx.trace(infer, state["params"], x).lower(threads=2),
        "grad": gx.trace(gx.grad(loss), state["params"], x, y).lower(threads=2),
    }
    step = gx.trace(train, state, x, y, donate_argnums=0).lower(threads=2)
    step.export(tmp_path, "digits", threads=True, beside=beside)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    entries = {e["function"]: e for e in manifest["entries"]}
    assert [f["name"] for f in entries["digits_infer"]["inputs"]] == ["x"]
    assert not entries["digits_evaluate"]["modifies_state"]
    assert len(entries["digits_grad"]["outputs"]) == 4
    done = run([make(tmp_path, (*GCC, "-pthread"), "selftest")], tmp_path)
    assert all(name in done.stdout for name in entries)
    assert manifest["threads"] == 2
    (tmp_path / "caller.c").write_text(CALLER)
    run([make(tmp_path, (*GCC, "-pthread"), "caller")], tmp_path)


def test_names_of_users_stay_inside_comments_and_strings(tmp_path: Path) -> None:
    needs("gcc")
    names = ["int", "*/", '"; system("x', "../../a", "a b", "a_b", "A B", "é", "1", "x" * 10_000]
    names += ["line\nbreak", "??/", "linux", "\\"]
    state = {name: np.full((3,), k + 1, np.float32) for k, name in enumerate(names)}

    def step(state: Any) -> Any:
        total = sum(gx.sum(v * v) for v in state.values())
        return {k: v * 0.5 for k, v in state.items()}, total

    gx.trace(step, state, donate_argnums=0).lower(threads=1).export(tmp_path)
    run([make(tmp_path, GCC, "selftest")], tmp_path)
    gx.save(tmp_path / "in.safetensors", state)
    program = make(tmp_path, GCC, "example")
    files = ["--state", "in.safetensors", "--save", "out.safetensors"]
    run([program, "--steps", 1, *files], tmp_path)
    found = gx.load(tmp_path / "out.safetensors", state)
    for name, before in state.items():
        assert (found[name] == before / 2).all(), name


def test_large_constants_are_in_a_file(tmp_path: Path) -> None:
    needs("gcc")
    table = np.random.default_rng(3).standard_normal((40, 40)).astype(np.float32)

    def step(w: Any, x: Any) -> Any:
        value = gx.mean((x @ table @ w) ** 2)
        return w - 0.1 * gx.grad(value, w), value

    w, x = np.ones((40, 3), np.float32), np.ones((8, 40), np.float32)
    gx.trace(step, w, x, donate_argnums=0).lower(threads=1).export(tmp_path)
    assert "constants" in (tmp_path / "train_step.h").read_text()
    assert (tmp_path / "train_step.c").stat().st_size < 100_000
    run([make(tmp_path, GCC, "selftest")], tmp_path)
    run([make(tmp_path, GCC, "example"), "--steps", 2], tmp_path)
    (tmp_path / "train_step_constants.safetensors").unlink()
    run([tmp_path / "selftest.out"], tmp_path, 2)


def test_the_header_is_c_plus_plus_too(tmp_path: Path) -> None:
    traced().lower(threads=1).export(tmp_path)
    compiler = needs("g++")
    flags = [f for f in STRICT if not f.startswith("-std")]
    run([compiler, "-std=c++11", *flags, "-fsyntax-only", "-x", "c++", "train_step.h"], tmp_path)
