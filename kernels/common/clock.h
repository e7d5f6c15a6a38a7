/* clock.h: seconds since an unknown start, by a clock that nobody sets. */
#ifndef BNN_CLOCK_H
#define BNN_CLOCK_H

#include <time.h>

/* CLOCK_MONOTONIC, as Python's time.monotonic. */
static inline double bnn_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
