/* parallel.h: loops that threads share.
 *
 * A job is cut into as many shares as threads are asked for; what a share computes, and with which scratch, follows from
 * its number alone.  Whoever is free takes the next share: a thread that the system keeps waiting holds nobody up but
 * with a share that it has begun, and one that cannot be started is missed by nobody. */
#ifndef BNN_PARALLEL_H
#define BNN_PARALLEL_H

#include <stddef.h>

/* Shares that a job may have. */
#define BNN_MOST_THREADS 256

/* Number of the share that the caller works on, and how many there are; 0 of 1 outside a job. */
int bnn_thread(void);
int bnn_threads(void);

/* Calls job(context) once for each of `threads` shares, 1 <= threads <= BNN_MOST_THREADS; returns when all are done.  The
 * first is always the caller's own. */
typedef void bnn_job(const void *context);
void bnn_run(int threads, bnn_job *job, const void *context);

/* Things first ... end - 1. */
struct bnn_share {
    size_t first, end;
};

/* The share of `count` things, in whole units, that belongs to the present thread. */
struct bnn_share bnn_own_share(size_t count, size_t unit);

/* A loop over 0 ... count - 1 whose iterations write to different places.  Shares are runs of neighbours, the first ones
 * longer by one where they cannot be equal. */
typedef void bnn_body(const void *context, size_t index);
void bnn_for(int threads, size_t count, bnn_body *body, const void *context);

/* The same, a share at a time: what its iterations have in common is prepared once. */
typedef void bnn_share_body(const void *context, struct bnn_share share);
void bnn_for_shares(int threads, size_t count, bnn_share_body *body, const void *context);

/* The same; returns the largest value of a share, at least 0.  A double holds every float and int32 exactly. */
typedef double bnn_share_measure(const void *context, struct bnn_share share);
double bnn_max_of_shares(int threads, size_t count, bnn_share_measure *body, const void *context);

/* Adds to a place that threads share. */
#define BNN_ATOMIC_ADD(place, value) ((void)__atomic_fetch_add(place, value, __ATOMIC_RELAXED))

#endif
