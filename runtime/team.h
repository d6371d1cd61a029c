#ifndef GX_TEAM_H
#define GX_TEAM_H
/* A pool of threads that live as long as its owner wants: pthreads and C11 atomics, no allocation,
 * no global variable. A region wakes the workers it needs; between regions they spin for a moment,
 * then sleep.
 *
 * More threads than can run at once do harm: at every barrier all wait for one that the system does
 * not let run. So a region gets no more threads than there are cores; and where others keep these
 * busy, so that a region's threads did little but wait for one another, the next regions run on the
 * caller's thread alone. Results do not depend on how many threads take part.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* How long a thread spins before it sleeps: longer than the imbalance of most kernels, shorter than
 * what a neighbour on the machine would miss. */
#define GX_SPIN_NANOSECONDS 50000

/* A region is crowded if fewer threads than this many percent of one were awake on the average: it
 * would have been about as fast on one. After so many of them in a row regions run alone, first for
 * a few times, then, as long as every new attempt is crowded, for twice as many, up to a limit; but
 * never, one of them aside, for longer than so many nanoseconds: the others may be gone by then. */
#define GX_CROWDED_PERCENT 125
#define GX_CROWDED_REGIONS 2
#define GX_ALONE_FIRST 4
#define GX_ALONE_MOST 64
#define GX_ALONE_NANOSECONDS 250000000

/* Now, in nanoseconds. The clock may be set meanwhile: a difference can be anything. */
static inline int64_t gx_nanoseconds(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Tells the core that this is a spinning loop. */
static inline void gx_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

/* A counter on which threads wait for change. Hazard: a sleeper announces itself and then reads
 * `value`, a setter changes `value` and then reads `sleepers`. In the one order of sequentially
 * consistent operations either the sleeper sees the change or the setter sees the sleeper. The
 * padding keeps the counters of neighbours in an array on different cache lines. */
typedef struct {
  _Atomic uint32_t value;
  _Atomic uint32_t sleepers;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  char padding[128];
} gx_signal;

static inline int gx_signal_init(gx_signal *signal) {
  atomic_init(&signal->value, 0);
  atomic_init(&signal->sleepers, 0);
  int error = pthread_mutex_init(&signal->mutex, NULL);
  return error ? error : pthread_cond_init(&signal->changed, NULL);
}

static inline void gx_signal_destroy(gx_signal *signal) {
  pthread_cond_destroy(&signal->changed);
  pthread_mutex_destroy(&signal->mutex);
}

/* Adds one to the counter and wakes those who wait for it. */
static inline void gx_signal_raise(gx_signal *signal) {
  atomic_fetch_add(&signal->value, 1);
  if (atomic_load(&signal->sleepers) == 0)
    return;
  /* Held and released: a sleeper is now either before its test or inside the wait. */
  pthread_mutex_lock(&signal->mutex);
  pthread_mutex_unlock(&signal->mutex);
  pthread_cond_broadcast(&signal->changed);
}

/* Whether the counter left `seen` while spinning, from `start` on. */
static inline int gx_signal_spin(gx_signal *signal, uint32_t seen, int64_t start) {
  for (int64_t elapsed = 0; elapsed >= 0 && elapsed < GX_SPIN_NANOSECONDS;
       elapsed = gx_nanoseconds() - start)
    for (int i = 0; i < 32; i++) {
      if (atomic_load_explicit(&signal->value, memory_order_acquire) != seen)
        return 1;
      gx_pause();
    }
  return 0;
}

/* Returns when the counter is no longer `seen`: 0, or how many nanoseconds that took if the thread
 * had to sleep. */
static inline int64_t gx_signal_wait(gx_signal *signal, uint32_t seen) {
  if (atomic_load_explicit(&signal->value, memory_order_acquire) != seen)
    return 0;
  const int64_t start = gx_nanoseconds();
  if (gx_signal_spin(signal, seen, start))
    return 0;
  pthread_mutex_lock(&signal->mutex);
  atomic_fetch_add(&signal->sleepers, 1);
  while (atomic_load(&signal->value) == seen)
    pthread_cond_wait(&signal->changed, &signal->mutex);
  atomic_fetch_sub(&signal->sleepers, 1);
  pthread_mutex_unlock(&signal->mutex);
  return gx_nanoseconds() - start;
}

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

/* One thread of a team besides the caller's; `go` starts its next region. */
typedef struct {
  struct gx_team *team;
  pthread_t thread;
  int id;
  gx_signal go;
} gx_worker;

/* A team of at most `threads` threads: the caller's and `started` of the threads - 1 `workers`, an
 * array that the owner supplies. `cores` is how many can run at once; with 0 every region runs on as
 * many threads as it asks for. So many regions were `crowded` in a row, so many run `alone` from now
 * on, if they take no longer than `alone_left` nanoseconds, and so many the next time. From `task` to
 * `done` it is the region at work; without a task, workers end. */
typedef struct gx_team {
  int threads, cores, started;
  int crowded, alone, alone_next;
  int64_t alone_left;
  gx_worker *workers;
  pthread_mutex_t turn;
  gx_task *task;
  void *context;
  gx_meeting meeting;
  _Atomic int pending;
  gx_signal done;
} gx_team;

/* Prepares a team; no thread starts before a region needs it. Returns 0 or an error number. In the
 * child of a fork, where no worker lives on, a team is made anew by another call. */
static inline int gx_team_init(gx_team *team, gx_worker *workers, int threads, int cores) {
  team->threads = threads;
  team->cores = cores;
  team->started = 0;
  team->crowded = 0;
  team->alone = 0;
  team->alone_next = GX_ALONE_FIRST;
  team->alone_left = 0;
  team->workers = workers;
  team->task = NULL;
  team->context = NULL;
  team->meeting.base.wait = gx_meeting_wait;
  atomic_init(&team->meeting.slept, 0);
  atomic_init(&team->meeting.arrived, 0);
  atomic_init(&team->pending, 0);
  int error = pthread_mutex_init(&team->turn, NULL);
  if (!error)
    error = gx_signal_init(&team->meeting.phase);
  return error ? error : gx_signal_init(&team->done);
}

/* A worker's life. Everything of the region is read before `pending` falls: after that the caller
 * may go on to the next region. */
static inline void *gx_worker_main(void *argument) {
  gx_worker *worker = argument;
  gx_team *team = worker->team;
  for (uint32_t seen = 0;; seen++) {
    gx_signal_wait(&worker->go, seen);
    if (!team->task)
      return NULL;
    team->task(team->context, (gx_thread){worker->id, team->meeting.count, &team->meeting.base});
    if (atomic_fetch_sub(&team->pending, 1) == 1)
      gx_signal_raise(&team->done);
  }
}

/* How many of `threads` threads ever take part in a region. */
static inline int gx_team_most(const gx_team *team, int threads) {
  return team->cores && team->cores < threads ? team->cores : threads;
}

/* Starts workers until a region of `threads` can run. Returns 0 or an error number. */
static inline int gx_team_grow(gx_team *team, int threads) {
  int error = threads < 1 || threads > team->threads ? EINVAL : 0;
  while (!error && team->started < gx_team_most(team, threads) - 1) {
    gx_worker *worker = &team->workers[team->started];
    worker->team = team;
    worker->id = team->started + 1;
    error = gx_signal_init(&worker->go);
    if (!error)
      error = pthread_create(&worker->thread, NULL, gx_worker_main, worker);
    if (!error)
      team->started++;
  }
  return error;
}

/* How many of them take part in the next one. */
static inline int gx_team_count(const gx_team *team, int threads) {
  return team->alone ? 1 : gx_team_most(team, threads);
}

/* A region of several threads ran on one, for so many nanoseconds. */
static inline void gx_team_rested(gx_team *team, int64_t elapsed) {
  team->alone_left -= elapsed > 0 ? elapsed : 0;
  team->alone = team->alone_left > 0 ? team->alone - 1 : 0;
}

/* What the next regions learn from one of `count` threads that took so many nanoseconds. */
static inline void gx_team_learn(gx_team *team, int count, int64_t elapsed) {
  const int64_t awake = count * elapsed - atomic_load(&team->meeting.slept);
  if (elapsed <= 0 || awake >= elapsed / 100 * GX_CROWDED_PERCENT) {
    team->crowded = 0;
    team->alone_next = GX_ALONE_FIRST;
  } else if (++team->crowded >= GX_CROWDED_REGIONS) {
    team->alone = team->cores ? team->alone_next : 0;
    team->alone_left = GX_ALONE_NANOSECONDS;
    team->alone_next = team->alone < GX_ALONE_MOST ? 2 * team->alone : team->alone;
  }
}

/* One region, for a caller that holds `turn`: the task on at most `threads` threads, this one number
 * 0. */
static inline int gx_team_region(gx_team *team, gx_task *task, void *context, int threads) {
  const int error = gx_team_grow(team, threads);
  if (error)
    return error;
  if (gx_team_most(team, threads) == 1) {
    task(context, (gx_thread){0, 1, NULL});
    return 0;
  }
  const int count = gx_team_count(team, threads);
  const int64_t start = gx_nanoseconds();
  if (count == 1) {
    task(context, (gx_thread){0, 1, NULL});
    gx_team_rested(team, gx_nanoseconds() - start);
    return 0;
  }
  team->task = task;
  team->context = context;
  team->meeting.count = count;
  atomic_store(&team->meeting.slept, 0);
  atomic_store(&team->pending, count - 1);
  uint32_t done = atomic_load(&team->done.value);
  for (int i = 0; i < count - 1; i++)
    gx_signal_raise(&team->workers[i].go);
  task(context, (gx_thread){0, count, &team->meeting.base});
  const int64_t slept = gx_signal_wait(&team->done, done);
  atomic_fetch_add(&team->meeting.slept, slept);
  gx_team_learn(team, count, gx_nanoseconds() - start);
  return 0;
}

/* Runs the task on at most `threads` threads and returns 0, or an error number and nothing has run.
 * Callers take turns; a task must not start a region on its own team. Fits gx_runtime's `run`. */
static inline int gx_team_run(void *pool, gx_task *task, void *context, int threads) {
  gx_team *team = pool;
  pthread_mutex_lock(&team->turn);
  int error = gx_team_region(team, task, context, threads);
  pthread_mutex_unlock(&team->turn);
  return error;
}

/* Ends the workers. No region may be at work. */
static inline void gx_team_destroy(gx_team *team) {
  team->task = NULL;
  for (int i = 0; i < team->started; i++)
    gx_signal_raise(&team->workers[i].go);
  for (int i = 0; i < team->started; i++) {
    pthread_join(team->workers[i].thread, NULL);
    gx_signal_destroy(&team->workers[i].go);
  }
  gx_signal_destroy(&team->done);
  gx_signal_destroy(&team->meeting.phase);
  pthread_mutex_destroy(&team->turn);
}

#endif
