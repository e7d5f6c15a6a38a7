#include "phase.h"

#include <time.h>

#include "parallel.h"

/* See pool.c. */
static _Thread_local double *present __attribute__((tls_model("initial-exec")));

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double *bnn_phase(void) { return present; }

double bnn_begin_phase(double *seconds)
{
    present = seconds;
    return bnn_thread() == 0 ? now() : 0.0;
}

void bnn_end_phase(double begin)
{
    if (bnn_thread() == 0) *present += now() - begin;
    present = 0;
}
