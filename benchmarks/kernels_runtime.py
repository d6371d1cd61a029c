"""`python -m benchmarks.kernels_runtime`: matrix products of runtime/gemm.h on one core.

For each shape: a C program made from the plan (tile, packing, blocks), timed against the chip's
chain of fused multiply-adds and against NumPy's product in the same run. Times are of the
thread's processor time, the best of many.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

RUNTIME = Path(__file__).resolve().parents[1] / "runtime"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
ISAS = {
    "avx512": ("-march=native", 64, 32),
    "avx2": ("-march=haswell", 32, 16),
    "neon": ("-march=native", 16, 32),
}


@dataclass(frozen=True)
class Shape:
    """`batch` products [m, k] · [k, n]; which operands lie transposed in memory."""

    m: int
    n: int
    k: int
    batch: int = 1
    left_transposed: bool = False
    right_transposed: bool = False

    def __str__(self) -> str:
        layout = ("T" if self.left_transposed else "N") + ("T" if self.right_transposed else "N")
        times = f"{self.batch}·" if self.batch > 1 else ""
        return f"{times}{self.m}x{self.n}x{self.k} {layout}"


@dataclass(frozen=True)
class Plan:
    """Tile of `rows` by `columns`; the right operand packed a panel at a time, or read where it
    lies; terms taken `depth` at a time, the chain resumed in between."""

    rows: int
    columns: int
    pack_right: bool
    depth: int


def plan(shape: Shape, vector_bytes: int, registers: int, itemsize: int = 4) -> Plan:
    """The plan with the fewest predicted cycles.

    A core is taken to start two multiply-adds and two loads a cycle, a multiply-add to take four
    cycles, of which in practice a little more is seen. A tile of r rows and v vectors needs
    r·v + v + 1 registers. Per term it costs r·v / 2 cycles, at least 4.6 (each accumulator waits
    for itself) and (r + v) / 2 (loads); per tile two cycles a vector for the epilogue, and 20.
    Operands' loads break ties.
    """
    lanes = vector_bytes // itemsize
    best, chosen = float("inf"), (1, lanes)
    for v in range(1, 5):
        for r in range(1, min(shape.m, 24) + 1):
            if r * v + v + 1 > registers:
                continue
            term = max(r * v / 2, 4.6, (r + v) / 2) + 0.02 * (r + v)
            tiles = -(-shape.m // r) * -(-shape.n // (v * lanes))
            cycles = tiles * (shape.k * term + 2 * r * v + 20)
            if cycles < best:
                best, chosen = cycles, (r, v * lanes)
    rows, columns = chosen
    # Packing a panel pays when many tiles use it, or when its rows would fight for the same sets
    # of the cache or for entries of the TLB.
    row_bytes = shape.n * itemsize
    collides = shape.k > 256 and row_bytes % 4096 == 0
    pays = shape.m > 256 and shape.k > 256
    pack = shape.right_transposed or shape.n < columns or collides or pays
    # Columns of a wide left operand are a page apart each: few enough of them at a time.
    far = shape.left_transposed and shape.m * itemsize >= 4096 and shape.k > 512
    return Plan(rows, columns, pack, 256 if far and shape.k <= 1536 else min(shape.k, 1536))


DRIVER = r"""
#define _POSIX_C_SOURCE 200809L
#include "gemm.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
GX_TILE_F32(tile_product, ROWS, COLUMNS)
enum { A_ROW = LEFT_T ? 1 : K, A_STEP = LEFT_T ? M : 1 };
enum { B_COLUMN = RIGHT_T ? K : 1, B_ROW = RIGHT_T ? 1 : N };
enum { TILES = (M + ROWS - 1) / ROWS };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *filled(int64_t n) {
  float *p = aligned_alloc(64, (size_t)(n * 4 + 64) / 64 * 64);
  for (int64_t i = 0; i < n; i++) p[i] = (float)(i * 7919 % 1000) * 1e-3f - 0.5f;
  return p;
}

/* Two multiply-adds a cycle, if anything does. */
static double ceiling(float *p) {
  gx_f32v r[12], x = GX_SPLAT(gx_f32v, p[0]), y = GX_SPLAT(gx_f32v, p[1]);
  double best = 1e9;
  for (int i = 0; i < 12; i++) r[i] = GX_SPLAT(gx_f32v, p[i]);
  for (int rep = 0; rep < 30; rep++) {
    double t = now();
    for (int k = 0; k < 100000; k++) {
      GX_UNROLL
      for (int i = 0; i < 12; i++) r[i] = GX_VFMA_F32(r[i], x, y);
    }
    t = now() - t;
    if (t < best) best = t;
  }
  for (int i = 0; i < 12; i++) GX_V(gx_f32v, p) += r[i];
  return 2e5 * 12 * GX_F32_LANES / best;
}

static double tile_alone(const float *a, const float *b, float *tile) {
  const int64_t k = K < DEPTH ? K : DEPTH, times = 2000000 / (k * ROWS * COLUMNS) + 1;
  double best = 1e9;
  for (int rep = 0; rep < 100; rep++) {
    double t = now();
    for (int64_t i = 0; i < times; i++) {
      tile_product(k, a, 1, ROWS, b, COLUMNS, tile, GX_SET);
      __asm__ volatile("" : : "r"(tile) : "memory");
    }
    t = (now() - t) / (double)times;
    if (t < best) best = t;
  }
  return 2.0 * ROWS * COLUMNS * (double)k / best;
}

/* The last tile of rows (and of columns, where they are read in place) overlaps the one before. */
static __attribute__((noinline)) void product(const float *restrict a, const float *restrict b,
                                              float *restrict c, float *restrict panel,
                                              float *restrict tiles) {
  _Alignas(64) float one[ROWS * COLUMNS];
  for (int64_t j0 = 0; j0 < N; j0 += COLUMNS) {
    const int64_t j = !PACK && j0 + COLUMNS > N ? N - COLUMNS : j0;
    const int64_t width = N - j < COLUMNS ? N - j : COLUMNS;
    for (int64_t k0 = 0; k0 < K; k0 += DEPTH) {
      const int64_t k = K - k0 < DEPTH ? K - k0 : DEPTH;
      const int mode = k0 == 0 ? GX_SET : k0 % GX_CHAIN ? GX_RESUME : GX_ACCUMULATE;
      const float *right = b + j * B_COLUMN + k0 * B_ROW;
      if (PACK) gx_pack_f32(width, k, right, B_COLUMN, B_ROW, COLUMNS, panel);
      if (PACK) right = panel;
      for (int64_t i0 = 0; i0 < M; i0 += ROWS) {
        const int64_t i = i0 + ROWS > M ? M - ROWS : i0;
        float *tile = DEPTH < K ? tiles + i0 / ROWS * (ROWS * COLUMNS) : one;
        tile_product(k, a + i * A_ROW + k0 * A_STEP, A_ROW, A_STEP, right, PACK ? COLUMNS : B_ROW,
                     tile, mode);
        if (k0 + k < K) continue;
        float *out = c + i * N + j;
        if (width == COLUMNS) {
          for (int r = 0; r < ROWS; r++)
            for (int x = 0; x < COLUMNS; x++) out[r * N + x] = tile[r * COLUMNS + x];
        } else {
          for (int r = 0; r < ROWS; r++)
            for (int x = 0; x < width; x++) out[r * N + x] = tile[r * COLUMNS + x];
        }
      }
    }
  }
}

int main(void) {
  const int64_t batch = BATCH;
  float *a = filled(batch * M * K + ROWS * K), *b = filled(batch * K * N + COLUMNS * K);
  float *c = filled(batch * M * N + 64), *panel = filled((int64_t)DEPTH * COLUMNS);
  float *tiles = filled((int64_t)TILES * ROWS * COLUMNS);
  double best = 1e9, peak = ceiling(c);
  const double alone = tile_alone(a, b, tiles), began = now();
  const int times = (int)(1e8 / (2.0 * M * N * K * BATCH)) + 1;
  for (int rep = 0; rep < 10 || now() - began < SECONDS; rep++) {
    double t = now();
    for (int i = 0; i < times; i++)
      for (int64_t q = 0; q < batch; q++)
        product(a + q * M * K, b + q * K * N, c + q * M * N, panel, tiles);
    t = (now() - t) / times;
    if (t < best) best = t;
  }
  const double again = ceiling(c);
  if (again > peak) peak = again;
  printf("%g %g %g", peak, alone, 2.0 * M * N * K * BATCH / best);
  return 0;
}
"""


def measure(shape: Shape, chosen: Plan, march: str, seconds: float) -> tuple[float, float, float]:
    """Operations a second of the ceiling, of the tile alone, of the whole product."""
    values = {
        "M": shape.m,
        "N": shape.n,
        "K": shape.k,
        "BATCH": shape.batch,
        "LEFT_T": int(shape.left_transposed),
        "RIGHT_T": int(shape.right_transposed),
        "ROWS": chosen.rows,
        "COLUMNS": chosen.columns,
        "PACK": int(chosen.pack_right),
        "DEPTH": chosen.depth,
        "SECONDS": seconds,
    }
    compiler = os.environ.get("CC", shutil.which("gcc") or "cc").split()
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "product.c"), Path(folder, "product")
        source.write_text(DRIVER, encoding="utf-8")
        defines = [f"-D{name}={value}" for name, value in values.items()]
        command = [*compiler, *FLAGS, march, f"-I{RUNTIME}", *defines, str(source)]
        subprocess.run([*command, "-o", str(program)], check=True, timeout=120)
        result = subprocess.run(
            [program], capture_output=True, text=True, check=True, timeout=60 + 20 * seconds
        )
    peak, alone, whole = map(float, result.stdout.split())
    return peak, alone, whole


def numpy_rate(shape: Shape, seconds: float) -> float:
    """Operations a second of NumPy's product, one thread."""
    rng = np.random.default_rng(0)

    def operand(rows: int, columns: int, transposed: bool) -> np.ndarray:
        size = (columns, rows) if transposed else (rows, columns)
        x = rng.standard_normal((shape.batch, *size), dtype=np.float32)
        return x.swapaxes(1, 2) if transposed else x

    a = operand(shape.m, shape.k, shape.left_transposed)
    b = operand(shape.k, shape.n, shape.right_transposed)
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.thread_time()
        np.matmul(a, b)
        best = min(best, time.thread_time() - start)
    return 2.0 * shape.batch * shape.m * shape.n * shape.k / best


SHAPES = [
    Shape(1024, 1536, 384),
    Shape(1024, 384, 1536),
    Shape(1024, 384, 1536, right_transposed=True),
    Shape(384, 1536, 1024, left_transposed=True),
    Shape(1536, 384, 1024, left_transposed=True),
    Shape(2048, 2048, 2048),
    Shape(128, 512, 784),
    Shape(784, 512, 128, left_transposed=True),
    Shape(768, 384, 128),
    Shape(256, 256, 256),
    Shape(128, 128, 128),
    Shape(32, 512, 128),
    Shape(128, 10, 256),
    Shape(2000, 20, 20),
    Shape(64, 64, 32, 48, right_transposed=True),
    Shape(64, 32, 64, 48),
    Shape(256, 256, 64, 24, right_transposed=True),
    Shape(256, 64, 256, 24),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--isa", choices=ISAS, default="avx512")
    parser.add_argument("--seconds", type=float, default=1, help="of each product, at least")
    options = parser.parse_args()
    march, vector_bytes, registers = ISAS[options.isa]
    heads = ["product", "tile", "right", "depth", "ceiling", "tile alone", "whole", "NumPy"]
    print("{:<22}{:>8}{:>8}{:>7}{:>9}{:>12}{:>14}{:>8}".format(*heads))
    for shape in SHAPES:
        chosen = plan(shape, vector_bytes, registers)
        peak, alone, whole = measure(shape, chosen, march, options.seconds)
        tile = f"{chosen.rows}x{chosen.columns}"
        right = "packed" if chosen.pack_right else "direct"
        rate = numpy_rate(shape, options.seconds)
        print(
            f"{shape!s:<22}{tile:>8}{right:>8}{chosen.depth:>7}{peak / 1e9:>9.0f}"
            f"{alone / peak:>11.1%}{whole / 1e9:>7.0f}{whole / peak:>7.1%}{rate / 1e9:>8.0f}"
        )


if __name__ == "__main__":
    main()
