/* test_pool.c: jobs and the threads that share them (kernels/common/parallel.h): every share is done once, whoever else
 * calls, after a fork, and where the system starts no thread.  Built and run by tools/test_pool.sh. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kernels/common/parallel.h"

enum { MOST = 9, JOBS = 2000, INDICES = 37 };

/* A fork's child, too, has to come to its end. */
enum { SECONDS = 120 };

static void check(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "test_pool: %s\n", what);
    abort();
}

struct counts {
    int done[MOST], shares;
};

static void count_share(const void *context)
{
    struct counts *counts = (struct counts *)context;
    check(bnn_threads() == counts->shares, "a share is told another count");
    counts->done[bnn_thread()]++; /* a place of this share alone */
}

static void run_jobs(int jobs)
{
    for (int job = 0; job < jobs; job++) {
        struct counts counts = {{0}, 1 + job * 5 % MOST};
        bnn_run(counts.shares, count_share, &counts);
        for (int i = 0; i < MOST; i++) check(counts.done[i] == (i < counts.shares), "a share is not done once");
        check(bnn_thread() == 0 && bnn_threads() == 1, "a job has not ended");
    }
}

static void count_index(const void *context, size_t index)
{
    int *seen = (int *)context;
    seen[index] += 1 + bnn_thread();
}

static double turned(size_t index, size_t count) { return (double)(index * 11 % count); }

static double largest_of(const void *context, struct bnn_share share)
{
    double largest = 0.0;
    for (size_t i = share.first; i < share.end; i++) {
        const double value = turned(i, *(const size_t *)context);
        largest = value > largest ? value : largest;
    }
    return largest;
}

/* Shares are neighbours, and the first ones longer by one. */
static void run_loops(void)
{
    for (int threads = 1; threads <= MOST; threads++)
        for (size_t count = 0; count <= INDICES; count++) {
            int seen[INDICES] = {0};
            bnn_for(threads, count, count_index, seen);
            const size_t all = count < (size_t)threads ? count : (size_t)threads;
            for (size_t i = 0, share = 0, at = 0; i < count; i++, at++) {
                if (at == count / all + (share < count % all)) share++, at = 0;
                check(seen[i] == 1 + (int)share, "a loop's index is not where it belongs");
            }
            check(bnn_max_of_shares(threads, count, largest_of, &count) == largest_of(&count, (struct bnn_share){0, count}),
                  "not the largest value");
        }
}

static void check_units(const void *context)
{
    (void)context;
    const struct bnn_share share = bnn_own_share(10, 4);
    const size_t ends[] = {0, 4, 8, 10};
    check(share.first == ends[bnn_thread()] && share.end == ends[bnn_thread() + 1], "not a share of whole units");
}

/* Comes to an end only if every share has a thread of its own. */
static void meet(const void *context)
{
    int *arrived = (int *)context;
    BNN_ATOMIC_ADD(arrived, 1);
    while (__atomic_load_n(arrived, __ATOMIC_RELAXED) < bnn_threads()) usleep(1);
}

/* Between two meetings threads may fall asleep. */
static void run_meetings(void)
{
    for (int i = 0; i < 10; i++) {
        int arrived = 0;
        bnn_run(3, meet, &arrived);
        usleep(i % 2 ? 2000 : 0);
    }
}

static void *call(void *argument)
{
    (void)argument;
    run_jobs(JOBS);
    return NULL;
}

static void run_callers(int callers)
{
    pthread_t threads[MOST];
    for (int i = 0; i < callers; i++) check(pthread_create(&threads[i], NULL, call, NULL) == 0, "no thread to call from");
    for (int i = 0; i < callers; i++) pthread_join(threads[i], NULL);
}

#ifndef __SANITIZE_THREAD__ /* which does not follow a fork of several threads */
/* Runs jobs in a child, which may have few resources, and waits for it. */
static void in_child(rlim_t address_space)
{
    const pid_t child = fork();
    check(child >= 0, "no fork");
    if (child == 0) {
        const struct rlimit limit = {address_space, address_space};
        alarm(SECONDS);
        if (address_space) setrlimit(RLIMIT_AS, &limit);
        run_jobs(JOBS / 10);
        run_loops();
        if (!address_space) run_meetings();
        _exit(0);
    }
    int status;
    check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child did not end well");
}

static void run_forks(void)
{
    pthread_t busy;
    in_child(0);
    check(pthread_create(&busy, NULL, call, NULL) == 0, "no thread to fork beside");
    for (int i = 0; i < 20; i++) in_child(0);
    pthread_join(busy, NULL);
    run_meetings();
}
#else
static void run_forks(void) {}
#endif

int main(void)
{
    alarm(SECONDS);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    in_child(1 << 20); /* less than there is already: nothing more is given */
#endif
    run_jobs(JOBS);
    run_loops();
    bnn_run(3, check_units, NULL);
    run_meetings();
    run_callers(MOST);
    run_forks();
    puts("jobs, loops, callers and forks: good");
    return 0;
}
