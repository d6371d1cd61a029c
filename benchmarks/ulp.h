/* The C side of ulp.py: references, errors, and loops over the runtime's functions.
 *
 * SPDX-License-Identifier: MIT */
#include "gx_math.h"

#include <float.h>

#define PI 3.14159265358979323846264338327950288L

typedef struct {
  double worst; /* the largest error */
  double x, y;  /* its arguments */
} report;

static long double ref_sigmoidl(long double x) {
  return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}

static double ref_sigmoid(double x) {
  return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static long double ref_rsqrtl(long double x) { return 1 / sqrtl(x); }

static double ref_rsqrt(double x) { return 1 / sqrt(x); }

/* The asymptotic series from 40 on, the recurrence below. */
static long double ref_digammal(long double x) {
  if (x == 0) return -1 / x;
  if (x < 0) {
    long double f = x - rintl(x);
    return f == 0 ? NAN : ref_digammal(1 - x) - PI * cosl(PI * f) / sinl(PI * f);
  }
  long double sum = 0;
  for (; x < 40; x += 1) sum += 1 / x;
  long double t = 1 / (x * x);
  long double series = 1 / 12.0L - t * (1 / 120.0L - t * (1 / 252.0L - t * (1 / 240.0L - t *
                       (1 / 132.0L - t * (691 / 32760.0L - t / 12)))));
  return logl(x) - 1 / (2 * x) - t * series - sum;
}

static double ref_digamma(double x) { return (double)ref_digammal(x); }

static long double ref_logaddexpl(long double x, long double y) {
  long double d = x == y ? 0 : fabsl(x - y);
  return fmaxl(x, y) + log1pl(expl(-d)) + (x != x || y != y ? NAN : 0);
}

static double ref_logaddexp(double x, double y) { return (double)ref_logaddexpl(x, y); }

/* |y - r| in spacings of numbers of type T at r. 2^bound stands for overflow in either. */
#define DEFINE_ERROR(t, R, digits, least, bound)                                                 \
  static double error_##t(R y, R r, R floor) {                                                   \
    if (y != y || r != r) return (y != y) == (r != r) ? 0 : INFINITY;                            \
    if (y == r) return !signbit(y) == !signbit(r) ? 0 : INFINITY;                                \
    R end = ldexpl(1, bound);                                                                    \
    y = fabsl(y) > end ? copysignl(end, y) : y;                                                  \
    if (fabsl(r) == INFINITY) return INFINITY;                                                   \
    r = fabsl(r) > end ? copysignl(end, r) : r;                                                  \
    R scale = fabsl(r) > floor ? fabsl(r) : floor;                                               \
    int e = scale == 0 ? least : ilogbl(scale) - digits;                                         \
    return (double)(fabsl(y - r) / ldexpl(1, e < least ? least : e));                            \
  }

/* Raises *worst to the error of y if that is larger. Most errors are seen to be smaller without
 * being worked out: a spacing is at least |r| 2^-(digits + 1). */
#define DEFINE_RAISE(t, R, digits)                                                               \
  static void raise_##t(R y, R r, R floor, double x0, double x1, report *worst) {                \
    R d = y < r ? r - y : y - r, size = r < 0 ? -r : r;                                          \
    if (d * ((int64_t)1 << (digits + 1)) < worst->worst * size) return;                          \
    double e = error_##t(y, r, floor);                                                           \
    if (e > worst->worst) *worst = (report){e, x0, x1};                                          \
  }
DEFINE_ERROR(f32, double, 23, -149, 128)
DEFINE_ERROR(f64, long double, 52, -1074, 1024)
DEFINE_RAISE(f32, double, 23)
DEFINE_RAISE(f64, long double, 52)

/* `times` calls of a loop. */
#define DEFINE_REPEAT(t, T)                                                                      \
  typedef void loop_##t(const T *, const T *, T *, int64_t);                                     \
  void repeat_##t(loop_##t *loop, int times, const T *x, const T *y, T *out, int64_t n) {        \
    for (int i = 0; i < times; i++) loop(x, y, out, n);                                          \
  }
DEFINE_REPEAT(f32, float)
DEFINE_REPEAT(f64, double)

/* loop: the function over arrays, which the compiler vectorizes. one: a call for one element.
 * check: the loop's largest error. */
#define DEFINE1(name, ref, t, T, R, floor)                                                       \
  __attribute__((noinline)) static T one_##name##_##t(T x) { return gx_##name##_##t(x); }        \
  void loop_##name##_##t(const T *restrict x, const T *y, T *restrict out, int64_t n) {          \
    (void)y;                                                                                     \
    for (int64_t i = 0; i < n; i++) out[i] = gx_##name##_##t(x[i]);                              \
  }                                                                                              \
  void scalar_##name##_##t(const T *x, const T *y, T *out, int64_t n) {                          \
    (void)y;                                                                                     \
    for (int64_t i = 0; i < n; i++) out[i] = one_##name##_##t(x[i]);                             \
  }                                                                                              \
  void check_##name##_##t(const T *x, const T *y, T *out, int64_t n, report *worst) {            \
    loop_##name##_##t(x, y, out, n);                                                             \
    for (int64_t i = 0; i < n; i++) raise_##t(out[i], ref(x[i]), floor, x[i], 0, worst);         \
  }

#define DEFINE2(name, ref, t, T, R, floor)                                                       \
  __attribute__((noinline)) static T one_##name##_##t(T x, T y) {                                \
    return gx_##name##_##t(x, y);                                                                \
  }                                                                                              \
  void loop_##name##_##t(const T *restrict x, const T *restrict y, T *restrict out, int64_t n) { \
    for (int64_t i = 0; i < n; i++) out[i] = gx_##name##_##t(x[i], y[i]);                        \
  }                                                                                              \
  void scalar_##name##_##t(const T *x, const T *y, T *out, int64_t n) {                          \
    for (int64_t i = 0; i < n; i++) out[i] = one_##name##_##t(x[i], y[i]);                       \
  }                                                                                              \
  void check_##name##_##t(const T *x, const T *y, T *out, int64_t n, report *worst) {            \
    loop_##name##_##t(x, y, out, n);                                                             \
    for (int64_t i = 0; i < n; i++)                                                              \
      raise_##t(out[i], ref(x[i], y[i]), floor, x[i], y[i], worst);                              \
  }
