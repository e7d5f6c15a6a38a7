/* profile.h: what the time of a step goes to. */
#ifndef BNN_PROFILE_H
#define BNN_PROFILE_H

#include "../common/parallel.h"
#include "../common/zone.h"

enum bnn_zone {
    BNN_zone_pack,            /* signs of weights and activations, transposition */
    BNN_zone_gather,          /* im2col patches of a convolution */
    BNN_zone_forward,         /* product y */
    BNN_zone_statistics,      /* sums of y */
    BNN_zone_activate,        /* comparison, packing, masks */
    BNN_zone_recompute,       /* product y again */
    BNN_zone_norm_backward,   /* cancellation, sums, dY */
    BNN_zone_tables,          /* look-up tables and indices of a convolution's gradients */
    BNN_zone_input_gradient,  /* product dX */
    BNN_zone_requantise,      /* dX to its storage */
    BNN_zone_weight_gradient, /* product dW */
    BNN_zone_update,          /* latent weights and moments */
    BNN_zone_count
};

/* Runs STATEMENT as a zone of a block. */
#define TIMED(block, zone, STATEMENT) BNN_WATCHED((block)->profile, zone, STATEMENT)

#endif
