/* block.h: what dense and convolution blocks share: weights, batch norm, representations of gradients, memory.
 *
 * I = inputs of an output, O = outputs, B = rows of y: the batch, or the positions of all images.  A struct bnn_block holds
 * addresses and representations and is fixed for a run; it owns nothing.  NULL stands for a buffer that the chosen
 * representations do without.
 */
#ifndef BNN_BLOCK_H
#define BNN_BLOCK_H

#include "../dispatch/dispatch.h"
#include "../norm/channel.h"
#include "profile.h"
#include "scale.h"
#include "residual.h"

enum bnn_mask { BNN_mask_none, BNN_mask_recompute, BNN_mask_stored, BNN_mask_retained };

struct bnn_block {
    size_t inputs, outputs;
    enum bnn_norm_kind norm;
    /* X: int8 [B][I] (first layer) or packed signs [B][words(I)], with x_f32 [B][I] their retained real form. */
    const int8_t *x_i8;
    const float *x_f32;
    uint64_t *x_u1;
    /* W [O][I]; its packed signs [O][words(I)], and transposed [I][words(O)] for x_i8. */
    void *latent;
    enum bnn_type latent_type;
    uint64_t *w_u1, *w_t_u1;
    /* Batch norm, per channel; gamma and grad_gamma NULL for the l1 kinds. */
    float *gamma, *beta, *grad_gamma, *grad_beta;
    float *gamma_adam1, *gamma_adam2, *beta_adam1, *beta_adam2;
    float *running_mean, *running_spread;
    double *mean, *inverse, *magnitude; /* of the batch; magnitude: l1_binary only */
    /* sgn(z) packed [B][words(O)], its mask likewise, z [B][O]: logits of the last block, or retained. */
    uint64_t *out_u1, *mask_u1;
    float *out_f32;
    enum bnn_mask mask;
    struct bnn_residual_stream stream;
    /* Gradients: g [B][O] becomes dY in place, or takes the dY that a stream's gradient makes; dx [B][I] or NULL. */
    enum bnn_type gradient_type; /* f32, f16, i8 */
    void *g, *dx;
    struct bnn_scale *g_scale, *dy_scale, *dx_scale; /* int8 only */
    /* dW [O][I]: u1 [O][words(I)] or f32 when stored, NULL when consumed at once. */
    enum bnn_type dw_type;
    void *dw;
    /* Moments [O][I], as many as the optimiser has. */
    void *momentum1, *momentum2;
    int integer_update; /* sign or a momentum on int8 latents with an int8 momentum or none */
    /* channel_momentum, per output channel: the running mean of |dW| per sample, 0 before it is known; and the sums of this
     * step's integers.  NULL for other optimisers. */
    float *dw_magnitude;
    int64_t *dw_sums;
    /* A piece of scratch for every thread, 64-byte aligned. */
    unsigned char *scratch;
    size_t scratch_stride;
    double *profile; /* seconds by zone, added to; or NULL */
};

/* What changes from step to step. */
struct bnn_block_step {
    int limit;          /* largest |q| of dY: 127 or 31 */
    int current_scales; /* measure scales in this step instead of using the former step's */
    uint64_t dy_key, dx_key; /* stochastic rounding of dY and dX, 0 for half to even */
    struct bnn_sign_step sign;
    struct bnn_channel_step channel;
    float magnitude_correction; /* 1 / (1 - beta2^t) of the magnitudes after t steps */
    struct bnn_real_step real;
    struct bnn_adam_step norm; /* of gamma and beta */
};

static inline unsigned char *bnn_scratch_of(const struct bnn_block *b, int thread)
{
    return b->scratch + (size_t)thread * b->scratch_stride;
}

/* The base of what is cut only to know its size. */
#define BNN_NOWHERE ((unsigned char *)64)

/* Cuts the next `bytes` off a piece of memory, in whole cache lines. */
static inline void *bnn_cut(unsigned char **from, size_t bytes)
{
    void *piece = *from;
    *from += bnn_round_up(bytes, 64);
    return piece;
}

#endif
