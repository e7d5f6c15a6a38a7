/* dense.h: a fully connected block, product -> batch norm -> sign, forward and backward, from the kernels of the rooms.
 *
 *   forward    y = X * sgn(W)^T in tiles of BNN_TILE channels: one product, statistics, one comparison a value; y never
 *              exists whole
 *   backward   per tile: y again, straight-through cancellation of g, exact sums, dY in place of g;
 *              then dX = dY * sgn(W) and dW = dY^T * X, whose tiles are consumed at once or stored
 *
 * B = batch, I = inputs, O = outputs.  A struct bnn_dense holds addresses and representations and is fixed for a run; it
 * owns nothing.  NULL stands for a buffer that the chosen representations do without.
 */
#ifndef BNN_DENSE_H
#define BNN_DENSE_H

#include "../common/dispatch.h"
#include "../norm/channel.h"

/* What the time of a step goes to. */
enum bnn_phase {
    BNN_phase_pack,            /* signs of weights and activations, transposition */
    BNN_phase_gather,          /* patches of a convolution */
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

enum bnn_mask { BNN_mask_none, BNN_mask_recompute, BNN_mask_stored, BNN_mask_retained };

/* The scale of an int8 gradient: value = q * used.  `next` is what the coming step shall use, 0 when not known. */
struct bnn_scale {
    float used, next;
};

struct bnn_dense {
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
    /* Gradients: g [B][O] becomes dY in place; dx [B][I] or NULL; dy_t [O][B] (int8 only). */
    enum bnn_type gradient_type; /* f32, f16, i8 */
    void *g, *dx;
    int8_t *dy_t;
    struct bnn_scale *g_scale, *dy_scale, *dx_scale; /* int8 only */
    /* dW [O][I]: u1 [O][words(I)] or f32 when stored, NULL when consumed at once. */
    enum bnn_type dw_type;
    void *dw;
    /* Momenta [O][I], as many as the optimiser has. */
    void *momentum1, *momentum2;
    int integer_update; /* sign or a momentum on int8 latents with an int8 momentum or none */
    /* channel_momentum, per output channel: the running mean of |dW| per sample, 0 before it is known; and the sums of this
     * step's integers.  NULL for other optimisers. */
    float *dw_magnitude;
    int64_t *dw_sums;
    /* `threads` pieces of scratch, each bnn_dense_scratch() bytes and 64-byte aligned. */
    unsigned char *scratch;
    size_t scratch_stride;
    double *profile; /* seconds by phase, added to; or NULL */
};

/* What changes from step to step. */
struct bnn_dense_step {
    int first;          /* the run's first step: running statistics start here */
    int limit;          /* largest |q| of dY: 127 or 31 */
    int current_scales; /* measure scales in this step instead of using the former step's */
    uint64_t dy_key, dx_key; /* stochastic rounding of dY and dX, 0 for half to even */
    struct bnn_sign_step sign;
    struct bnn_channel_step channel;
    float magnitude_correction; /* 1 / (1 - beta2^t) of the magnitudes after t steps */
    struct bnn_real_step real;
    struct bnn_adam_step norm; /* of gamma and beta */
};

/* Bytes of one thread's scratch for a batch. */
size_t bnn_dense_scratch(size_t outputs, size_t batch, enum bnn_type gradient_type);

/* training: batch statistics, which also move the running ones; otherwise the running ones normalise. */
void bnn_dense_forward(const struct bnn_kernels *kernels, const struct bnn_dense *dense, size_t batch, int training,
                       int first, int threads);
void bnn_dense_backward(const struct bnn_kernels *kernels, const struct bnn_dense *dense, size_t batch,
                        const struct bnn_dense_step *step, int threads);
/* Adam on gamma and beta, and the optimiser step of a stored dW. */
void bnn_dense_update(const struct bnn_kernels *kernels, const struct bnn_dense *dense,
                      const struct bnn_dense_step *step, int threads);

#endif
