#ifndef GX_POOL_H
#define GX_POOL_H
/* What generated code knows about threads: who it is, how work is shared, where to wait.
 * The pool behind it is team.h; a program may also bring a pool of its own.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stddef.h>
#include <stdint.h>

/* A meeting point of the threads of a region. Whoever runs the region supplies `wait`. */
typedef struct gx_barrier {
  void (*wait)(struct gx_barrier *barrier);
} gx_barrier;

/* One of the `count` threads that run the same program. `barrier` is NULL when count == 1. */
typedef struct {
  int id, count;
  gx_barrier *barrier;
} gx_thread;

/* The half-open range [begin, end). */
typedef struct {
  int64_t begin, end;
} gx_range;

/* A program that every thread of a region runs. */
typedef void gx_task(void *context, gx_thread thread);

/* A pool as generated code receives it. `run` calls the task once on each of at most `threads`
 * threads, the caller's among them, as many as it thinks best, and returns when all are done: 0, or
 * an error number and nothing has run. */
typedef struct {
  int (*run)(void *pool, gx_task *task, void *context, int threads);
  void *pool;
} gx_runtime;

/* The contiguous share of [0, n) of one thread, in whole grains but for the end of the last share.
 * Shares differ by at most one grain; with fewer grains than threads the first threads get one
 * each and the others an empty range. */
static inline gx_range gx_share(int64_t n, int64_t grain, gx_thread thread) {
  const int64_t whole = n / grain, grains = whole + (n % grain != 0);
  const int64_t each = grains / thread.count, extra = grains % thread.count, id = thread.id;
  const int64_t first = id * each + (id < extra ? id : extra);
  const int64_t last = first + each + (id < extra);
  return (gx_range){first <= whole ? first * grain : n, last <= whole ? last * grain : n};
}

/* Returns when every thread of the region has come here; what they wrote before is visible after. */
static inline void gx_barrier_wait(gx_thread thread) {
  if (thread.barrier)
    thread.barrier->wait(thread.barrier);
}

/* Who runs a part of the program alone, whatever the region's threads: it waits for nobody. */
static inline gx_thread gx_alone(void) {
  return (gx_thread){0, 1, NULL};
}

/* Runs a task on at most `threads` threads; on one, it runs here and needs no runtime. */
static inline int gx_run(const gx_runtime *runtime, gx_task *task, void *context, int threads) {
  if (threads > 1)
    return runtime->run(runtime->pool, task, context, threads);
  task(context, (gx_thread){0, 1, NULL});
  return 0;
}

#endif
