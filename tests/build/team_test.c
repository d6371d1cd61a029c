/* Tests of the pool of threads, for any compiler and any sanitizer. Prints "passed" and returns 0,
 * or prints what failed.
 *
 * SPDX-License-Identifier: MIT-0 */
#include "pool.c"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)

enum { CELLS = 1000, THREADS = 17 };

/* Shares cover [0, n) in order without overlap, begin at whole grains, and differ by at most one
 * grain, the earlier being the larger. */
static void test_shares(void) {
  for (int count = 1; count <= 9; count++)
    for (int64_t grain = 1; grain <= 17; grain += 4)
      for (int64_t n = 0; n <= 200; n++) {
        int64_t end = 0, before = INT64_MAX;
        for (int id = 0; id < count; id++) {
          const gx_range share = gx_share(n, grain, (gx_thread){id, count, NULL});
          const int64_t grains = (share.end - share.begin + grain - 1) / grain;
          CHECK(share.begin == end && share.begin <= share.end);
          CHECK(share.begin == n || share.begin % grain == 0);
          CHECK(grains <= before && (id == 0 || before - grains <= 1));
          end = share.end;
          before = grains;
        }
        CHECK(end == n);
      }
  const int64_t large = INT64_MAX - 5;
  CHECK(gx_share(large, 64, (gx_thread){2, 3, NULL}).end == large);
}

/* In every round each cell is written by one thread and read by another. Without barriers that is
 * a race, and the sums come out wrong. */
typedef struct {
  int rounds, threads;
  int64_t cells[CELLS], wrong[THREADS];
} rounds;

static void rounds_task(void *context, gx_thread thread) {
  rounds *all = context;
  CHECK(thread.count == all->threads && (thread.barrier != NULL) == (thread.count > 1));
  const gx_range mine = gx_share(CELLS, 8, thread);
  const gx_thread neighbour = {(thread.id + 1) % thread.count, thread.count, NULL};
  const gx_range others = gx_share(CELLS, 8, neighbour);
  for (int r = 0; r < all->rounds; r++) {
    for (int64_t i = mine.begin; i < mine.end; i++)
      all->cells[i] += i + r;
    gx_barrier_wait(thread);
    for (int64_t i = others.begin; i < others.end; i++)
      all->wrong[thread.id] += all->cells[i] != (i + i + r) * (r + 1) / 2;
    gx_barrier_wait(thread);
  }
}

static void test_rounds(gx_pool *pool, int threads, int regions) {
  static rounds all;
  for (int i = 0; i < regions; i++) {
    all = (rounds){.rounds = 20, .threads = threads};
    CHECK(gx_run(gx_pool_runtime(pool), rounds_task, &all, threads) == 0);
    for (int t = 0; t < threads; t++)
      CHECK(all.wrong[t] == 0);
  }
}

/* Several threads of the host use one pool at once; each region has the threads that it asks for. */
static gx_pool *shared_pool;

typedef struct {
  _Atomic int regions, threads, ran;
} attendance;

static void attended_task(void *context, gx_thread thread) {
  attendance *all = context;
  if (thread.id == 0) {
    all->regions++;
    all->threads += thread.count;
  }
  gx_barrier_wait(thread);
  all->ran++;
}

static void *caller(void *argument) {
  attendance all = {0};
  (void)argument;
  for (int i = 0; i < 200; i++)
    CHECK(gx_pool_run(shared_pool, attended_task, &all, 1 + i % 4) == 0);
  CHECK(all.regions == 200 && all.ran == 500 && all.threads == 500);
  return NULL;
}

static void test_callers(gx_pool *pool) {
  pthread_t threads[4];
  shared_pool = pool;
  for (int i = 0; i < 4; i++)
    CHECK(pthread_create(&threads[i], NULL, caller, NULL) == 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
}

static void signals_task(void *context, gx_thread thread) {
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, NULL, &blocked);
  ((int *)context)[thread.id] = sigismember(&blocked, SIGINT);
}

static void test_signals(gx_pool *pool) {
  int blocked[3];
  CHECK(gx_pool_run(pool, signals_task, blocked, 3) == 0);
  CHECK(!blocked[0] && blocked[1] && blocked[2]);
}

static void test_limits(void) {
  static rounds all = {.rounds = 1, .threads = 1};
  gx_pool *pool = gx_pool_create(3, 2);
  CHECK(gx_pool_run(pool, rounds_task, &all, 4) == EINVAL);
  CHECK(all.cells[1] == 0 && gx_pool_started(pool) == 0);
  CHECK(gx_pool_run(pool, rounds_task, &all, 1) == 0);
  CHECK(all.cells[1] == 1 && gx_pool_started(pool) == 0);
  test_rounds(pool, 2, 1);
  CHECK(gx_pool_started(pool) == 1);
  CHECK(gx_pool_start(pool, 3) == 0 && gx_pool_started(pool) == 1);
  gx_pool_destroy(pool);
}

/* Threads beyond the cores take no part, and are not started. */
static void test_cores(void) {
  static rounds all = {.rounds = 3, .threads = 2};
  gx_pool *pool = gx_pool_create(8, 2);
  CHECK(gx_pool_run(pool, rounds_task, &all, 8) == 0);
  CHECK(all.cells[1] == 6 && gx_pool_started(pool) == 1);
  gx_pool_destroy(pool);
}

/* The clock of a region that has just ended. */
static int64_t now = 1000000000;

/* How many of the next regions, each `elapsed` ns long, run alone when one of 2 threads, 1000 ns long,
 * slept for so long. */
static int learned_from(gx_team *team, int64_t slept, int64_t elapsed) {
  now += 1000;
  gx_team_learn(team, rounds_task, 2, 1000, slept, now);
  int alone = 0;
  for (; gx_team_count(team, 2) == 1; alone++) {
    now += elapsed;
    gx_team_rested(team, rounds_task, elapsed, now);
  }
  return alone;
}

static int learned(gx_team *team, int64_t slept) {
  return learned_from(team, slept, 1000);
}

/* After two regions whose threads slept for most of the time the next ones run on one thread, for
 * eight times as long; those that go well end that, one after the other. */
static void test_crowded(void) {
  gx_pool *pool = gx_pool_create(2, 2);
  gx_team *team = &pool->team;
  team->callers = 1;
  for (int again = 0; again < 2; again++) {
    CHECK(learned(team, 900) == 0);
    for (int i = 0; i < 4; i++)
      CHECK(learned(team, 800) == 8);
    CHECK(learned_from(team, 1900, 500) == 16);
    CHECK(learned_from(team, 1900, 900000000) == 1);
    /* The clock was set back while one ran. */
    CHECK(learned_from(team, 1900, -900000000) == 1);
    CHECK(learned(team, 700) == 0);
    CHECK(learned(team, 900) == 8);
    for (int i = 0; i < 4; i++)
      CHECK(learned(team, 0) == 0);
    /* A long one is tried again after a quarter of a second. */
    gx_team_learn(team, rounds_task, 2, 900000000, 900000000, now);
    gx_team_learn(team, rounds_task, 2, 900000000, 900000000, now);
    CHECK(team->alone && team->alone_until == now + 250000000);
    now += 250000000;
    gx_team_rested(team, attended_task, 400000000, now);
    CHECK(!team->alone);
    for (int i = 0; i < 4; i++)
      CHECK(learned(team, 0) == 0);
    /* What took less time alone counts as crowded; another task says nothing about that. */
    CHECK(learned(team, 900) == 0 && learned_from(team, 900, 400) == 20);
    CHECK(learned_from(team, 0, 2000) == 4);
    gx_team_learn(team, attended_task, 2, 1000, 0, now);
    CHECK(team->crowded == 1 && gx_team_count(team, 2) == 2);
    for (int i = 0; i < 40; i++)
      gx_team_rested(team, rounds_task, 2000, now);
    CHECK(learned(team, 0) == 0);
    CHECK(learned(team, 0) == 0);
  }
  gx_pool_destroy(pool);
}

/* Callers that are here at once share the cores; one thread each has in any case, and at once. */
static void test_sharing(void) {
  gx_pool *pool = gx_pool_create(16, 8);
  gx_team *team = &pool->team;
  CHECK(gx_team_enter(team, 16) == 8);
  CHECK(team->running == 8);
  gx_team_leave(team, 8);
  CHECK(gx_team_enter(team, 3) == 3 && gx_team_enter(team, 16) == 4);
  CHECK(gx_team_enter(team, 1) == 1 && team->running == 8);
  for (int callers = 4; callers < 9; callers++) {
    team->callers = callers;
    CHECK(gx_team_count(team, 16) == 8 / callers);
  }
  team->callers = 7;
  CHECK(gx_team_enter(team, 16) == 1 && gx_team_enter(team, 16) == 1);
  CHECK(team->callers == 9 && team->running == 10);
  gx_pool_destroy(pool);
}

/* Two callers whose shares do not fit beside what the other one has wait for it. */
static void *one_of_two(void *argument) {
  static const int wanted[] = {1, 4, 2, 3};
  gx_pool *pool = argument;
  for (int i = 0; i < 400; i++) {
    attendance all = {0};
    CHECK(gx_pool_run(pool, attended_task, &all, wanted[i % 4]) == 0);
    CHECK(all.regions == 1 && all.ran == all.threads && all.threads <= wanted[i % 4]);
  }
  return NULL;
}

static void test_two_callers(void) {
  gx_pool *pool = gx_pool_create(4, 4);
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    CHECK(pthread_create(&threads[i], NULL, one_of_two, pool) == 0);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  CHECK(pool->team.running == 0 && pool->team.callers == 0 && gx_pool_started(pool) <= 3);
  gx_pool_destroy(pool);
}

/* A child has none of its parent's workers; both go on independently. */
static void test_fork(gx_pool *pool) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    CHECK(gx_pool_started(pool) == 0);
    test_rounds(pool, 3, 5);
    CHECK(gx_pool_started(pool) == 2);
    _exit(0);
  }
  int status = 1;
  test_rounds(pool, 3, 5);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int count, char **arguments) {
  gx_pool *pool = gx_pool_create(THREADS, 0);
  (void)arguments;
  test_shares();
  for (int threads = 1; threads <= THREADS; threads += threads < 4 ? 1 : 13)
    test_rounds(pool, threads, 20);
  test_callers(pool);
  test_signals(pool);
  test_limits();
  test_cores();
  test_crowded();
  test_sharing();
  test_two_callers();
  if (count == 1) {
    test_fork(pool);
    test_fork(pool);
  }
  gx_pool_destroy(pool);
  printf("passed\n");
  return 0;
}
