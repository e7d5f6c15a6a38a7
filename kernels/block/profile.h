/* profile.h: what the time of a step goes to. */
#ifndef BNN_PROFILE_H
#define BNN_PROFILE_H

#include "../common/parallel.h"
#include "../common/phase.h"

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
    BNN_phase_update,          /* latent weights and moments */
    BNN_phase_count
};

/* Runs STATEMENT as a phase of a block. */
#define TIMED(block, phase, STATEMENT) BNN_WATCHED((block)->profile, phase, STATEMENT)

#endif
