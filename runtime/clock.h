#ifndef GX_CLOCK_H
#define GX_CLOCK_H
/* The clock of profiled steps.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stdint.h>
#include <time.h>

#include "pool.h"

/* Nanoseconds since some moment in the past. */
static inline int64_t gx_now(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Adds the time since the last lap to laps[part], on the first thread; laps[0] is when that was. Part
 * 0 only begins. */
static inline void gx_lap(int64_t *laps, int64_t part, gx_thread thread) {
  if (thread.id)
    return;
  const int64_t now = gx_now();
  if (part)
    laps[part] += now - laps[0];
  laps[0] = now;
}

#endif
