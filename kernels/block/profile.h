/* profile.h: what the time of a step goes to. */
#ifndef BNN_PROFILE_H
#define BNN_PROFILE_H

#include <time.h>

#include "../common/parallel.h"

enum bnn_phase {
    BNN_phase_pack,            /* signs of weights and activations, transposition */
    BNN_phase_gather,          /* im2col patches of a convolution */
    BNN_phase_forward,         /* product y */
    BNN_phase_statistics,      /* sums of y */
    BNN_phase_activate,        /* comparison, packing, masks */
    BNN_phase_recompute,       /* product y again */
    BNN_phase_norm_backward,   /* cancellation, sums, dY */
    BNN_phase_tables,          /* look-up tables and indices of a convolution's gradients */
    BNN_phase_input_gradient,  /* product dX */
    BNN_phase_requantise,      /* dX to its storage */
    BNN_phase_weight_gradient, /* product dW */
    BNN_phase_update,          /* latent weights and momenta */
    BNN_phase_count
};

static inline double bnn_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Runs STATEMENT and, on the first thread of a profiled run, adds its seconds to a phase of a block. */
#define TIMED(block, phase, STATEMENT)                                                \
    do {                                                                              \
        double start_ = (block)->profile && bnn_thread() == 0 ? bnn_seconds() : -1.0; \
        STATEMENT;                                                                    \
        if (start_ >= 0.0) (block)->profile[phase] += bnn_seconds() - start_;         \
    } while (0)

#endif
