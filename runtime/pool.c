/* The pools of a process, as a library that is never unloaded: teams that also survive fork().
 *
 * SPDX-License-Identifier: MIT-0 */
#if !defined(_WIN32) && !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#endif

#include "team.h"

#include <signal.h>
#include <stdlib.h>

#define GX_EXPORT __attribute__((visibility("default")))

/* A pool on the heap; `runtime` is how generated code sees it. */
typedef struct gx_pool {
  struct gx_pool *next;
  gx_runtime runtime;
  gx_team team;
  gx_worker workers[];
} gx_pool;

/* Every pool of the process, for the handlers of fork. */
static gx_pool *gx_pools;

static pthread_mutex_t gx_pools_guard = PTHREAD_MUTEX_INITIALIZER;

static void gx_before_fork(void) {
  pthread_mutex_lock(&gx_pools_guard);
}

static void gx_after_fork_in_parent(void) {
  pthread_mutex_unlock(&gx_pools_guard);
}

/* No worker lives on in the child, and nobody will release what they held: teams start anew. Errors
 * cannot occur: these initialisations allocate nothing and have succeeded before. */
static void gx_after_fork_in_child(void) {
  for (gx_pool *pool = gx_pools; pool; pool = pool->next)
    gx_team_init(&pool->team, pool->workers, pool->team.threads, pool->team.cores);
  pthread_mutex_unlock(&gx_pools_guard);
}

#ifndef _WIN32
__attribute__((constructor)) static void gx_watch_forks(void) {
  pthread_atfork(gx_before_fork, gx_after_fork_in_parent, gx_after_fork_in_child);
}
#endif

/* Grows the team, for a caller that holds its guard, with every signal blocked: so signals go to the
 * host's own threads. */
static int gx_pool_grow(gx_team *team, int threads) {
  if (team->started >= threads - 1)
    return 0;
#ifdef _WIN32
  return gx_team_grow(team, threads);
#else
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = gx_team_grow(team, threads);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
#endif
}

/* Runs the task on at most `threads` threads. Returns 0, or an error number (EINVAL: more threads than
 * the pool was made for; EAGAIN: the system has no more threads) and nothing has run. */
GX_EXPORT int gx_pool_run(void *pool, gx_task *task, void *context, int threads) {
  gx_team *team = &((gx_pool *)pool)->team;
  pthread_mutex_lock(&team->guard);
  const int error = gx_team_region(team, task, context, threads, gx_pool_grow);
  pthread_mutex_unlock(&team->guard);
  return error;
}

/* Starts the workers that regions of `threads` threads need. Returns as gx_pool_run does. */
GX_EXPORT int gx_pool_start(gx_pool *pool, int threads) {
  pthread_mutex_lock(&pool->team.guard);
  const int most = pool->team.threads;
  const int error = threads < 1 || threads > most ? EINVAL : gx_pool_grow(&pool->team, threads);
  pthread_mutex_unlock(&pool->team.guard);
  return error;
}

/* A pool of at most `threads` threads, of which `cores` can run at once; NULL without memory.
 * Threads start when a region first needs them. With 0 cores regions run on as many as they ask for. */
GX_EXPORT gx_pool *gx_pool_create(int threads, int cores) {
  gx_pool *pool = calloc(1, sizeof *pool + (size_t)threads * sizeof(gx_worker));
  if (!pool || gx_team_init(&pool->team, pool->workers, threads, cores)) {
    free(pool);
    return NULL;
  }
  pool->runtime = (gx_runtime){gx_pool_run, pool};
  pthread_mutex_lock(&gx_pools_guard);
  pool->next = gx_pools;
  gx_pools = pool;
  pthread_mutex_unlock(&gx_pools_guard);
  return pool;
}

GX_EXPORT const gx_runtime *gx_pool_runtime(const gx_pool *pool) {
  return &pool->runtime;
}

/* How many worker threads live. */
GX_EXPORT int gx_pool_started(gx_pool *pool) {
  pthread_mutex_lock(&pool->team.guard);
  int started = pool->team.started;
  pthread_mutex_unlock(&pool->team.guard);
  return started;
}

/* Ends the workers and frees the pool. No region may be at work. */
GX_EXPORT void gx_pool_destroy(gx_pool *pool) {
  pthread_mutex_lock(&gx_pools_guard);
  gx_pool **link = &gx_pools;
  while (*link != pool)
    link = &(*link)->next;
  *link = pool->next;
  pthread_mutex_unlock(&gx_pools_guard);
  gx_team_destroy(&pool->team);
  free(pool);
}
