#ifndef GX_WAITING_H
#define GX_WAITING_H
/* How threads wait for one another: spinning for a moment, then asleep.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* How long a thread spins before it sleeps: longer than the imbalance of most kernels, shorter than
 * what a neighbour on the machine would miss. */
#define GX_SPIN_NANOSECONDS 50000

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

#endif
