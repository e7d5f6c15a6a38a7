/* parallel.h: OpenMP, or one thread without it. */
#ifndef BNN_PARALLEL_H
#define BNN_PARALLEL_H

#ifdef _OPENMP
#include <omp.h>
static inline int bnn_thread(void) { return omp_get_thread_num(); }
#else
static inline int bnn_thread(void) { return 0; }
#endif

#define BNN_PRAGMA(text) _Pragma(#text)
/* A loop whose iterations write to different places; one thread spares the team altogether. */
#define BNN_PARALLEL_FOR(threads) BNN_PRAGMA(omp parallel for num_threads(threads) if (threads > 1) schedule(static))
#define BNN_PARALLEL_FOR_MAX(threads, variable) \
    BNN_PRAGMA(omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(max : variable))
/* A statement that one thread at a time executes. */
#define BNN_CRITICAL BNN_PRAGMA(omp critical)
/* One += on a place that threads share. */
#define BNN_ATOMIC BNN_PRAGMA(omp atomic)

#endif
