#ifndef GX_TEAM_H
#define GX_TEAM_H
/* A pool of threads that live as long as its owner wants: pthreads and C11 atomics, no allocation,
 * no global variable. A region wakes the workers it needs; between regions they spin for a moment,
 * then sleep.
 *
 * More threads than can run at once do harm: at every barrier all wait for one that the system does
 * not let run. So callers whose regions are at work at the same time share the cores; and where
 * others keep these busy, so that a region's threads did little but wait for one another, the next
 * regions run on the caller's thread alone. Results do not depend on how many threads take part.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "pool.h"
#include "waiting.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* A region is crowded if fewer threads than this many percent of one were awake on the average: it
 * would have been about as fast on one; or if its task lately took less time on one. After so many
 * more of them than others, regions run alone for so many times as long as the last one took, but no
 * longer than so many nanoseconds: a new attempt then costs little, however crowded it is, and comes
 * soon after the others are gone. A region that went well takes back no more than a crowded one has
 * added: beside others that may be luck. The first region that is short, and whose threads slept
 * when it began, shows nothing but how long it takes to wake them. */
#define GX_CROWDED_PERCENT 125
#define GX_CROWDED_REGIONS 2
#define GX_ALONE_TIMES 8
#define GX_ALONE_NANOSECONDS 250000000
#define GX_WAKING_NANOSECONDS 1000000

/* The barrier of a region, and for how long its threads slept there, all together. `base` comes
 * first, so that a pointer to it is a pointer to the whole. */
typedef struct {
  gx_barrier base;
  int count;
  _Atomic int64_t slept;
  _Atomic int arrived;
  gx_signal phase;
} gx_meeting;

/* The last thread to arrive opens the next phase. It resets `arrived` before that, and nobody can
 * arrive at the next meeting earlier. */
static inline void gx_meeting_wait(gx_barrier *base) {
  gx_meeting *meeting = (gx_meeting *)base;
  uint32_t phase = atomic_load_explicit(&meeting->phase.value, memory_order_relaxed);
  if (atomic_fetch_add(&meeting->arrived, 1) + 1 < meeting->count) {
    const int64_t slept = gx_signal_wait(&meeting->phase, phase);
    if (slept)
      atomic_fetch_add(&meeting->slept, slept);
    return;
  }
  atomic_store(&meeting->arrived, 0);
  gx_signal_raise(&meeting->phase);
}

/* A program at work on several threads, of which so many besides the caller's are not done. */
typedef struct {
  gx_task *task;
  void *context;
  gx_meeting meeting;
  _Atomic int pending;
  gx_signal done;
} gx_region;

/* One thread of a team besides the callers'. `go` starts it in a region, as number `id`, beside the
 * worker `next`; raised without a region it ends the worker. `own` is used for regions of which this
 * is the first worker: it stays when the region is over, because the last thread to be done may then
 * still look for sleepers. */
typedef struct gx_worker {
  pthread_t thread;
  int id;
  gx_signal go;
  gx_region *region;
  struct gx_worker *next;
  gx_region own;
} gx_worker;

/* A team of at most `threads` threads at once: callers' and `started` of the threads - 1 `workers`,
 * an array that the owner supplies. `cores` is how many can run at once; with 0 every region runs on
 * as many threads as it asks for. So many `callers` are here now, and so many threads of theirs are
 * `running`. So many regions more were `crowded` lately than not; with `alone` they run on one thread
 * until the clock shows `alone_until`. The last one `woke` threads, and was not judged for that.
 * `rested` is the task of the last one that ran alone, and `rested_time` how long it took on the
 * average. The `guard` is held to read or change any of this, `freed` tells who waits that fewer
 * threads are running. */
typedef struct gx_team {
  int threads, cores, started;
  int callers, running;
  int crowded, alone, woke;
  int64_t alone_until, rested_time;
  gx_task *rested;
  gx_worker *workers;
  pthread_mutex_t guard;
  pthread_cond_t freed;
} gx_team;

/* Prepares a team; no thread starts before a region needs it. Returns 0 or an error number. In the
 * child of a fork, where no worker lives on, a team is made anew by another call. */
static inline int gx_team_init(gx_team *team, gx_worker *workers, int threads, int cores) {
  team->threads = threads;
  team->cores = cores;
  team->started = 0;
  team->callers = 0;
  team->running = 0;
  team->crowded = 0;
  team->alone = 0;
  team->alone_until = 0;
  team->woke = 0;
  team->rested_time = 0;
  team->rested = NULL;
  team->workers = workers;
  const int error = pthread_mutex_init(&team->guard, NULL);
  return error ? error : pthread_cond_init(&team->freed, NULL);
}

/* A worker's life. Everything of the region is read before `pending` falls: after that the caller
 * may go on to the next region. */
static inline void *gx_worker_main(void *argument) {
  gx_worker *worker = argument;
  for (uint32_t seen = 0;; seen++) {
    gx_signal_wait(&worker->go, seen);
    gx_region *region = worker->region;
    if (!region)
      return NULL;
    const gx_thread thread = {worker->id, region->meeting.count, &region->meeting.base};
    region->task(region->context, thread);
    if (atomic_fetch_sub(&region->pending, 1) == 1)
      gx_signal_raise(&region->done);
  }
}

/* How many threads of all regions ever run at once. */
static inline int gx_team_most(const gx_team *team) {
  return team->cores && team->cores < team->threads ? team->cores : team->threads;
}

/* Makes a worker ready for its life. Returns 0 or an error number. */
static inline int gx_worker_init(gx_worker *worker) {
  worker->region = NULL;
  worker->next = NULL;
  worker->own.meeting.base.wait = gx_meeting_wait;
  atomic_init(&worker->own.meeting.slept, 0);
  atomic_init(&worker->own.meeting.arrived, 0);
  atomic_init(&worker->own.pending, 0);
  int error = gx_signal_init(&worker->go);
  if (!error)
    error = gx_signal_init(&worker->own.meeting.phase);
  return error ? error : gx_signal_init(&worker->own.done);
}

/* Starts workers until so many `threads` can run, one of them a caller's, or as many as ever do.
 * Returns 0 or an error number. */
static inline int gx_team_grow(gx_team *team, int threads) {
  const int most = gx_team_most(team);
  int error = 0;
  while (!error && team->started < (threads < most ? threads : most) - 1) {
    gx_worker *worker = &team->workers[team->started];
    error = gx_worker_init(worker);
    if (!error)
      error = pthread_create(&worker->thread, NULL, gx_worker_main, worker);
    if (!error)
      team->started++;
  }
  return error;
}

/* How many of `threads` threads a region gets while so many callers are here: its share of the cores,
 * one of them in any case. */
static inline int gx_team_count(const gx_team *team, int threads) {
  if (!team->cores)
    return threads;
  const int share = team->alone ? 1 : gx_team_most(team) / team->callers;
  return share < 1 ? 1 : share < threads ? share : threads;
}

/* Waits until a region of at most `threads` threads can start, on one at once; gives how many are its
 * own from now on. */
static inline int gx_team_enter(gx_team *team, int threads) {
  team->callers++;
  int count = gx_team_count(team, threads);
  while (count > 1 && count > gx_team_most(team) - team->running) {
    pthread_cond_wait(&team->freed, &team->guard);
    count = gx_team_count(team, threads);
  }
  team->running += count;
  return count;
}

/* The region is over, and its `count` threads are free. */
static inline void gx_team_leave(gx_team *team, int count) {
  team->running -= count;
  team->callers--;
  if (team->callers)
    pthread_cond_broadcast(&team->freed);
}

/* A region of several threads ran on one, for so many nanoseconds until `now`. */
static inline void gx_team_rested(gx_team *team, gx_task *task, int64_t elapsed, int64_t now) {
  const int64_t before = team->rested == task ? team->rested_time : elapsed;
  team->rested = elapsed > 0 ? task : NULL;
  team->rested_time = before + (elapsed - before) / 8;
  /* The clock may have been set meanwhile. */
  const int64_t left = team->alone_until - now;
  team->alone = left > 0 && left <= GX_ALONE_NANOSECONDS;
}

/* What the next regions learn from one of `count` threads that took so many nanoseconds until `now`,
 * of which its threads slept so many, all together. */
static inline void gx_team_learn(gx_team *team, gx_task *task, int count, int64_t elapsed,
                                 int64_t slept, int64_t now) {
  const int64_t awake = count * elapsed - slept;
  const int slower = team->rested == task && elapsed > team->rested_time;
  if (elapsed <= 0 || (!slower && awake >= elapsed / 100 * GX_CROWDED_PERCENT)) {
    team->crowded -= team->crowded > 0;
    return;
  }
  team->crowded += team->crowded < GX_CROWDED_REGIONS;
  team->alone = team->cores && team->crowded == GX_CROWDED_REGIONS;
  const int64_t most = GX_ALONE_NANOSECONDS;
  team->alone_until = now + (elapsed < most / GX_ALONE_TIMES ? elapsed * GX_ALONE_TIMES : most);
}

/* Takes idle workers, of which there are enough, for a region of `count` > 1 threads; gives the first
 * of them, whose own region it is. */
static inline gx_worker *gx_team_claim(gx_team *team, int count) {
  gx_worker *first = NULL, **link = &first;
  for (int i = 0, id = 1; id < count; i++) {
    gx_worker *worker = &team->workers[i];
    if (worker->region)
      continue;
    *link = worker;
    link = &worker->next;
    worker->id = id++;
    worker->region = &first->own;
  }
  *link = NULL;
  return first;
}

/* Whether one of these workers sleeps. */
static inline int gx_region_sleeps(gx_worker *first) {
  for (gx_worker *worker = first; worker; worker = worker->next)
    if (atomic_load(&worker->go.sleepers))
      return 1;
  return 0;
}

/* Runs a task on the caller's thread and on these workers; gives how many nanoseconds all of them
 * together slept. */
static inline int64_t gx_region_run(gx_worker *first, gx_task *task, void *context, int count) {
  gx_region *region = &first->own;
  region->task = task;
  region->context = context;
  region->meeting.count = count;
  atomic_store(&region->meeting.slept, 0);
  atomic_store(&region->pending, count - 1);
  const uint32_t done = atomic_load(&region->done.value);
  for (gx_worker *worker = first; worker; worker = worker->next)
    gx_signal_raise(&worker->go);
  task(context, (gx_thread){0, count, &region->meeting.base});
  const int64_t slept = gx_signal_wait(&region->done, done);
  return slept + atomic_load(&region->meeting.slept);
}

/* One region, for a caller that holds the `guard`, which is released while the task is at work: on at
 * most `threads` threads, this one number 0. `grow` starts workers. Returns 0, or an error number and
 * nothing has run. */
static inline int gx_team_region(gx_team *team, gx_task *task, void *context, int threads,
                                 int (*grow)(gx_team *team, int threads)) {
  if (threads < 1 || threads > team->threads)
    return EINVAL;
  const int count = gx_team_enter(team, threads);
  const int error = count > 1 ? grow(team, team->running) : 0;
  if (error) {
    gx_team_leave(team, count);
    return error;
  }
  gx_worker *first = count > 1 ? gx_team_claim(team, count) : NULL;
  const int wakes = gx_region_sleeps(first);
  int64_t slept = 0;
  pthread_mutex_unlock(&team->guard);
  const int64_t start = gx_nanoseconds();
  if (first)
    slept = gx_region_run(first, task, context, count);
  else
    task(context, (gx_thread){0, 1, NULL});
  const int64_t now = gx_nanoseconds(), elapsed = now - start;
  pthread_mutex_lock(&team->guard);
  for (gx_worker *worker = first; worker; worker = worker->next)
    worker->region = NULL;
  gx_team_leave(team, count);
  if (first) {
    team->woke = wakes && !team->woke && elapsed < GX_WAKING_NANOSECONDS;
    if (!team->woke)
      gx_team_learn(team, task, count, elapsed, slept, now);
  } else if (team->alone) {
    gx_team_rested(team, task, elapsed, now);
  }
  return 0;
}

/* Runs the task on at most `threads` threads and returns 0, or an error number and nothing has run.
 * Several callers may have regions at work at once; a task must not start one on its own team. Fits
 * gx_runtime's `run`. */
static inline int gx_team_run(void *pool, gx_task *task, void *context, int threads) {
  gx_team *team = pool;
  pthread_mutex_lock(&team->guard);
  int error = gx_team_region(team, task, context, threads, gx_team_grow);
  pthread_mutex_unlock(&team->guard);
  return error;
}

/* Ends the workers. No region may be at work. */
static inline void gx_team_destroy(gx_team *team) {
  for (int i = 0; i < team->started; i++)
    gx_signal_raise(&team->workers[i].go);
  for (int i = 0; i < team->started; i++) {
    gx_worker *worker = &team->workers[i];
    pthread_join(worker->thread, NULL);
    gx_signal_destroy(&worker->go);
    gx_signal_destroy(&worker->own.meeting.phase);
    gx_signal_destroy(&worker->own.done);
  }
  pthread_cond_destroy(&team->freed);
  pthread_mutex_destroy(&team->guard);
}

#endif
