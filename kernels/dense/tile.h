/* tile.h: what forward and backward share: scratch, timing, the product of one tile. */
#ifndef BNN_DENSE_TILE_H
#define BNN_DENSE_TILE_H

#include "../common/parallel.h"
#include "../common/phase.h"
#include "dense.h"

/* Runs STATEMENT as a phase of a block. */
#define TIMED(dense, phase, STATEMENT) BNN_WATCHED((dense)->profile, phase, STATEMENT)

/* What the threads of a loop know of the call that shares it out. */
struct dense_call {
    const struct bnn_kernels *k;
    const struct bnn_dense *d;
    size_t batch;
    const struct bnn_dense_step *step;
    int training, first; /* forward */
    int measure;         /* backward */
};

/* One thread's scratch.  Rows: the batch or a block of BNN_TILE output channels, whichever is more. */
struct scratch {
    void *panel;     /* BNN_PANEL_BYTES */
    int32_t *tile;   /* [rows][BNN_TILE] */
    float *real;     /* [rows][BNN_TILE]: gradients of a tile; NULL for int8 gradients, as the next two */
    float *operand;  /* [max(rows, O)][BNN_TILE]: signs of X or W as float32 */
    float *converted; /* max([rows][BNN_TILE], [BNN_ROW_BLOCK][O]): dY of a block as float32 */
    size_t bytes;
};

/* Rows of dX that a thread computes at a time in the real path. */
#define BNN_ROW_BLOCK 16
/* A product by look-up: rows of a block, and where others have a tile their sums and at least so many bytes for indices. */
#define BNN_LOOKUP_ROWS 32
#define BNN_LOOKUP_SUM_BYTES (BNN_LOOKUP_ROWS * BNN_TILE * sizeof(int32_t))
#define BNN_LOOKUP_INDEX_BYTES 16384

static inline size_t bnn_dense_tile_bytes(size_t batch)
{
    return bnn_max(bnn_max(batch, BNN_TILE) * BNN_TILE * sizeof(int32_t), BNN_LOOKUP_SUM_BYTES + BNN_LOOKUP_INDEX_BYTES);
}

static inline struct scratch carve(unsigned char *base, size_t outputs, size_t batch, enum bnn_type gradient_type)
{
    const size_t rows = bnn_max(batch, BNN_TILE), tile_bytes = bnn_dense_tile_bytes(batch);
    struct scratch s = {.panel = base, .tile = (int32_t *)(base + BNN_PANEL_BYTES),
                        .bytes = BNN_PANEL_BYTES + tile_bytes};
    if (gradient_type != BNN_i8) {
        const size_t converted = bnn_max(rows * BNN_TILE, BNN_ROW_BLOCK * bnn_round_up(outputs, BNN_TILE));
        s.real = (float *)(base + s.bytes);
        s.operand = s.real + rows * BNN_TILE;
        s.converted = s.operand + bnn_max(rows, outputs) * BNN_TILE;
        s.bytes += (rows * BNN_TILE + bnn_max(rows, outputs) * BNN_TILE + converted) * sizeof(float);
    }
    return s;
}

static inline struct scratch scratch_of(const struct bnn_dense *d, size_t batch)
{
    return carve(d->scratch + (size_t)bnn_thread() * d->scratch_stride, d->outputs, batch, d->gradient_type);
}

static inline size_t tile_width(size_t columns, size_t tile) { return bnn_min(BNN_TILE, columns - tile * BNN_TILE); }

/* Packed signs of W, transposed as well where the input is int8, and of a retained real X. */
void bnn_dense_pack(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, int threads);

/* y of one tile of channels: tile [batch][BNN_TILE]. */
static inline void product(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile,
                           const struct scratch *s)
{
    const size_t width = tile_width(d->outputs, tile), words = bnn_words(d->inputs);
    if (d->x_i8)
        k->gemm_i8_u1_i32(d->x_i8, batch, d->inputs, d->w_t_u1 + tile, bnn_words(d->outputs), width, d->inputs,
                          s->tile, BNN_TILE, s->panel, 0);
    else
        k->xnor_gemm_u1_i32(d->x_u1, batch, words, d->w_u1 + tile * BNN_TILE * words, width, words, d->inputs,
                            s->tile, BNN_TILE, s->panel);
}

static inline struct bnn_channel channel_of(const struct bnn_dense *d, size_t c, double mean, double inverse)
{
    return (struct bnn_channel){mean, inverse, d->gamma ? d->gamma[c] : 1.0, d->beta[c]};
}

/* What one comparison per value needs, for the channels of a tile. */
struct thresholds {
    int32_t threshold[BNN_TILE], low[BNN_TILE], high[BNN_TILE];
    uint8_t flip[BNN_TILE];
};

/* From the statistics in d: the signs of z and the interval |z| <= 1. */
static inline struct thresholds thresholds_of(const struct bnn_dense *d, size_t tile)
{
    struct thresholds t = {0};
    for (size_t c = 0; c < tile_width(d->outputs, tile); c++) {
        const size_t at = tile * BNN_TILE + c;
        const struct bnn_channel channel = channel_of(d, at, d->mean[at], d->inverse[at]);
        bnn_channel_threshold(&channel, &t.threshold[c], &t.flip[c]);
        bnn_channel_interval(&channel, &t.low[c], &t.high[c]);
    }
    return t;
}

/* The tile y becomes the factor t of the affine gradient: y itself, sgn(y - mu) or sgn(z); mean_t of the l1 kind. */
void bnn_dense_factor(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile, int32_t *y,
                      double *mean_t);

/* A product [rows][columns] of int8 rows, |a| <= 31, and signs b [depth][words(columns)], a tile of columns at a time:
 * `use` gets each block of at most BNN_LOOKUP_ROWS rows of it, [rows][BNN_TILE], from row `row` on. */
struct bnn_signed_product {
    const int8_t *a;
    size_t rows, a_stride, depth;
    const uint64_t *b;
    size_t b_stride_words, columns;
    enum bnn_phase phase;
    int32_t (*use)(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_signed_product *p, size_t row,
                   size_t rows, size_t tile, int32_t *sums);
    const struct bnn_dense_step *step;
    int measure;
};

/* Returns the largest value that `use` did. */
int32_t bnn_dense_multiply_signs(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                                 const struct bnn_signed_product *product, int threads);

/* Where a block of dW lies: its first element and the elements from row to row; the same in words of packed signs. */
struct bnn_place {
    size_t at, stride, word, word_stride;
};

static inline struct bnn_place bnn_dense_place(const struct bnn_dense *d, size_t row, size_t column)
{
    const size_t words = bnn_words(d->inputs);
    return (struct bnn_place){row * d->inputs + column, d->inputs, row * words + column / BNN_TILE, words};
}

/* Rows of integers that are converted at a time where the update is not one of integers. */
#define BNN_UPDATE_ROWS 8
/* An integer push of this size is a channel's usual gradient: pushes are limited to four times that. */
#define BNN_TYPICAL_PUSH 32.0f
/* Less than this is no usual gradient. */
#define BNN_LEAST_USUAL 1e-30f

/* A block of dW [rows][width], width <= BNN_TILE: into its storage, or into the weights at once.  The float32 one may be
 * overwritten; that of exact sums also takes more columns where the update is one of integers. */
void bnn_dense_consume(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                       struct bnn_place place, size_t rows, size_t width, float *gradient);
void bnn_dense_consume_i32(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                           struct bnn_place place, size_t rows, size_t width, const int32_t *sums, size_t sums_stride);

/* Around all of a step's dW: the sums of its magnitudes at zero, and what they make of the running means. */
void bnn_dense_clear_magnitudes(const struct bnn_dense *d);
void bnn_dense_follow_magnitudes(const struct bnn_dense *d, const struct bnn_dense_step *step);

/* The two halves of bnn_dense_update: gamma and beta; a stored dW. */
void bnn_dense_update_norm(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step);
void bnn_dense_update_weights(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                              int threads);

/* Packed signs of rows of latent weights, from element `at`. */
void bnn_pack_latent(const struct bnn_kernels *k, const struct bnn_dense *d, size_t at, size_t rows, size_t columns,
                     uint64_t *bits);

/* Mean, inverse and running statistics of a channel from its exact sums over n values (see bnn_channel_spread). */
void bnn_follow_statistics(const struct bnn_dense *d, size_t channel, double n, int64_t sum, int64_t squares, int first);

/* The next step's scale: this step's largest value at the limit.  A gradient of zeros keeps the former. */
static inline void bnn_follow(struct bnn_scale *scale, float largest, float limit)
{
    if (largest > 0.0f) scale->next = largest / limit;
}

void bnn_dense_backward_int8(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                             const struct bnn_dense_step *step, int threads);
void bnn_dense_backward_real(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                             const struct bnn_dense_step *step, int threads);

#endif
