/* real_pass.h: what the passes of a real convolution share. */
#ifndef BNN_REAL_CONV_PASS_H
#define BNN_REAL_CONV_PASS_H

#include "../conv/pass.h"
#include "real_conv.h"

/* What the threads of a loop know of the call that shares it out. */
struct real_call {
    const struct bnn_kernels *k;
    const struct bnn_real_conv *r;
    struct conv_call conv; /* the same, as conv/ has it */
    const struct bnn_block_step *step; /* backward */
};

struct real_call bnn_real_call(const struct bnn_kernels *k, const struct bnn_real_conv *r, size_t batch,
                               const struct bnn_block_step *step, int threads);

static inline int is_whole(const struct bnn_real_conv *r) { return r->conv.block.gradient_type == BNN_i8; }
static inline int reads_stream(const struct bnn_real_conv *r) { return r->conv.block.stream.in != NULL; }

/* A thread on its way over positions: its scratch, and the rows that it works on. */
struct real_pass {
    const struct bnn_kernels *k;
    const struct bnn_real_conv *r;
    struct conv_sums sums;
    void *panel;       /* BNN_PANEL_BYTES */
    const void *patch; /* [rows][taps*I] int8 or float32: of the rows */
    void *room;        /* where patches of pixels are made */
    float *reals;      /* and turned to float32 */
    int32_t *tile;     /* y [BNN_CONV_ROWS][BNN_TILE], int32 or float32 */
    float *real;       /* z or g, as wide */
    void *dy;          /* [BNN_CONV_ROWS][O] int8 or float32 */
    int8_t *dy_t;      /* [BNN_TILE][BNN_CONV_ROWS] */
    void *product;     /* [BNN_TILE][taps*I]: of a piece */
    int64_t *wide;     /* dW of 64 output channels [BNN_TILE][taps*I], of integers or floats */
    float *narrow;
    float *row;        /* [taps*I] */
    size_t first, rows; /* of positions */
    size_t size;
};

/* A pass of the present thread; with BNN_NOWHERE as `base` only its size is of use. */
struct real_pass bnn_real_pass(const struct bnn_kernels *k, const struct bnn_real_conv *r, unsigned char *base);

/* Moves a pass to some positions. */
void bnn_real_move(struct real_pass *s, size_t first, size_t rows);

/* y of the rows and a tile of channels into s->tile. */
void bnn_real_y(const struct real_pass *s, size_t tile);

/* z = y * scale + shift of the rows and a tile into a stream. */
void bnn_real_put(const struct real_pass *s, struct bnn_stream_place place, const float *scale, const float *shift, void *out);
void bnn_real_normalise(const float *y, const float *scale, const float *shift, size_t rows, size_t width, float *z);

/* Statistics of all channels from their sums over n values: y, and y^2 or deviations, whole or real; of the latter b->mean is known. */
void bnn_real_follow(const struct bnn_block *b, int whole, double n, const struct conv_sums *all, int first);

/* X of a stream: by its own amax, which the running one follows; by r->amax[1], the sum that becomes 1. */
void bnn_real_input(const struct real_call *call, int first);
void bnn_real_round(const struct real_call *call);

/* Weights as products take them. */
void bnn_real_prepack(const struct real_call *call);

/* dW of a tile of outputs: all threads' sums become 0; a thread adds dY^T * X of its rows; all of them move the weights. */
void bnn_real_clear(const struct real_call *call);
void bnn_real_add(const struct real_pass *s, size_t tile);
void bnn_real_update(const struct real_call *call, size_t tile);


#endif
