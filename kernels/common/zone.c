#include "zone.h"

#include "clock.h"
#include "parallel.h"

/* See pool.c. */
static _Thread_local double *present __attribute__((tls_model("initial-exec")));

double *bnn_zone(void) { return present; }

double bnn_begin_zone(double *seconds)
{
    present = seconds;
    return bnn_thread() == 0 ? bnn_now() : 0.0;
}

void bnn_end_zone(double begin)
{
    if (bnn_thread() == 0) *present += bnn_now() - begin;
    present = 0;
}
