#ifndef GX_CLOCK_H
#define GX_CLOCK_H
/* The clock of profiled steps.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some moment in the past. */
static inline int64_t gx_now(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
