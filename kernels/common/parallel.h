/* parallel.h: OpenMP, or one thread without it. */
#ifndef BNN_PARALLEL_H
#define BNN_PARALLEL_H

#include <stddef.h>

#ifdef _OPENMP
#include <omp.h>
static inline int bnn_thread(void) { return omp_get_thread_num(); }
static inline int bnn_threads(void) { return omp_get_num_threads(); }
#else
static inline int bnn_thread(void) { return 0; }
static inline int bnn_threads(void) { return 1; }
#endif

/* The share of `count` things, in whole units, that a thread of the present team has. */
struct bnn_share {
    size_t first, end;
};

static inline struct bnn_share bnn_own_share(size_t count, size_t unit)
{
    const size_t all = (size_t)bnn_threads(), each = ((count + all - 1) / all + unit - 1) / unit * unit;
    const size_t first = each * (size_t)bnn_thread(), end = first + each;
    return (struct bnn_share){first < count ? first : count, end < count ? end : count};
}

#define BNN_PRAGMA(text) _Pragma(#text)
/* A loop whose iterations write to different places; one thread spares the team altogether. */
#define BNN_PARALLEL_FOR(threads) BNN_PRAGMA(omp parallel for num_threads(threads) if (threads > 1) schedule(static))
#define BNN_PARALLEL_FOR_MAX(threads, variable) \
    BNN_PRAGMA(omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(max : variable))
/* A block that every thread of a team executes; where all wait for each other in it. */
#define BNN_TEAM(threads) BNN_PRAGMA(omp parallel num_threads(threads) if (threads > 1))
#define BNN_BARRIER BNN_PRAGMA(omp barrier)
/* A statement that one thread at a time executes. */
#define BNN_CRITICAL BNN_PRAGMA(omp critical)
/* One += on a place that threads share. */
#define BNN_ATOMIC BNN_PRAGMA(omp atomic)

#endif
