/* What a machine can do at most: multiply-adds in registers, and the flow of memory.
 *
 * SPDX-License-Identifier: MIT-0 */
#include "pool.h"
#include "vector.h"

#define GX_EXPORT __attribute__((visibility("default")))

/* Enough independent chains to cover the latency of two multiply-add units, few enough that they
 * and two factors fit into 16 registers. */
#define GX_CHAINS 12

typedef struct {
  int64_t rounds;
  float *sink;
} gx_chains;

static void gx_chains_task(void *context, gx_thread thread) {
  const gx_chains *work = context;
  gx_f32v sum[GX_CHAINS], factor = GX_SPLAT(gx_f32v, 0.5f), term = GX_SPLAT(gx_f32v, 0.25f);
  for (int c = 0; c < GX_CHAINS; c++)
    sum[c] = GX_SPLAT(gx_f32v, (float)c);
  for (int64_t r = 0; r < work->rounds; r++)
    for (int c = 0; c < GX_CHAINS; c++)
      sum[c] = GX_VFMA_F32(sum[c], factor, term);
  float total = 0;
  for (int c = 0; c < GX_CHAINS; c++)
    for (int lane = 0; lane < GX_F32_LANES; lane++)
      total += sum[c][lane];
  work->sink[thread.id] = total;
}

/* Runs `rounds` rounds of multiply-adds on each thread and gives the operations of one round on one
 * thread, two for each multiply-add; a negative error number if the threads could not be started. The
 * sink takes one result of each thread, so that nothing is left out. */
GX_EXPORT int gx_probe_chains(const gx_runtime *runtime, int threads, int64_t rounds, float *sink) {
  gx_chains work = {rounds, sink};
  const int error = gx_run(runtime, gx_chains_task, &work, threads);
  return error ? -error : 2 * GX_CHAINS * GX_F32_LANES;
}

typedef struct {
  int64_t rounds;
  int count;
} gx_meetings;

static void gx_meetings_task(void *context, gx_thread thread) {
  gx_meetings *work = context;
  for (int64_t r = 0; r < work->rounds; r++)
    gx_barrier_wait(thread);
  if (thread.id == 0)
    work->count = thread.count;
}

/* All threads meet `rounds` times. Returns how many took part, or a negative error number. */
GX_EXPORT int gx_probe_meetings(const gx_runtime *runtime, int threads, int64_t rounds) {
  gx_meetings work = {rounds, 0};
  const int error = gx_run(runtime, gx_meetings_task, &work, threads);
  return error ? -error : work.count;
}

typedef struct {
  int64_t n;
  float *a;
  const float *b, *c;
} gx_triad;

static void gx_triad_task(void *context, gx_thread thread) {
  const gx_triad *work = context;
  const gx_range share = gx_share(work->n, 1024, thread);
  float *restrict a = work->a;
  const float *restrict b = work->b, *restrict c = work->c;
  for (int64_t i = share.begin; i < share.end; i++)
    a[i] = b[i] + 0.5f * c[i];
}

/* a = b + c / 2 over n floats. Returns 0 or a negative error number. */
GX_EXPORT int gx_probe_triad(const gx_runtime *runtime, int threads, int64_t n, float *a,
                             const float *b, const float *c) {
  gx_triad work = {n, a, b, c};
  return -gx_run(runtime, gx_triad_task, &work, threads);
}
