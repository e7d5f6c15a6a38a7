/* batch_norm.h: batch norm and sign of a block's tiles of channels, forward and backward. */
#ifndef BNN_BATCH_NORM_H
#define BNN_BATCH_NORM_H

#include "block.h"

static inline struct bnn_channel bnn_channel_of(const struct bnn_block *b, size_t c)
{
    return (struct bnn_channel){b->mean[c], b->inverse[c], b->gamma ? b->gamma[c] : 1.0, b->beta[c]};
}

/* Mean, inverse and running statistics of a channel from its exact sums over n values (see bnn_channel_spread). */
void bnn_follow_statistics(const struct bnn_block *b, size_t channel, double n, int64_t sum, int64_t squares, int first);
/* The same from mean and spread. */
void bnn_follow(const struct bnn_block *b, size_t channel, double mean, double spread, int first);

/* What one comparison per value needs, for the channels of a tile: the signs of z, the interval |z| <= 1. */
struct bnn_thresholds {
    int32_t threshold[BNN_TILE], low[BNN_TILE], high[BNN_TILE];
    uint8_t flip[BNN_TILE];
};
struct bnn_thresholds bnn_thresholds_of(const struct bnn_block *b, size_t tile);

/* z = scale * y + shift. */
struct bnn_gains {
    float scale[BNN_TILE], shift[BNN_TILE];
};
struct bnn_gains bnn_gains_of(const struct bnn_block *b, size_t tile);

/* Signs, mask and real form of z of a tile, whichever are kept, from y: `rows` of the output from `row` on. */
void bnn_activate(const struct bnn_kernels *k, const struct bnn_block *b, size_t row, size_t rows, size_t tile,
                  const int32_t *y, const struct bnn_thresholds *t);
/* The last of them alone. */
void bnn_normalise(const struct bnn_kernels *k, const struct bnn_block *b, size_t row, size_t rows, size_t tile,
                   const int32_t *y);

/* The straight-through mask where it does not come from y: zeros in some rows and columns of g, as it is stored. */
void bnn_mask_gradient(const struct bnn_kernels *k, const struct bnn_block *b, size_t row, size_t rows, size_t column,
                       size_t columns);

/* Some rows of a tile of channels on their way back. */
struct bnn_norm_tile {
    size_t tile, rows, at; /* at: element of g of the first value */
    const struct bnn_thresholds *thresholds;
    int32_t *y;      /* [rows][BNN_TILE]; becomes the factor t of bnn_channel_backward */
    void *g;         /* int8 where gradients are stored so, otherwise float32 */
    size_t g_stride;
    const int16_t *stream; /* the gradient of an int16 stream, in place of g, which then only receives dY; or NULL */
};

/* Per channel, over the batch: sums of g, of g*y or g*t as the kind of norm has it (int64 of int8 gradients, otherwise
 * double), of t (l1). */
struct bnn_norm_sums {
    void *g, *gt;
    int64_t *t;
};

/* g of the tile: where it lies, if it is int8, or else converted into `real` [rows][BNN_TILE]. */
void bnn_norm_load(const struct bnn_kernels *k, const struct bnn_block *b, struct bnn_norm_tile *n, float *real);
/* Where z is outside of [-1, 1] and the mask is recomputed from y, g becomes 0. */
void bnn_norm_cancel(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n);
/* y becomes t: y itself, sgn(y - mu) or sgn(z). */
void bnn_norm_factor(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n);
/* Both, adding to the sums of the tile's channels. */
void bnn_norm_sum(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n,
                  const struct bnn_norm_sums *sums);

/* dY = a*g + (b*t + c), per channel. */
struct bnn_norm_affine {
    double *a, *b, *c;
};

/* What the sums over `count` values make of channels first ... first + channels - 1; also the gradients of gamma and beta. */
void bnn_norm_coefficients(const struct bnn_block *b, size_t first, size_t channels, double count,
                           const struct bnn_norm_sums *sums, const struct bnn_norm_affine *affine);

/* dY where the block has g, from g, which is cancelled, and y, which is t.  Returns the amax of an int8 dY, which is only
 * measured if `measure`. */
float bnn_norm_write(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n,
                     const struct bnn_norm_affine *affine, const struct bnn_block_step *step, int measure);

#endif
